/* device.c - the device that trains. */
#include "train/device.h"

#include "engine/devices.h"
#include "status/error.h"

#include <string.h>

attune_status attune_train_device(const attune_training_kernels **kernels, int *ordinal,
                                  const char *name)
{
    const attune_batch_kernels *cuda = attune_kernels_cuda();
    const bool is_cuda = strncmp(name, cuda->device, strlen(cuda->device)) == 0;
    attune_devices devices;
    *kernels = NULL;
    *ordinal = 0;
    if (strchr(name, ',') || (!is_cuda && strcmp(name, "cpu") != 0)) {
        return attune_fail(ATTUNE_EINVAL, "device: '%s' is none of cpu, cuda and cuda:N", name);
    }
    attune_status status = attune_devices_parse(&devices, name, cuda);
    if (status || devices.count == 0) {
        return status ? status : attune_training_cpu(kernels);
    }
    *kernels = attune_training_cuda();
    *ordinal = devices.ordinals[0];
    return ATTUNE_OK;
}
