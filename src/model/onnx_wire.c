/* onnx_wire.c - bounds on hostile protobuf, before it is unpacked.
 *
 * protobuf-c unpacks nested messages recursively (a graph holds nodes, whose attributes hold
 * graphs) and allocates a structure of hundreds of bytes for a field of two. So a small file could
 * end the stack or the memory. This walk over the wire format follows the same schema, with a limit
 * on both. */
#include "model/onnx_reader.h"
#include "status/error.h"

enum {
    DEPTH_MAX = 24,           /* exporters' files nest 7 deep */
    FIELDS_MAX = 200 * 1000,  /* exporters' files have a few thousand; a tensor's raw data is one */
    INTEGERS_BYTES_MAX = 4096 /* a packed list; unpacked, a byte can become eight */
};

typedef struct walk {
    const uint8_t *at, *end;
    int depth;
    long *fields; /* seen so far, in the whole file */
} walk;

static const char MALFORMED[] = "not an ONNX file, or cut short";

static bool read_varint(walk *w, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && w->at < w->end; shift += 7) {
        uint8_t byte = *w->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            return true;
        }
    }
    return false;
}

static bool skip(walk *w, uint64_t size)
{
    if (size > (uint64_t)(w->end - w->at)) {
        return false;
    }
    w->at += size;
    return true;
}

static bool is_integer(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_INT32 ||
           type == PROTOBUF_C_TYPE_UINT64;
}

static const char *check_message(const ProtobufCMessageDescriptor *descriptor, walk w);

/* What a length-prefixed field holds, `inside`; NULL, or what is wrong. */
static const char *check_field(const ProtobufCMessageDescriptor *descriptor, uint64_t number,
                               walk inside)
{
    const ProtobufCFieldDescriptor *field =
        number <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(descriptor, (unsigned)number)
                             : NULL;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return check_message(field->descriptor, inside);
    }
    if (field && is_integer(field->type) && inside.end - inside.at > INTEGERS_BYTES_MAX) {
        return "a list of integers is too long for an AudioEmbedding network";
    }
    return NULL;
}

/* NULL, or what is wrong. */
static const char *check_message(const ProtobufCMessageDescriptor *descriptor, walk w)
{
    const char *wrong =
        w.depth > DEPTH_MAX ? "messages are nested too deep for an AudioEmbedding network" : NULL;
    while (!wrong && w.at < w.end) {
        walk inside = {.depth = w.depth + 1, .fields = w.fields};
        uint64_t tag, size;
        bool good = read_varint(&w, &tag);
        if (++*w.fields > FIELDS_MAX) {
            return "too many parts for an AudioEmbedding network";
        }
        switch (good ? tag & 7 : UINT64_MAX) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
            good = read_varint(&w, &size);
            break;
        case PROTOBUF_C_WIRE_TYPE_64BIT:
            good = skip(&w, 8);
            break;
        case PROTOBUF_C_WIRE_TYPE_32BIT:
            good = skip(&w, 4);
            break;
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
            good = read_varint(&w, &size);
            inside.at = w.at;
            good = good && skip(&w, size);
            inside.end = w.at;
            wrong = good ? check_field(descriptor, tag >> 3, inside) : NULL;
            break;
        default:
            good = false;
        }
        if (!good) {
            return MALFORMED;
        }
    }
    return wrong;
}

attune_status onnx_check_wire(const char *path, const uint8_t *bytes, size_t size)
{
    long fields = 0;
    walk w = {.at = bytes, .end = bytes + size, .depth = 0, .fields = &fields};
    const char *wrong = check_message(&onnx__model_proto__descriptor, w);
    return wrong ? attune_fail(ATTUNE_EDATA, "%s: %s", path, wrong) : ATTUNE_OK;
}
