/* onnx_read.c - opens an ONNX file and runs its graph on symbols, as onnx_reader.h describes.
 *
 * Nothing in the file is trusted: sizes, nesting and counts are bounded before they cost memory or
 * stack, and every refusal is one line that names the file and the node. */
#include "model/onnx_reader.h"
#include "status/digest.h"
#include "status/error.h"
#include "status/hash.h"
#include "status/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 256 << 20, /* bytes; the largest network within our bounds has 202 MB */
    NODES_MAX = 20000,    /* exporters' graphs have some hundreds */
    OPSET_MIN = 11,
    OPSET_MAX = 24,
    SAMPLE_RATE = 22050, /* Hz; ONNX does not record it */
};
/* Bytes that a graph may ask for: exporters that leave constants unfolded copy the parameters up to
 * three times. */
static const size_t ARENA_BASE = (size_t)16 << 20, ARENA_PER_BYTE = 4;

typedef struct arena_block {
    struct arena_block *next;
    max_align_t data[];
} arena_block;

/* A name in the graph, and its meaning once it has one. */
typedef struct name_entry {
    const char *name;
    const Onnx__TensorProto *initializer; /* read when first used */
    value *meaning;
    bool is_live; /* the output depends on it */
} name_entry;

/* Open addressing; `capacity` is a power of two, at least twice the names. */
typedef struct name_table {
    name_entry *table;
    size_t capacity;
} name_table;

attune_status onnx_refuse(const reader *r, const char *format, ...)
{
    char text[512], number[32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!r->node) {
        return attune_fail(ATTUNE_EDATA, "%s: %s", r->path, text);
    }
    const char *name = r->node->name;
    snprintf(number, sizeof(number), "%zu", r->node_index);
    return attune_fail(ATTUNE_EDATA, "%s: node '%.100s' (%.40s): %s", r->path,
                       name && *name ? name : number, r->node->op_type ? r->node->op_type : "",
                       text);
}

void *onnx_allocate(reader *r, size_t size)
{
    size += sizeof(arena_block);
    if (size > r->arena_max - r->arena_used) {
        r->is_greedy = true;
        attune_fail(ATTUNE_EDATA, "%s: wants more memory than any network of ours", r->path);
        return NULL;
    }
    arena_block *block = calloc(1, size);
    if (!block) {
        attune_fail_memory("reading an ONNX model", size);
        return NULL;
    }
    r->arena_used += size;
    block->next = r->arena;
    r->arena = block;
    return block->data;
}

static void free_arena(reader *r)
{
    while (r->arena) {
        arena_block *next = r->arena->next;
        free(r->arena);
        r->arena = next;
    }
}

/* The name's place in the table: where it is, or where it would go. */
static name_entry *find(const name_table *s, const char *name)
{
    const uint64_t hash = attune_hash(ATTUNE_HASH_BEGIN, name, strlen(name));
    size_t i = (size_t)(hash ^ (hash >> 32)) & (s->capacity - 1);
    while (s->table[i].name && strcmp(s->table[i].name, name) != 0) {
        i = (i + 1) & (s->capacity - 1);
    }
    return &s->table[i];
}

static attune_status define(const reader *r, const name_table *s, const char *name,
                            name_entry **out)
{
    if (!name || !*name) {
        return onnx_refuse(r, "a tensor has no name");
    }
    *out = find(s, name);
    if ((*out)->name) {
        return onnx_refuse(r, "tensor '%.80s' is made twice", name);
    }
    (*out)->name = name;
    return ATTUNE_OK;
}

