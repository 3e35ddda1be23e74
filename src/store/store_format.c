/* store_format.c - names and types of the file's datasets and root attributes. */
#include "store/store_format.h"

const attune_attribute attune_attributes[ATTUNE_ATTRIBUTE_COUNT] = {
    {"model_sha256", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, model_sha256)},
    {"model_name", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, model_name)},
    {"network", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, network)},
    {"device", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, device)},
    {"precision", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, precision)},
    {"sample_rate", ATTUNE_ATTRIBUTE_INTEGER, offsetof(attune_store_attributes, sample_rate)},
    {"frame_size", ATTUNE_ATTRIBUTE_INTEGER, offsetof(attune_store_attributes, frame_size)},
    {"clip_start", ATTUNE_ATTRIBUTE_REAL, offsetof(attune_store_attributes, clip_start)},
    {"clip_seconds", ATTUNE_ATTRIBUTE_REAL, offsetof(attune_store_attributes, clip_seconds)},
    {"attune_version", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, attune_version)},
    {"libav", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, libav)},
    {"root", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, root)},
    {"command", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, command)},
    {"created", ATTUNE_ATTRIBUTE_STRING, offsetof(attune_store_attributes, created)},
};

const char *attune_column_name(attune_column column)
{
    static const char *const names[ATTUNE_COLUMN_COUNT] = {
        [ATTUNE_COLUMN_EMBEDDING] = "embedding",
        [ATTUNE_COLUMN_PATH] = "path",
        [ATTUNE_COLUMN_STATUS] = "status",
        [ATTUNE_COLUMN_ERROR] = "error",
        [ATTUNE_COLUMN_DURATION] = "duration",
        [ATTUNE_COLUMN_FRAMES] = "frames",
        [ATTUNE_COLUMN_SIZE] = "size",
        [ATTUNE_COLUMN_MTIME] = "mtime_ns",
        [ATTUNE_COLUMN_CHECKSUM] = "checksum",
        [ATTUNE_COLUMN_TRACK_ID] = "track_id",
        [ATTUNE_COLUMN_GENRE_TOP] = "genre_top",
        [ATTUNE_COLUMN_ARTIST_ID] = "artist_id",
        [ATTUNE_COLUMN_ALBUM_ID] = "album_id",
        [ATTUNE_COLUMN_SPLIT] = "split",
        [ATTUNE_COLUMN_DESCRIPTORS] = "descriptors",
    };
    return names[column];
}

bool attune_column_is_label(attune_column column)
{
    return column >= ATTUNE_COLUMN_TRACK_ID && column <= ATTUNE_COLUMN_SPLIT;
}

bool attune_column_is_optional(attune_column column)
{
    return attune_column_is_label(column) || column == ATTUNE_COLUMN_DESCRIPTORS;
}

int attune_column_width(attune_column column, int embedding)
{
    return column == ATTUNE_COLUMN_EMBEDDING     ? embedding
           : column == ATTUNE_COLUMN_DESCRIPTORS ? ATTUNE_DESCRIPTORS
                                                 : 1;
}

int attune_column_rank(attune_column column)
{
    return column == ATTUNE_COLUMN_EMBEDDING || column == ATTUNE_COLUMN_DESCRIPTORS ? 2 : 1;
}

const char attune_descriptors_scaling[] =
    "to -1..1 from: tempo 0..206 beats a minute; zero crossings 0..1 a sample; centroid and "
    "roll-off 0..11025 Hz; flatness 0..1; loudness -90..0 dB; intervals and triads 0..1 of the "
    "length of their vector, the lengths from 0..0.25 and 0..0.025, their ratio as an angle";

const char *attune_descriptor_name(attune_descriptor descriptor)
{
#define ATTUNE_X(name, text) text,
    static const char *const names[] = {ATTUNE_DESCRIPTOR_NAMES(ATTUNE_X)};
#undef ATTUNE_X
    return (unsigned)descriptor < ATTUNE_DESCRIPTORS ? names[descriptor] : "unknown";
}

static hid_t string_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, size) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        type = -1;
    }
    return type;
}

typedef struct named_value {
    const char *name;
    uint8_t value;
} named_value;

#define ATTUNE_X(constant, number, text) {text, number},
static const named_value statuses[] = {ATTUNE_TRACK_STATUSES(ATTUNE_X)};
static const named_value splits[] = {ATTUNE_FMA_SPLITS(ATTUNE_X)};
#undef ATTUNE_X

static hid_t enum_type(const named_value *values, size_t count)
{
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    for (size_t i = 0; type >= 0 && i < count; i++) {
        if (H5Tenum_insert(type, values[i].name, &values[i].value) < 0) {
            H5Tclose(type);
            type = -1;
        }
    }
    return type;
}

const char *attune_fma_split_name(attune_fma_split split)
{
    return (unsigned)split < ATTUNE_FMA_SPLIT_COUNT ? splits[split].name : "unknown";
}

hid_t attune_column_file_type(attune_column column)
{
    switch (column) {
    case ATTUNE_COLUMN_EMBEDDING:
    case ATTUNE_COLUMN_DESCRIPTORS:
        return H5Tcopy(H5T_IEEE_F32LE);
    case ATTUNE_COLUMN_DURATION:
        return H5Tcopy(H5T_IEEE_F64LE);
    case ATTUNE_COLUMN_FRAMES:
        return H5Tcopy(H5T_STD_U32LE);
    case ATTUNE_COLUMN_SIZE:
    case ATTUNE_COLUMN_CHECKSUM:
        return H5Tcopy(H5T_STD_U64LE);
    case ATTUNE_COLUMN_MTIME:
        return H5Tcopy(H5T_STD_I64LE);
    case ATTUNE_COLUMN_TRACK_ID:
    case ATTUNE_COLUMN_ARTIST_ID:
    case ATTUNE_COLUMN_ALBUM_ID:
        return H5Tcopy(H5T_STD_I32LE);
    default:
        return attune_column_memory_type(column);
    }
}

hid_t attune_column_memory_type(attune_column column)
{
    switch (column) {
    case ATTUNE_COLUMN_EMBEDDING:
    case ATTUNE_COLUMN_DESCRIPTORS:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case ATTUNE_COLUMN_PATH:
    case ATTUNE_COLUMN_ERROR:
        return string_type(H5T_VARIABLE);
    case ATTUNE_COLUMN_GENRE_TOP:
        return string_type(ATTUNE_GENRE_SIZE);
    case ATTUNE_COLUMN_STATUS:
        return enum_type(statuses, ATTUNE_TRACK_STATUS_COUNT);
    case ATTUNE_COLUMN_SPLIT:
        return enum_type(splits, ATTUNE_FMA_SPLIT_COUNT);
    case ATTUNE_COLUMN_DURATION:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case ATTUNE_COLUMN_FRAMES:
        return H5Tcopy(H5T_NATIVE_UINT32);
    case ATTUNE_COLUMN_SIZE:
    case ATTUNE_COLUMN_CHECKSUM:
        return H5Tcopy(H5T_NATIVE_UINT64);
    case ATTUNE_COLUMN_MTIME:
        return H5Tcopy(H5T_NATIVE_INT64);
    case ATTUNE_COLUMN_TRACK_ID:
    case ATTUNE_COLUMN_ARTIST_ID:
    case ATTUNE_COLUMN_ALBUM_ID:
        return H5Tcopy(H5T_NATIVE_INT32);
    case ATTUNE_COLUMN_COUNT:
        break;
    }
    return -1;
}
