/* checkpoint_write.c - a checkpoint to a file, which takes its name when it is whole. */
#include "status/error.h"
#include "store/checkpoint_format.h"
#include "store/h5_attribute.h"
#include "store/new_file.h"

static bool write_network(attune_h5_file *file, const attune_network *network)
{
    char text[512];
    const int version = ATTUNE_CHECKPOINT_FORMAT_VERSION;
    bool written =
        attune_h5_write_text(file, file->id, "format", ATTUNE_CHECKPOINT_FORMAT_NAME) &&
        attune_h5_write_number(file, file->id, "format_version", H5T_STD_I32LE, H5T_NATIVE_INT,
                               &version) &&
        attune_h5_write_text(file, file->id, "attune_version", attune_version()) &&
        attune_h5_write_text(file, file->id, "network",
                             attune_network_json(network, text, sizeof(text))) &&
        attune_h5_write_text(file, file->id, "architecture",
                             attune_architecture_name(network->architecture)) &&
        attune_h5_write_text(file, file->id, "pooling", attune_pooling_name(network->pooling));
    for (int i = 0; written && i < ATTUNE_CHECKPOINT_NUMBERS; i++) {
        written = attune_h5_write_number(
            file, file->id, attune_checkpoint_numbers[i].name, H5T_STD_I32LE, H5T_NATIVE_INT,
            (const char *)network + attune_checkpoint_numbers[i].offset);
    }
    return written;
}

/* One f32 dataset, in one chunk: only chunks have checksums. */
static bool write_tensor(attune_h5_file *file, hid_t group, const attune_tensor *tensor,
                         const float *values)
{
    hsize_t extent[3];
    for (int i = 0; i < tensor->rank; i++) {
        extent[i] = (hsize_t)tensor->shape[i];
    }
    hid_t dataset = -1, space = H5Screate_simple(tensor->rank, extent, NULL),
          list = H5Pcreate(H5P_DATASET_CREATE);
    const bool written = space >= 0 && list >= 0 && H5Pset_obj_track_times(list, false) >= 0 &&
                         H5Pset_chunk(list, tensor->rank, extent) >= 0 &&
                         H5Pset_fletcher32(list) >= 0 &&
                         (dataset = H5Dcreate2(group, tensor->name, H5T_IEEE_F32LE, space,
                                               H5P_DEFAULT, list, H5P_DEFAULT)) >= 0 &&
                         H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                  values + tensor->offset) >= 0;
    if (!written) {
        attune_h5_note(file);
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return written;
}

/* A new group of the root without the time of day in it; -1 on failure. */
static hid_t create_group(attune_h5_file *file, const char *name)
{
    hid_t group = -1, list = H5Pcreate(H5P_GROUP_CREATE);
    if (list >= 0 && H5Pset_obj_track_times(list, false) >= 0) {
        group = H5Gcreate2(file->id, name, H5P_DEFAULT, list, H5P_DEFAULT);
    }
    if (group < 0) {
        attune_h5_note(file);
    }
    if (list >= 0) {
        H5Pclose(list);
    }
    return group;
}

static bool write_group(attune_h5_file *file, const attune_checkpoint_group *g)
{
    const hid_t group = create_group(file, g->name);
    bool written = group >= 0;
    for (int i = 0; written && i < g->count; i++) {
        written = write_tensor(file, group, &g->tensors[i], g->values);
    }
    if (group >= 0) {
        H5Gclose(group);
    }
    return written;
}

static bool write_state(attune_h5_file *file, const attune_checkpoint *c)
{
    const hid_t group = create_group(file, "state");
    bool written = group >= 0;
    for (size_t i = 0; written && i < c->value_count; i++) {
        const attune_checkpoint_value *value = &c->values[i];
        switch (value->kind) {
        case ATTUNE_CHECKPOINT_REAL:
            written = attune_h5_write_number(file, group, value->name, H5T_IEEE_F64LE,
                                             H5T_NATIVE_DOUBLE, &value->real);
            break;
        case ATTUNE_CHECKPOINT_INTEGER:
            written = attune_h5_write_number(file, group, value->name, H5T_STD_U64LE,
                                             H5T_NATIVE_UINT64, &value->integer);
            break;
        case ATTUNE_CHECKPOINT_TEXT:
            written = attune_h5_write_text(file, group, value->name, value->text);
            break;
        }
    }
    if (group >= 0) {
        H5Gclose(group);
    }
    return written;
}

static bool write_all(attune_h5_file *file, const attune_checkpoint *c)
{
    attune_checkpoint_group groups[ATTUNE_CHECKPOINT_GROUPS];
    attune_checkpoint_groups(groups, c);
    bool written = attune_h5_create(file) && write_network(file, &c->trainable.network);
    for (int i = 0; written && i < ATTUNE_CHECKPOINT_GROUPS; i++) {
        written = !groups[i].values || write_group(file, &groups[i]);
    }
    return written && write_state(file, c);
}

attune_status attune_checkpoint_write(const char *path, const attune_checkpoint *checkpoint)
{
    attune_new_file target;
    attune_h5_file file = ATTUNE_H5_FILE_CLOSED;
    attune_new_file_sweep(path);
    attune_status status = attune_new_file_open_checkpoint(&target, path);
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_h5_printing printing = attune_h5_quiet();
    file.fd = target.fd;
    const bool written = write_all(&file, checkpoint);
    if (!attune_h5_close(&file) || !written || file.error) {
        status = attune_h5_fail(ATTUNE_EIO, &file, path, "cannot write");
    }
    attune_h5_restore(printing, status);
    if (status == ATTUNE_OK) {
        status = attune_new_file_publish(&target);
    }
    attune_new_file_close(&target);
    return status;
}