/* The audio: float, (batch, samples), each constant or not. */
static attune_status read_input(reader *r, name_entry *entry, const Onnx__ValueInfoProto *input)
{
    const Onnx__TypeProto__Tensor *type =
        input->type && input->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
            ? input->type->tensor_type
            : NULL;
    if (!type || type->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || !type->shape ||
        type->shape->n_dim != 2) {
        return onnx_refuse(r, "the input must be float (batch, samples)");
    }
    extent sizes[2];
    for (int i = 0; i < 2; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[i];
        bool fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (fixed && (dim->dim_value < 1 || dim->dim_value > INT32_MAX)) {
            return onnx_refuse(r, "the input's axis %d has extent %lld", i,
                               (long long)dim->dim_value);
        }
        sizes[i] = fixed ? onnx_extent_constant(dim->dim_value)
                         : onnx_extent_symbol(i == 0 ? SYMBOL_BATCH : SYMBOL_SAMPLES);
    }
    value *audio = onnx_allocate(r, sizeof(*audio));
    content *what = onnx_allocate(r, sizeof(*what));
    if (!audio || !what) {
        return ATTUNE_ENOMEM;
    }
    what->kind = CONTENT_AUDIO;
    what->network.sample_rate = SAMPLE_RATE;
    what->samples = sizes[1];
    audio->kind = VALUE_ACTIVATION;
    audio->content = what;
    onnx_layout_push(&audio->layout, ROLE_BATCH, sizes[0]);
    onnx_layout_push(&audio->layout, ROLE_SAMPLES, sizes[1]);
    entry->meaning = audio;
    return ATTUNE_OK;
}

static attune_status define_inputs(reader *r, const name_table *s)
{
    name_entry *entry = NULL;
    size_t inputs = 0;
    attune_status status = ATTUNE_OK;
    for (size_t i = 0; !status && i < r->graph->n_initializer; i++) {
        const Onnx__TensorProto *initializer = r->graph->initializer[i];
        status = define(r, s, initializer->name, &entry);
        if (!status) {
            entry->initializer = initializer;
        }
    }
    for (size_t i = 0; !status && i < r->graph->n_input; i++) {
        const Onnx__ValueInfoProto *input = r->graph->input[i];
        if (input->name && find(s, input->name)->initializer) {
            continue; /* an initialiser that a caller could replace */
        }
        if (inputs++ > 0) {
            return onnx_refuse(r, "the graph has more than one input");
        }
        status = define(r, s, input->name, &entry);
        status = status ? status : read_input(r, entry, input);
    }
    return !status && inputs == 0 ? onnx_refuse(r, "the graph has no input") : status;
}

static attune_status define_outputs(reader *r, const name_table *s)
{
    name_entry *entry = NULL;
    for (size_t i = 0; i < r->graph->n_node; i++) {
        r->node = r->graph->node[i];
        r->node_index = i;
        const char *domain = r->node->domain;
        if (domain && *domain && strcmp(domain, "ai.onnx") != 0) {
            return onnx_refuse(r, "operators of domain '%.60s' are not read", domain);
        }
        for (size_t j = 0; j < r->node->n_output; j++) {
            attune_status status =
                *r->node->output[j] ? define(r, s, r->node->output[j], &entry) : ATTUNE_OK;
            if (status) {
                return status;
            }
        }
    }
    r->node = NULL;
    return ATTUNE_OK;
}

/* Marks what the output depends on. Nodes stand in order, so one pass from the last to the first
 * sees every reader of a tensor before its maker; where they do not, run_graph() refuses. */
static void mark_live(const reader *r, const name_table *s, bool *live)
{
    find(s, r->graph->output[0]->name)->is_live = true;
    for (size_t i = r->graph->n_node; i-- > 0;) {
        const Onnx__NodeProto *node = r->graph->node[i];
        for (size_t j = 0; j < node->n_output; j++) {
            live[i] = live[i] || (*node->output[j] && find(s, node->output[j])->is_live);
        }
        for (size_t j = 0; live[i] && j < node->n_input; j++) {
            name_entry *entry = find(s, node->input[j]);
            entry->is_live = entry->name != NULL;
        }
    }
}

static attune_status resolve_input(reader *r, const name_table *s, const char *name,
                                   const value **out)
{
    name_entry *entry = find(s, name);
    if (!entry->name) {
        return onnx_refuse(r, "reads tensor '%.80s', which the graph does not have", name);
    }
    if (!entry->meaning && entry->initializer) {
        attune_status status = onnx_read_tensor(r, &entry->meaning, entry->initializer, name);
        if (status) {
            return status;
        }
    }
    *out = entry->meaning;
    return *out
               ? ATTUNE_OK
               : onnx_refuse(
                     r, "reads tensor '%.80s', which no node before it makes in a way that is read",
                     name);
}

