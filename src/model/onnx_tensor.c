/* onnx_tensor.c - constant tensors and what graphs do to them.
 *
 * Exporters that do not fold constants reorder the gates of a GRU or transpose a matrix in the
 * graph, so the few operators that only move elements are computed here, on copies in the reader's
 * arena. */
#include "model/onnx_reader.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ONNX's raw data is little-endian");

/* Elements that the tensor's dims ask for; 0 for none or too many to be in a file we read. */
static size_t count_elements(const Onnx__TensorProto *proto)
{
    size_t count = 1;
    for (size_t i = 0; i < proto->n_dims; i++) {
        if (proto->dims[i] <= 0 || __builtin_mul_overflow(count, (size_t)proto->dims[i], &count) ||
            count > (size_t)1 << 28) {
            return 0;
        }
    }
    return count;
}

static attune_status read_floats(reader *r, value *out, const Onnx__TensorProto *proto,
                                 const char *name)
{
    size_t count = count_elements(proto);
    if (proto->n_dims > TENSOR_RANK_MAX || count == 0) {
        return onnx_refuse(r, "tensor '%.80s' has a shape that no parameter has", name);
    }
    out->kind = VALUE_FLOATS;
    out->floats.rank = (int)proto->n_dims;
    out->floats.count = count;
    for (int i = 0; i < out->floats.rank; i++) {
        out->floats.dims[i] = proto->dims[i];
    }
    size_t given = proto->has_raw_data ? proto->raw_data.len : proto->n_float_data * sizeof(float);
    if (given != count * sizeof(float) || (proto->has_raw_data && proto->n_float_data > 0)) {
        return onnx_refuse(r, "tensor '%.80s' holds %zu bytes and its shape asks for %zu", name,
                           given, count * sizeof(float));
    }
    if (!proto->has_raw_data) {
        out->floats.data = proto->float_data;
        return ATTUNE_OK;
    }
    /* protobuf-c allocates raw data on its own, so it is aligned as it is; the copy is for the day
     * it is not. */
    if ((uintptr_t)proto->raw_data.data % _Alignof(float) == 0) {
        out->floats.data = (const float *)(const void *)proto->raw_data.data;
        return ATTUNE_OK;
    }
    float *data = onnx_allocate(r, given);
    if (!data) {
        return ATTUNE_ENOMEM;
    }
    memcpy(data, proto->raw_data.data, given);
    out->floats.data = data;
    return ATTUNE_OK;
}

/* PyTorch writes a GELU's or a clamp's number in double, with a Cast behind it. Parameters are
 * never double. */
static attune_status read_double(reader *r, value *out, const Onnx__TensorProto *proto,
                                 const char *name)
{
    size_t given =
        proto->has_raw_data ? proto->raw_data.len / sizeof(double) : proto->n_double_data;
    double wide;
    if (count_elements(proto) != 1 || proto->n_dims > TENSOR_RANK_MAX || given != 1) {
        return onnx_refuse(r, "tensor '%.80s' is in double precision; export in float32", name);
    }
    memcpy(&wide, proto->has_raw_data ? (const void *)proto->raw_data.data : proto->double_data,
           sizeof(wide));
    float *data = onnx_allocate(r, sizeof(*data));
    if (!data) {
        return ATTUNE_ENOMEM;
    }
    *data = (float)wide;
    out->kind = VALUE_FLOATS;
    out->floats = (tensor){.rank = (int)proto->n_dims, .count = 1, .data = data};
    for (int i = 0; i < out->floats.rank; i++) {
        out->floats.dims[i] = 1;
    }
    return ATTUNE_OK;
}

static int64_t integer_at(const Onnx__TensorProto *proto, size_t i)
{
    const uint8_t *raw = proto->has_raw_data ? proto->raw_data.data : NULL;
    if (proto->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64) {
        int64_t wide;
        return raw ? (memcpy(&wide, raw + i * sizeof(wide), sizeof(wide)), wide)
                   : proto->int64_data[i];
    }
    if (proto->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32) {
        int32_t narrow;
        return raw ? (memcpy(&narrow, raw + i * sizeof(narrow), sizeof(narrow)), narrow)
                   : proto->int32_data[i];
    }
    return raw ? raw[i] != 0 : proto->int32_data[i] != 0;
}

static attune_status read_integers(reader *r, value *out, const Onnx__TensorProto *proto,
                                   const char *name)
{
    bool wide = proto->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    size_t width = wide ? 8 : proto->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32 ? 4 : 1;
    bool empty = proto->n_dims == 1 && proto->dims[0] == 0;
    size_t count = empty ? 0 : count_elements(proto);
    if (proto->n_dims > 1 || count > INTEGERS_MAX || (count == 0 && !empty)) {
        return onnx_refuse(r, "tensor '%.80s' is integer and is neither a number nor a short list",
                           name);
    }
    size_t given = proto->has_raw_data ? proto->raw_data.len / width
                   : wide              ? proto->n_int64_data
                                       : proto->n_int32_data;
    if (given != count || (proto->has_raw_data && proto->raw_data.len % width != 0)) {
        return onnx_refuse(r, "tensor '%.80s' holds %zu numbers and its shape asks for %zu", name,
                           given, count);
    }
    out->kind = VALUE_INTEGERS;
    out->rank = (int)proto->n_dims;
    out->count = (int)count;
    out->integers = onnx_allocate(r, (count + 1) * sizeof(extent));
    if (!out->integers) {
        return ATTUNE_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        out->integers[i] = onnx_extent_constant(integer_at(proto, i));
    }
    return ATTUNE_OK;
}

