/* checkpoint_read.c - a checkpoint from a file, nothing in which is believed: its network's bounds,
 * every tensor's name, type and shape, and, by HDF5's checksums, every byte. */
#include "status/error.h"
#include "store/checkpoint_format.h"
#include "store/h5_attribute.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A reader's place: the file, and the checkpoint that it becomes. */
typedef struct reading {
    attune_h5_file file;
    const char *path;
    attune_checkpoint *checkpoint;
} reading;

static attune_status open_file(reading *r)
{
    attune_status status = attune_h5_open_path(&r->file.fd, r->path, "a checkpoint of attune");
    char *format = NULL;
    int version = 0;
    if (status != ATTUNE_OK) {
        return status;
    }
    if (!attune_h5_open(&r->file)) {
        return attune_h5_fail(ATTUNE_EDATA, &r->file, r->path,
                              "damaged or cut short; make it again or restore a copy");
    }
    const bool ours = attune_h5_read_text(&r->file, r->file.id, "format", &format) &&
                      strcmp(format, ATTUNE_CHECKPOINT_FORMAT_NAME) == 0;
    free(format);
    if (!ours) {
        return attune_fail(
            ATTUNE_EDATA,
            "%s: an HDF5 file, but not a checkpoint of attune: no attribute 'format' = '%s'",
            r->path, ATTUNE_CHECKPOINT_FORMAT_NAME);
    }
    if (!attune_h5_read_number(&r->file, r->file.id, "format_version", H5T_INTEGER, H5T_NATIVE_INT,
                               &version)) {
        return attune_h5_fail(ATTUNE_EDATA, &r->file, r->path,
                              "has no whole number 'format_version'");
    }
    if (version != ATTUNE_CHECKPOINT_FORMAT_VERSION) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: a checkpoint of format version %d, and attune %s reads version %d; "
                           "use the attune that wrote it",
                           r->path, version, attune_version(), ATTUNE_CHECKPOINT_FORMAT_VERSION);
    }
    return ATTUNE_OK;
}

static attune_status missing(reading *r, const char *attribute)
{
    char what[100];
    snprintf(what, sizeof(what), "its attribute '%s' is missing or not as it should be", attribute);
    return attune_h5_fail(ATTUNE_EDATA, &r->file, r->path, what);
}

/* Which of `names` the text attribute is; -1: none, or there is no such attribute. */
static int read_choice(reading *r, const char *attribute, const char *const *names, int count)
{
    char *text = NULL;
    int choice = -1;
    if (attune_h5_read_text(&r->file, r->file.id, attribute, &text)) {
        for (int i = 0; i < count; i++) {
            choice = strcmp(text, names[i]) == 0 ? i : choice;
        }
    }
    free(text);
    return choice;
}

static attune_status read_network(reading *r, attune_network *network)
{
    const char *const architectures[] = {attune_architecture_name(ATTUNE_ARCHITECTURE_TINY),
                                         attune_architecture_name(ATTUNE_ARCHITECTURE_GRU)};
    const char *const poolings[] = {attune_pooling_name(ATTUNE_POOLING_ATTENTION),
                                    attune_pooling_name(ATTUNE_POOLING_MEAN),
                                    attune_pooling_name(ATTUNE_POOLING_LAST)};
    const int architecture = read_choice(r, "architecture", architectures, 2);
    const int pooling = architecture < 0 ? -1 : read_choice(r, "pooling", poolings, 3);
    *network = (attune_network){0};
    if (architecture < 0 || pooling < 0) {
        return missing(r, architecture < 0 ? "architecture" : "pooling");
    }
    network->architecture = (attune_architecture)architecture;
    network->pooling = (attune_pooling)pooling;
    for (int i = 0; i < ATTUNE_CHECKPOINT_NUMBERS; i++) {
        const char *name = attune_checkpoint_numbers[i].name;
        if (!attune_h5_read_number(&r->file, r->file.id, name, H5T_INTEGER, H5T_NATIVE_INT,
                                   (char *)network + attune_checkpoint_numbers[i].offset)) {
            return missing(r, name);
        }
    }
    const attune_status status = attune_network_check(network);
    if (status == ATTUNE_EINVAL) {
        char reason[200];
        snprintf(reason, sizeof(reason), "%s", attune_last_error());
        return attune_fail(ATTUNE_EDATA, "%s: %s", r->path, reason);
    }
    return status;
}