static attune_status run_node(reader *r, const name_table *s)
{
    call c = {.reader = r, .node = r->node, .in_count = (int)r->node->n_input};
    attune_status status = ATTUNE_OK;
    if (r->node->n_input > ARGUMENTS_MAX) {
        return onnx_refuse(r, "has %zu inputs", r->node->n_input);
    }
    for (int i = 0; !status && i < c.in_count; i++) {
        if (*r->node->input[i]) {
            status = resolve_input(r, s, r->node->input[i], &c.in[i]);
        }
    }
    status = status ? status : onnx_run_node(&c);
    for (size_t i = 0; !status && i < r->node->n_output && i < 2; i++) {
        if (*r->node->output[i]) {
            find(s, r->node->output[i])->meaning = c.out[i];
        }
    }
    return status;
}

static attune_status run_graph(reader *r, const name_table *s, const bool *live)
{
    attune_status status = ATTUNE_OK;
    for (size_t i = 0; !status && i < r->graph->n_node; i++) {
        r->node = r->graph->node[i];
        r->node_index = i;
        status = live[i] ? run_node(r, s) : ATTUNE_OK;
    }
    if (!status) {
        r->node = NULL;
    }
    return status;
}

static attune_status check_output(const reader *r, const name_table *s, const content **out)
{
    const char *name = r->graph->output[0]->name;
    const value *result = find(s, name)->meaning;
    if (!result || result->kind != VALUE_ACTIVATION) {
        return onnx_refuse(r, "output '%.80s' is not computed from the audio", name);
    }
    if (result->content->kind != CONTENT_EMBEDDING) {
        return onnx_refuse(r, "output '%.80s' is %s, not the embedding", name,
                           onnx_describe(result->content));
    }
    if (result->layout.rank != 2 || !onnx_layout_is(&result->layout, 0, ROLE_BATCH) ||
        !onnx_layout_is(&result->layout, 1, ROLE_CHANNEL)) {
        return onnx_refuse(r, "output '%.80s' must be (batch, components)", name);
    }
    *out = result->content;
    return ATTUNE_OK;
}

static attune_status read_graph(reader *r, attune_model **out)
{
    const Onnx__GraphProto *graph = r->graph;
    if (graph->n_sparse_initializer > 0) {
        return onnx_refuse(r, "sparse tensors are not read");
    }
    if (graph->n_output != 1 || !graph->output[0]->name) {
        return onnx_refuse(r, "the graph has %zu outputs, not one", graph->n_output);
    }
    size_t names = graph->n_initializer + graph->n_input;
    for (size_t i = 0; i < graph->n_node; i++) {
        names += graph->node[i]->n_output;
    }
    if (graph->n_node > NODES_MAX || names > 4 * NODES_MAX) {
        return onnx_refuse(
            r, "the graph has %zu nodes and %zu tensors, more than any AudioEmbedding network",
            graph->n_node, names);
    }
    name_table s = {.capacity = 16};
    while (s.capacity < 2 * (names + 1)) {
        s.capacity *= 2;
    }
    s.table = onnx_allocate(r, s.capacity * sizeof(*s.table));
    bool *live = onnx_allocate(r, (graph->n_node + 1) * sizeof(*live));
    const content *embedding = NULL;
    if (!s.table || !live) {
        return ATTUNE_ENOMEM;
    }
    attune_status status = define_inputs(r, &s);
    status = status ? status : define_outputs(r, &s);
    if (!status && !find(&s, graph->output[0]->name)->name) {
        return onnx_refuse(r, "no node makes the output '%.80s'", graph->output[0]->name);
    }
    if (!status) {
        mark_live(r, &s, live);
        status = run_graph(r, &s, live);
    }
    status = status ? status : check_output(r, &s, &embedding);
    return status ? status : onnx_collect(r, out, embedding);
}

