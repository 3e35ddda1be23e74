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
        [ATTUNE_COLUMN_EMBEDDING] = "embedding", [ATTUNE_COLUMN_PATH] = "path",
        [ATTUNE_COLUMN_STATUS] = "status",       [ATTUNE_COLUMN_ERROR] = "error",
        [ATTUNE_COLUMN_DURATION] = "duration",   [ATTUNE_COLUMN_FRAMES] = "frames",
        [ATTUNE_COLUMN_SIZE] = "size",           [ATTUNE_COLUMN_MTIME] = "mtime_ns",
        [ATTUNE_COLUMN_CHECKSUM] = "checksum",
    };
    return names[column];
}

static hid_t string_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 &&
        (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        type = -1;
    }
    return type;
}

static hid_t status_type(void)
{
    static const struct {
        const char *name;
        uint8_t value;
    } statuses[] = {
#define ATTUNE_X(constant, number, text) {text, number},
        ATTUNE_TRACK_STATUSES(ATTUNE_X)
#undef ATTUNE_X
    };
    hid_t type = H5Tenum_create(H5T_STD_U8LE);
    for (size_t i = 0; type >= 0 && i < ATTUNE_TRACK_STATUS_COUNT; i++) {
        if (H5Tenum_insert(type, statuses[i].name, &statuses[i].value) < 0) {
            H5Tclose(type);
            type = -1;
        }
    }
    return type;
}

hid_t attune_column_file_type(attune_column column)
{
    switch (column) {
    case ATTUNE_COLUMN_EMBEDDING:
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
    default:
        return attune_column_memory_type(column);
    }
}

hid_t attune_column_memory_type(attune_column column)
{
    switch (column) {
    case ATTUNE_COLUMN_EMBEDDING:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case ATTUNE_COLUMN_PATH:
    case ATTUNE_COLUMN_ERROR:
        return string_type();
    case ATTUNE_COLUMN_STATUS:
        return status_type();
    case ATTUNE_COLUMN_DURATION:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case ATTUNE_COLUMN_FRAMES:
        return H5Tcopy(H5T_NATIVE_UINT32);
    case ATTUNE_COLUMN_SIZE:
    case ATTUNE_COLUMN_CHECKSUM:
        return H5Tcopy(H5T_NATIVE_UINT64);
    case ATTUNE_COLUMN_MTIME:
        return H5Tcopy(H5T_NATIVE_INT64);
    case ATTUNE_COLUMN_COUNT:
        break;
    }
    return -1;
}