/* Whether the dataset is f32 of the tensor's shape. */
static bool fits(hid_t dataset, const attune_tensor *tensor)
{
    hsize_t extent[3] = {0, 0, 0};
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    bool good = space >= 0 && type >= 0 && H5Tget_class(type) == H5T_FLOAT &&
                H5Tget_size(type) == sizeof(float) &&
                H5Sget_simple_extent_ndims(space) == tensor->rank &&
                H5Sget_simple_extent_dims(space, extent, NULL) == tensor->rank;
    for (int i = 0; good && i < tensor->rank; i++) {
        good = extent[i] == (hsize_t)tensor->shape[i];
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return good;
}

/* "f32 (384, 64)". */
static void describe(char *out, size_t capacity, const attune_tensor *tensor)
{
    size_t length = (size_t)snprintf(out, capacity, "f32 (");
    for (int i = 0; i < tensor->rank && length < capacity; i++) {
        length += (size_t)snprintf(out + length, capacity - length, "%s%d", i ? ", " : "",
                                   tensor->shape[i]);
    }
    if (length < capacity) {
        snprintf(out + length, capacity - length, ")");
    }
}

static attune_status read_tensor(reading *r, const attune_checkpoint_group *g,
                                 const attune_tensor *tensor)
{
    char name[100], what[200], shape[60];
    snprintf(name, sizeof(name), "/%s/%s", g->name, tensor->name);
    const hid_t dataset = H5Dopen2(r->file.id, name, H5P_DEFAULT);
    attune_status status = ATTUNE_OK;
    if (dataset < 0) {
        attune_h5_note(&r->file);
        snprintf(what, sizeof(what), "cannot open its dataset %s", name);
        return attune_h5_fail(ATTUNE_EDATA, &r->file, r->path, what);
    }
    if (!fits(dataset, tensor)) {
        describe(shape, sizeof(shape), tensor);
        status = attune_fail(ATTUNE_EDATA, "%s: its dataset %s is not %s, as its network asks for",
                             r->path, name, shape);
    } else if (H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                       g->values + tensor->offset) < 0) {
        attune_h5_note(&r->file);
        snprintf(what, sizeof(what), "cannot read its dataset %s", name);
        status = attune_h5_fail(ATTUNE_EDATA, &r->file, r->path, what);
    }
    H5Dclose(dataset);
    return status;
}

/* That everything which embeds is a number, and variances are not negative. */
static attune_status check_finite(const reading *r, const attune_checkpoint_group *g)
{
    for (int i = 0; i < g->count; i++) {
        const attune_tensor *tensor = &g->tensors[i];
        const bool variance = strstr(tensor->name, ".running_var") != NULL;
        for (size_t j = 0; j < tensor->count; j++) {
            const float value = g->values[tensor->offset + j];
            if (!isfinite(value) || (variance && value < 0)) {
                return attune_fail(ATTUNE_EDATA,
                                   "%s: /%s/%s holds %g, with which nothing can be embedded; go "
                                   "back to an earlier checkpoint",
                                   r->path, g->name, tensor->name, (double)value);
            }
        }
    }
    return ATTUNE_OK;
}

static attune_status read_tensors(reading *r)
{
    attune_checkpoint_group groups[ATTUNE_CHECKPOINT_GROUPS];
    attune_checkpoint_groups(groups, r->checkpoint);
    attune_status status = ATTUNE_OK;
    for (int i = 0; i < ATTUNE_CHECKPOINT_GROUPS && groups[i].values; i++) {
        for (int j = 0; status == ATTUNE_OK && j < groups[i].count; j++) {
            status = read_tensor(r, &groups[i], &groups[i].tensors[j]);
        }
        if (status == ATTUNE_OK && i < 2) {
            status = check_finite(r, &groups[i]);
        }
        if (status != ATTUNE_OK) {
            break;
        }
    }
    return status;
}

