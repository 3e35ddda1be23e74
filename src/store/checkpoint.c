/* checkpoint.c - a checkpoint in memory: its arrays and its named values. The file is
 * checkpoint_read.c's and checkpoint_write.c's. */
#include "store/checkpoint.h"

#include "status/error.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 63 };

attune_status attune_checkpoint_create(attune_checkpoint **out, const attune_network *network,
                                       bool with_moments)
{
    attune_checkpoint *c = calloc(1, sizeof(*c));
    *out = NULL;
    if (!c) {
        return attune_fail_memory("a checkpoint", sizeof(*c));
    }
    attune_status status = attune_trainable_layout(&c->trainable, network);
    if (status != ATTUNE_OK) {
        free(c);
        return status;
    }
    const size_t parameters = c->trainable.parameter_count;
    const size_t count = (with_moments ? 3 : 1) * parameters + c->trainable.statistic_count;
    c->arena = calloc(count, sizeof(float));
    c->path = strdup("");
    if (!c->arena || !c->path) {
        attune_checkpoint_close(c);
        return attune_fail_memory("a checkpoint", count * sizeof(float));
    }
    c->parameters = c->arena;
    c->statistics = c->parameters + parameters;
    if (with_moments) {
        c->moment1 = c->statistics + c->trainable.statistic_count;
        c->moment2 = c->moment1 + parameters;
    }
    *out = c;
    return ATTUNE_OK;
}

void attune_checkpoint_close(attune_checkpoint *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->value_count; i++) {
        free(c->values[i].name);
        free(c->values[i].text);
    }
    free(c->values);
    free(c->arena);
    free(c->path);
    free(c);
}

/* The value of that name, or NULL. */
static attune_checkpoint_value *find(const attune_checkpoint *c, const char *name)
{
    for (size_t i = 0; i < c->value_count; i++) {
        if (strcmp(c->values[i].name, name) == 0) {
            return &c->values[i];
        }
    }
    return NULL;
}

/* A place of its own for `value`, whose name and text are copied. */
static attune_status set(attune_checkpoint *c, const char *name, attune_checkpoint_value value)
{
    const size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_BYTES) {
        return attune_fail(ATTUNE_EINVAL, "'%s' is no name for a checkpoint's value", name);
    }
    const char *text = value.text;
    attune_checkpoint_value *old = find(c, name);
    value.name = strdup(name);
    value.text = text ? strdup(text) : NULL;
    attune_checkpoint_value *longer =
        old ? c->values : realloc(c->values, (c->value_count + 1) * sizeof(*longer));
    if (longer) {
        c->values = longer;
    }
    if (!value.name || (text && !value.text) || !longer) {
        free(value.name);
        free(value.text);
        return attune_fail_memory("a checkpoint's value", length);
    }
    if (old) {
        free(old->name);
        free(old->text);
        *old = value;
    } else {
        c->values[c->value_count++] = value;
    }
    return ATTUNE_OK;
}

attune_status attune_checkpoint_set_real(attune_checkpoint *c, const char *name, double real)
{
    return set(c, name, (attune_checkpoint_value){.kind = ATTUNE_CHECKPOINT_REAL, .real = real});
}

attune_status attune_checkpoint_set_integer(attune_checkpoint *c, const char *name,
                                            uint64_t integer)
{
    return set(c, name,
               (attune_checkpoint_value){.kind = ATTUNE_CHECKPOINT_INTEGER, .integer = integer});
}

attune_status attune_checkpoint_set_text(attune_checkpoint *c, const char *name, const char *text)
{
    return set(
        c, name,
        (attune_checkpoint_value){.kind = ATTUNE_CHECKPOINT_TEXT, .text = (char *)(uintptr_t)text});
}

/* The value of that name and kind. */
static attune_status get(const attune_checkpoint_value **out, const attune_checkpoint *c,
                         const char *name, attune_checkpoint_kind kind)
{
    static const char *const kinds[] = {"real number", "whole number", "text"};
    *out = find(c, name);
    if (*out && (*out)->kind == kind) {
        return ATTUNE_OK;
    }
    return attune_fail(ATTUNE_EDATA,
                       "%s: its state has no %s '%s'; it is no checkpoint to go on from",
                       *c->path ? c->path : "checkpoint", kinds[kind], name);
}

attune_status attune_checkpoint_get_real(double *out, const attune_checkpoint *c, const char *name)
{
    const attune_checkpoint_value *value = NULL;
    const attune_status status = get(&value, c, name, ATTUNE_CHECKPOINT_REAL);
    if (status == ATTUNE_OK) {
        *out = value->real;
    }
    return status;
}

attune_status attune_checkpoint_get_integer(uint64_t *out, const attune_checkpoint *c,
                                            const char *name)
{
    const attune_checkpoint_value *value = NULL;
    const attune_status status = get(&value, c, name, ATTUNE_CHECKPOINT_INTEGER);
    if (status == ATTUNE_OK) {
        *out = value->integer;
    }
    return status;
}

attune_status attune_checkpoint_get_text(const char **out, const attune_checkpoint *c,
                                         const char *name)
{
    const attune_checkpoint_value *value = NULL;
    const attune_status status = get(&value, c, name, ATTUNE_CHECKPOINT_TEXT);
    if (status == ATTUNE_OK) {
        *out = value->text;
    }
    return status;
}
