/* devices.c - the device a user names. */
#include "engine/devices.h"

#include "status/error.h"

#include <stdlib.h>
#include <string.h>

static attune_status take_all(attune_devices *out, const char *name, int present)
{
    if (present <= 0) {
        char reason[512];
        attune_one_line(reason, sizeof(reason), attune_last_error());
        return attune_fail(ATTUNE_ENODEVICE, "device %s: %s", name,
                           *reason ? reason : "there is none on this machine");
    }
    for (int i = 0; i < present && i < ATTUNE_DEVICES_MAX; i++) {
        out->ordinals[out->count++] = i;
    }
    return ATTUNE_OK;
}

/* "KIND:ORDINAL" of `length` bytes. */
static attune_status take_one(attune_devices *out, const char *text, size_t length, int present)
{
    const char *kind = out->kernels->device;
    const size_t kind_length = strlen(kind);
    char *end = NULL;
    long ordinal = -1;
    if (length > kind_length + 1 && strncmp(text, kind, kind_length) == 0 &&
        text[kind_length] == ':' && text[kind_length + 1] >= '0' && text[kind_length + 1] <= '9') {
        ordinal = strtol(text + kind_length + 1, &end, 10);
    }
    if (ordinal < 0 || end != text + length) {
        return attune_fail(ATTUNE_EINVAL,
                           "device %.*s is not known; use auto, cpu, %s or %s:N[,%s:N...]",
                           (int)length, text, kind, kind, kind);
    }
    if (ordinal >= present) {
        if (present <= 0) {
            attune_devices all = {.kernels = out->kernels};
            return take_all(&all, text, present);
        }
        return attune_fail(ATTUNE_ENODEVICE, "device %.*s is not there; the last one is %s:%d",
                           (int)length, text, kind, present - 1);
    }
    for (int i = 0; i < out->count; i++) {
        if (out->ordinals[i] == (int)ordinal) {
            return attune_fail(ATTUNE_EINVAL, "device %.*s is named twice", (int)length, text);
        }
    }
    if (out->count == ATTUNE_DEVICES_MAX) {
        return attune_fail(ATTUNE_EINVAL, "more than %d devices", ATTUNE_DEVICES_MAX);
    }
    out->ordinals[out->count++] = (int)ordinal;
    return ATTUNE_OK;
}

attune_status attune_devices_parse(attune_devices *out, const char *name,
                                   const attune_batch_kernels *kernels)
{
    *out = (attune_devices){.kernels = kernels};
    if (strcmp(name, "cpu") == 0) {
        return ATTUNE_OK;
    }
    const int present = kernels->count();
    if (strcmp(name, "auto") == 0) {
        return present > 0 ? take_all(out, name, present) : ATTUNE_OK;
    }
    if (strcmp(name, kernels->device) == 0) {
        return take_all(out, name, present);
    }
    attune_status status = ATTUNE_OK;
    while (status == ATTUNE_OK) {
        const size_t length = strcspn(name, ",");
        status = take_one(out, name, length, present);
        if (!name[length]) {
            break;
        }
        name += length + 1;
    }
    return status;
}

attune_status attune_precision_parse(attune_precision *out, const char *name)
{
    *out = strcmp(name, "fast") == 0 ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT;
    if (*out == ATTUNE_PRECISION_FAST || strcmp(name, "exact") == 0) {
        return ATTUNE_OK;
    }
    return attune_fail(ATTUNE_EINVAL, "precision %s is not known; use exact or fast", name);
}