/* The class of an attribute's type. */
static H5T_class_t class_of(hid_t where, const char *name)
{
    H5T_class_t class = H5T_NO_CLASS;
    const hid_t attribute = H5Aopen(where, name, H5P_DEFAULT);
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    if (type >= 0) {
        class = H5Tget_class(type);
        H5Tclose(type);
    }
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    return class;
}

/* Called for each attribute of /state; a positive result ends the walk. */
static herr_t read_value(hid_t where, const char *name, const H5A_info_t *info, void *data)
{
    reading *r = data;
    double real = 0;
    uint64_t integer = 0;
    char *text = NULL;
    bool read = false;
    attune_status status = ATTUNE_OK;
    (void)info;
    switch (class_of(where, name)) {
    case H5T_FLOAT:
        read = attune_h5_read_number(&r->file, where, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, &real);
        status = read ? attune_checkpoint_set_real(r->checkpoint, name, real) : ATTUNE_EDATA;
        break;
    case H5T_INTEGER:
        read =
            attune_h5_read_number(&r->file, where, name, H5T_INTEGER, H5T_NATIVE_UINT64, &integer);
        status = read ? attune_checkpoint_set_integer(r->checkpoint, name, integer) : ATTUNE_EDATA;
        break;
    case H5T_STRING:
        read = attune_h5_read_text(&r->file, where, name, &text);
        status = read ? attune_checkpoint_set_text(r->checkpoint, name, text) : ATTUNE_EDATA;
        break;
    default:
        status = ATTUNE_EDATA;
        break;
    }
    free(text);
    if (status == ATTUNE_EDATA || status == ATTUNE_EINVAL) {
        char what[120];
        snprintf(what, sizeof(what), "its state's '%.63s' is no number or text with a short name",
                 name);
        status = attune_h5_fail(ATTUNE_EDATA, &r->file, r->path, what);
    }
    return status == ATTUNE_OK ? 0 : (herr_t)-status;
}

static attune_status read_state(reading *r)
{
    const hid_t group = H5Gopen2(r->file.id, "state", H5P_DEFAULT);
    if (group < 0) {
        attune_h5_note(&r->file);
        return attune_h5_fail(ATTUNE_EDATA, &r->file, r->path, "cannot open its group /state");
    }
    hsize_t at = 0;
    const herr_t ended = H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_INC, &at, read_value, r);
    attune_status status = ATTUNE_OK;
    if (ended > 0) {
        status = (attune_status)-ended;
    } else if (ended < 0) {
        attune_h5_note(&r->file);
        status = attune_h5_fail(ATTUNE_EDATA, &r->file, r->path, "cannot read its group /state");
    }
    H5Gclose(group);
    return status;
}

static attune_status read_all(reading *r)
{
    attune_network network;
    attune_status status = open_file(r);
    if (status == ATTUNE_OK) {
        status = read_network(r, &network);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    const bool moments = H5Lexists(r->file.id, "moment1", H5P_DEFAULT) > 0;
    status = attune_checkpoint_create(&r->checkpoint, &network, moments);
    if (status != ATTUNE_OK) {
        return status;
    }
    char *path = strdup(r->path);
    if (!path) {
        return attune_fail_memory("a path", strlen(r->path));
    }
    free(r->checkpoint->path);
    r->checkpoint->path = path;
    status = read_tensors(r);
    return status == ATTUNE_OK ? read_state(r) : status;
}

attune_status attune_checkpoint_read(attune_checkpoint **out, const char *path)
{
    reading r = {.file = ATTUNE_H5_FILE_CLOSED, .path = path};
    *out = NULL;
    attune_h5_printing printing = attune_h5_quiet();
    attune_status status = read_all(&r);
    attune_h5_close(&r.file);
    attune_h5_restore(printing, status);
    if (r.file.fd >= 0) {
        close(r.file.fd);
    }
    if (status != ATTUNE_OK) {
        attune_checkpoint_close(r.checkpoint);
        return status;
    }
    *out = r.checkpoint;
    return ATTUNE_OK;
}