attune_status onnx_read_tensor(reader *r, value **out, const Onnx__TensorProto *proto,
                               const char *name)
{
    if ((proto->has_data_location &&
         proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) ||
        proto->n_external_data > 0) {
        return onnx_refuse(
            r, "tensor '%.80s' is in another file; export with the data in the model", name);
    }
    if (proto->segment) {
        return onnx_refuse(r, "tensor '%.80s' is stored in segments", name);
    }
    value *made = onnx_allocate(r, sizeof(*made));
    if (!made) {
        return ATTUNE_ENOMEM;
    }
    attune_status status;
    switch (proto->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        status = read_double(r, made, proto, name);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        status = read_floats(r, made, proto, name);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
        status = read_integers(r, made, proto, name);
        break;
    default:
        status = onnx_refuse(r, "tensor '%.80s' has data type %d; export in float32", name,
                             proto->data_type);
    }
    *out = made;
    return status;
}

static attune_status new_data(reader *r, tensor *out, float **data)
{
    out->count = 1;
    for (int i = 0; i < out->rank; i++) {
        out->count *= (size_t)out->dims[i];
    }
    *data = onnx_allocate(r, out->count * sizeof(float));
    out->data = *data;
    return *data ? ATTUNE_OK : ATTUNE_ENOMEM;
}

attune_status onnx_tensor_transpose(reader *r, tensor *out, const tensor *in, const int *order)
{
    size_t strides[TENSOR_RANK_MAX] = {0}, moved[TENSOR_RANK_MAX] = {0};
    float *data;
    *out = (tensor){.rank = in->rank};
    for (int i = in->rank - 1; i >= 0; i--) {
        strides[i] = i == in->rank - 1 ? 1 : strides[i + 1] * (size_t)in->dims[i + 1];
    }
    for (int i = 0; i < in->rank; i++) {
        out->dims[i] = in->dims[order[i]];
        moved[i] = strides[order[i]];
    }
    attune_status status = new_data(r, out, &data);
    int64_t at[TENSOR_RANK_MAX] = {0};
    size_t source = 0;
    for (size_t n = 0; status == ATTUNE_OK && n < out->count; n++) {
        data[n] = in->data[source];
        for (int i = in->rank - 1; i >= 0; i--) {
            source += moved[i];
            if (++at[i] < out->dims[i]) {
                break;
            }
            source -= moved[i] * (size_t)out->dims[i];
            at[i] = 0;
        }
    }
    return status;
}

/* Elements in one step along `axis`, and steps before it. */
static void blocks(const tensor *in, int axis, size_t *outer, size_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < in->rank; i++) {
        *(i < axis ? outer : inner) *= i == axis ? 1 : (size_t)in->dims[i];
    }
}

attune_status onnx_tensor_slice(reader *r, tensor *out, const tensor *in, int axis, int64_t first,
                                int64_t size)
{
    size_t outer, inner;
    float *data;
    blocks(in, axis, &outer, &inner);
    *out = *in;
    out->dims[axis] = size;
    attune_status status = new_data(r, out, &data);
    size_t from = (size_t)in->dims[axis] * inner, to = (size_t)size * inner;
    for (size_t i = 0; status == ATTUNE_OK && i < outer; i++) {
        memcpy(data + i * to, in->data + i * from + (size_t)first * inner, to * sizeof(float));
    }
    return status;
}

attune_status onnx_tensor_concat(reader *r, tensor *out, const tensor *const *in, int count,
                                 int axis)
{
    size_t outer, inner, offset = 0;
    float *data;
    blocks(in[0], axis, &outer, &inner);
    *out = *in[0];
    out->dims[axis] = 0;
    for (int i = 0; i < count; i++) {
        out->dims[axis] += in[i]->dims[axis];
    }
    attune_status status = new_data(r, out, &data);
    for (int i = 0; status == ATTUNE_OK && i < count; i++) {
        size_t from = (size_t)in[i]->dims[axis] * inner, to = (size_t)out->dims[axis] * inner;
        for (size_t j = 0; j < outer; j++) {
            memcpy(data + j * to + offset, in[i]->data + j * from, from * sizeof(float));
        }
        offset += from;
    }
    return status;
}

bool onnx_tensor_is_zero(const tensor *in)
{
    size_t i = 0;
    while (i < in->count && in->data[i] == 0.0f) {
        i++;
    }
    return i == in->count;
}

bool onnx_tensor_is(const tensor *in, int rank, int64_t dim0, int64_t dim1, int64_t dim2)
{
    const int64_t dims[] = {dim0, dim1, dim2};
    return in->rank == rank && memcmp(in->dims, dims, (size_t)rank * sizeof(int64_t)) == 0;
}

attune_status onnx_check_finite(const reader *r, const tensor *in, const char *what)
{
    for (size_t i = 0; i < in->count; i++) {
        if (!isfinite(in->data[i])) {
            return onnx_refuse(r, "%s holds a value that is not finite (%g at %zu)", what,
                               (double)in->data[i], i);
        }
    }
    return ATTUNE_OK;
}