static attune_status read_model(reader *r, attune_model **out, const Onnx__ModelProto *model)
{
    if (!model->graph || model->n_opset_import == 0) {
        return onnx_refuse(r, "not an ONNX model");
    }
    if (model->n_functions > 0) {
        return onnx_refuse(r, "the model has functions of its own; export it with them inlined");
    }
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        if (!set->domain || !*set->domain || strcmp(set->domain, "ai.onnx") == 0) {
            r->opset = set->version;
        }
    }
    if (r->opset < OPSET_MIN || r->opset > OPSET_MAX) {
        return onnx_refuse(r, "opset %lld; opsets %d to %d are read", (long long)r->opset,
                           OPSET_MIN, OPSET_MAX);
    }
    r->graph = model->graph;
    return read_graph(r, out);
}

/* What the file says that it is called. */
static const char *name_of(const Onnx__ModelProto *message)
{
    for (size_t i = 0; i < message->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = message->metadata_props[i];
        if (entry->key && strcmp(entry->key, "name") == 0 && entry->value && *entry->value) {
            return entry->value;
        }
    }
    return "model";
}

attune_status attune_model_parse(attune_model **out, const void *bytes, size_t size,
                                 const char *name)
{
    static const char hdf5[] = "\x89HDF\r\n\x1a\n";
    const bool unnamed = !name;
    name = name ? name : "model";
    reader r = {.path = name, .arena_max = ARENA_BASE + ARENA_PER_BYTE * size};
    attune_model *model = NULL;
    *out = NULL;
    if (size == 0) {
        return attune_fail(ATTUNE_EDATA, "%s: empty, not an ONNX model", name);
    }
    if (size >= sizeof(hdf5) && memcmp(bytes, hdf5, sizeof(hdf5) - 1) == 0) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: an HDF5 file, not ONNX; attune export writes a checkpoint as ONNX",
                           name);
    }
    if (size > FILE_MAX) {
        return attune_fail(ATTUNE_EDATA, "%s: %zu MiB, more than any AudioEmbedding network", name,
                           size >> 20);
    }
    attune_status status = onnx_check_wire(name, bytes, size);
    if (status) {
        return status;
    }
    Onnx__ModelProto *message = onnx__model_proto__unpack(NULL, size, bytes);
    if (message && unnamed) {
        r.path = name_of(message);
    }
    status = message ? read_model(&r, &model, message)
                     : attune_fail(ATTUNE_EDATA, "%s: not an ONNX file, or cut short", name);
    status = status ? status : attune_digest_bytes(model->sha256, ATTUNE_SHA256, bytes, size);
    status = r.is_greedy ? ATTUNE_EDATA : status;
    free_arena(&r);
    onnx__model_proto__free_unpacked(message, NULL);
    if (status) {
        attune_model_close(model);
        return status;
    }
    *out = model;
    return ATTUNE_OK;
}

/* Reads a regular file of at most FILE_MAX bytes into *bytes (malloc'ed). */
static attune_status read_bytes(int file, const char *path, uint8_t **bytes, size_t *size)
{
    struct stat about;
    if (fstat(file, &about) != 0) {
        return attune_fail(ATTUNE_EIO, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        return attune_fail(ATTUNE_EDATA, "%s: %s, not an ONNX file", path,
                           S_ISDIR(about.st_mode) ? "a folder" : "not a regular file");
    }
    if (about.st_size > FILE_MAX) {
        return attune_fail(ATTUNE_EDATA, "%s: %lld MiB, more than any AudioEmbedding network", path,
                           (long long)about.st_size >> 20);
    }
    *bytes = malloc((size_t)about.st_size + 1);
    if (!*bytes) {
        return attune_fail_memory(path, (unsigned long long)about.st_size);
    }
    const ssize_t got = attune_read_at(file, *bytes, (size_t)about.st_size, 0);
    *size = got > 0 ? (size_t)got : 0; /* cut short while we read: parsing says so */
    return got < 0 ? attune_fail(ATTUNE_EIO, "%s: %s", path, strerror(errno)) : ATTUNE_OK;
}

attune_status attune_model_open(attune_model **out, const char *path)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    *out = NULL;
    /* Without O_NONBLOCK, opening a pipe would wait for a writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: %s", *path ? path : "\"\"", strerror(errno));
    }
    attune_status status = read_bytes(file, path, &bytes, &size);
    status = status ? status : attune_model_parse(out, bytes, size, path);
    free(bytes);
    close(file);
    return status;
}
