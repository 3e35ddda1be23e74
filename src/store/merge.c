/* merge.c - outputs sorted by path into one, streamed.
 *
 * First every input is looked into for its row count and its first and last path. Then inputs are
 * taken up in the order of their first paths, none before the merge has come to it, and a heap of
 * those under way gives the next row. Parts of one job follow each other, so few are under way at a
 * time; shards all overlap, and then a thousand may be. Therefore what is under way shares a fixed
 * number of open files and a fixed amount of memory: an input holds a block of rows, smaller the
 * more inputs there are at a time, and is opened again for the next one if others needed its place.
 *
 * The row written last stays in the batch until one of another path comes: only then is it known
 * that no later input has it too. */
#include "status/error.h"
#include "store/rows.h"
#include "store/store_format.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 24             /* files at a time; an open one takes about 1 MB */
#define BLOCKS_SIZE (32u << 20) /* bytes of all blocks; growth adds half to it at most */
#define PIECE_ROWS 256          /* rows read at a time until a block has its size */

typedef struct attune_merge_input {
    const char *path;
    size_t index;        /* its place in the caller's list */
    char *first, *last;  /* paths of its first and last row */
    uint64_t count;      /* rows */
    uint64_t next;       /* the first row behind the block */
    attune_store *store; /* NULL: closed */
    uint64_t used;       /* when it was last read from */
    attune_rows *rows;   /* the block; NULL before and after its turn */
    size_t at;           /* the next row of the block */
} attune_merge_input;

typedef struct attune_merge {
    attune_merge_input *inputs; /* those with rows, by their first paths */
    size_t count;
    int embedding;             /* E */
    attune_merge_input **heap; /* under way; each has a row at `at` */
    size_t heap_count;
    attune_merge_input *open[OPEN_MAX];
    size_t open_count;
    uint64_t clock;
    size_t block_size;              /* bytes */
    attune_rows *batch;             /* rows to write */
    size_t last_text;               /* length of the batch's text without its last row */
    const attune_merge_input *from; /* where its last row is from */
    attune_store_writer *writer;
    attune_merge_duplicates duplicates;
    bool (*keep)(void *user, const attune_row *row);
    void *user;
} attune_merge;

/* ---- looking into the inputs ---- */

static attune_status copy_path(char **out, attune_store *store, uint64_t row, attune_rows *rows)
{
    attune_rows_clear(rows);
    attune_status status = attune_store_read(store, row, 1, rows);
    if (status == ATTUNE_OK && !(*out = strdup(attune_rows_get(rows, 0).path))) {
        status = attune_fail_memory("a path", rows->text_length);
    }
    return status;
}

static attune_status check_width(attune_merge *merge, const attune_store *store, const char *path,
                                 const char *first)
{
    const int embedding = attune_store_attributes_of(store)->embedding;
    if (merge->embedding == 0) {
        merge->embedding = embedding;
        return attune_rows_create(&merge->batch, embedding);
    }
    if (embedding != merge->embedding) {
        return attune_fail(ATTUNE_EDATA, "%s: its embeddings have %d numbers, those of %s %d", path,
                           embedding, first, merge->embedding);
    }
    return ATTUNE_OK;
}

/* Notes what the input at `path` holds; one without rows is dropped again. */
static attune_status survey_input(attune_merge *merge, const char *const *paths, size_t index)
{
    attune_merge_input *input = &merge->inputs[merge->count];
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    attune_status status = attune_store_open(&store, paths[index]);
    if (status != ATTUNE_OK ||
        (status = check_width(merge, store, paths[index], paths[0])) != ATTUNE_OK) {
        goto done;
    }
    *input = (attune_merge_input){
        .path = paths[index], .index = index, .count = attune_store_count(store)};
    if (input->count == 0) {
        goto done;
    }
    merge->count++;
    if ((status = attune_rows_create(&rows, merge->embedding)) != ATTUNE_OK ||
        (status = copy_path(&input->first, store, 0, rows)) != ATTUNE_OK) {
        goto done;
    }
    status = copy_path(&input->last, store, input->count - 1, rows);
done:
    attune_rows_free(rows);
    attune_store_close(store);
    return status;
}

static int compare_inputs(const void *left, const void *right)
{
    const attune_merge_input *a = left, *b = right;
    const int order = strcmp(a->first, b->first);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sets the size of a block from how many inputs are under way at a time at most: as many have begun
 * at a first path as are not over there. */
static attune_status divide_memory(attune_merge *merge)
{
    const char **lasts = malloc((merge->count + 1) * sizeof(*lasts));
    size_t most = 1, over = 0;
    if (!lasts) {
        return attune_fail_memory("paths", merge->count * sizeof(*lasts));
    }
    for (size_t i = 0; i < merge->count; i++) {
        lasts[i] = merge->inputs[i].last;
    }
    qsort(lasts, merge->count, sizeof(*lasts), compare_texts);
    for (size_t i = 0; i < merge->count; i++) {
        while (over < i && strcmp(lasts[over], merge->inputs[i].first) < 0) {
            over++;
        }
        most = i + 1 - over > most ? i + 1 - over : most;
    }
    free(lasts);
    merge->block_size = BLOCKS_SIZE / most;
    return ATTUNE_OK;
}

/* ---- reading ---- */

static void close_input(attune_merge *merge, attune_merge_input *input)
{
    for (size_t i = 0; i < merge->open_count; i++) {
        if (merge->open[i] == input) {
            merge->open[i] = merge->open[--merge->open_count];
            attune_store_close(input->store);
            input->store = NULL;
            return;
        }
    }
}

/* Opens the input, in the place of the one unused for longest if there is no other. */
static attune_status open_input(attune_merge *merge, attune_merge_input *input)
{
    input->used = ++merge->clock;
    if (input->store) {
        return ATTUNE_OK;
    }
    if (merge->open_count == OPEN_MAX) {
        attune_merge_input *oldest = merge->open[0];
        for (size_t i = 1; i < OPEN_MAX; i++) {
            oldest = merge->open[i]->used < oldest->used ? merge->open[i] : oldest;
        }
        close_input(merge, oldest);
    }
    attune_status status = attune_store_open(&input->store, input->path);
    if (status != ATTUNE_OK) {
        return status;
    }
    merge->open[merge->open_count++] = input;
    if (attune_store_count(input->store) != input->count) {
        return attune_fail(ATTUNE_EDATA, "%s: has changed while it was merged; run again",
                           input->path);
    }
    return ATTUNE_OK;
}

/* Reads the input's next block, which has a row if the input has. */
static attune_status read_block(attune_merge *merge, attune_merge_input *input)
{
    const size_t row_size =
        sizeof(attune_record) + sizeof(float) * ((size_t)merge->embedding + ATTUNE_DESCRIPTORS);
    const size_t fitting = merge->block_size / (row_size + 64) + 1; /* with a path of 64 bytes */
    const size_t piece = fitting < PIECE_ROWS ? fitting : PIECE_ROWS;
    attune_status status = ATTUNE_OK;
    if (!input->rows) {
        status = attune_rows_create(&input->rows, merge->embedding);
    }
    if (status == ATTUNE_OK) {
        status = open_input(merge, input);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_rows_clear(input->rows);
    input->at = 0;
    while (status == ATTUNE_OK && input->next < input->count &&
           input->rows->count < ATTUNE_BLOCK_ROWS &&
           input->rows->count * row_size + input->rows->text_length < merge->block_size) {
        const uint64_t left = input->count - input->next;
        const size_t step = left < piece ? (size_t)left : piece;
        status = attune_store_read(input->store, input->next, step, input->rows);
        input->next += step;
    }
    return status;
}

/* ---- the heap ---- */

static const char *path_of(const attune_merge_input *input)
{
    return input->rows->text + input->rows->records[input->at].path;
}

/* By path, then in the order of the list. */
static bool before(const attune_merge_input *a, const attune_merge_input *b)
{
    const int order = strcmp(path_of(a), path_of(b));
    return order ? order < 0 : a->index < b->index;
}

static void sift_down(attune_merge *merge)
{
    attune_merge_input **heap = merge->heap, *top = heap[0];
    size_t at = 0;
    for (size_t child = 1; child < merge->heap_count; child = 2 * at + 1) {
        if (child + 1 < merge->heap_count && before(heap[child + 1], heap[child])) {
            child++;
        }
        if (!before(heap[child], top)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = top;
}

static void sift_up(attune_merge *merge, attune_merge_input *input)
{
    attune_merge_input **heap = merge->heap;
    size_t at = merge->heap_count++;
    for (; at > 0 && before(input, heap[(at - 1) / 2]); at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = input;
}

/* Goes on to the next row of the heap's first input. */
static attune_status advance(attune_merge *merge)
{
    attune_merge_input *input = merge->heap[0];
    attune_status status = ATTUNE_OK;
    if (++input->at == input->rows->count && input->next < input->count) {
        status = read_block(merge, input);
    }
    if (status == ATTUNE_OK && input->at == input->rows->count) {
        close_input(merge, input);
        attune_rows_free(input->rows);
        input->rows = NULL;
        merge->heap[0] = merge->heap[--merge->heap_count];
    }
    if (status == ATTUNE_OK && merge->heap_count > 0) {
        sift_down(merge);
    }
    return status;
}

/* ---- writing ---- */

/* Drops the batch's last row. */
static void drop_last(attune_merge *merge)
{
    attune_rows_truncate(merge->batch, merge->batch->count - 1, merge->last_text);
}

/* The batch's last row, if it has one, is the only one of its path: it is written, or not. */
static void settle_last(attune_merge *merge)
{
    const size_t count = merge->batch->count;
    if (count > 0 && merge->keep) {
        const attune_row row = attune_rows_get(merge->batch, count - 1);
        if (!merge->keep(merge->user, &row)) {
            drop_last(merge);
        }
    }
}

static attune_status flush(attune_merge *merge)
{
    attune_status status = attune_store_append(merge->writer, merge->batch);
    attune_rows_clear(merge->batch);
    return status;
}

/* What the row's path means for the batch's last row. */
static attune_status meet_last(attune_merge *merge, const attune_row *row,
                               const attune_merge_input *input)
{
    const attune_row last = attune_rows_get(merge->batch, merge->batch->count - 1);
    const int order = strcmp(last.path, row->path);
    if (order > 0) {
        return attune_fail(ATTUNE_EDATA, "%s: is not sorted by path: %s comes after %s",
                           input->path, row->path, last.path);
    }
    if (order == 0 && merge->duplicates == ATTUNE_MERGE_REFUSE) {
        return merge->from == input
                   ? attune_fail(ATTUNE_EDATA, "%s: is twice in %s", row->path, input->path)
                   : attune_fail(ATTUNE_EDATA, "%s: is in %s and in %s; --last-wins takes the last",
                                 row->path, merge->from->path, input->path);
    }
    if (order == 0) {
        drop_last(merge);
    } else {
        settle_last(merge);
    }
    return ATTUNE_OK;
}

static attune_status write_row(attune_merge *merge, const attune_merge_input *input)
{
    const attune_row row = attune_rows_get(input->rows, input->at);
    attune_status status = merge->batch->count > 0 ? meet_last(merge, &row, input) : ATTUNE_OK;
    if (status == ATTUNE_OK && merge->batch->count == ATTUNE_BLOCK_ROWS) {
        status = flush(merge);
    }
    merge->last_text = merge->batch->text_length;
    merge->from = input;
    return status == ATTUNE_OK ? attune_rows_append(merge->batch, &row) : status;
}

static attune_status merge_rows(attune_merge *merge)
{
    attune_status status = ATTUNE_OK;
    for (size_t next = 0; status == ATTUNE_OK && (next < merge->count || merge->heap_count > 0);) {
        while (status == ATTUNE_OK && next < merge->count &&
               (merge->heap_count == 0 ||
                strcmp(merge->inputs[next].first, path_of(merge->heap[0])) <= 0)) {
            status = read_block(merge, &merge->inputs[next]);
            if (status == ATTUNE_OK) {
                sift_up(merge, &merge->inputs[next++]);
            }
        }
        if (status == ATTUNE_OK) {
            status = write_row(merge, merge->heap[0]);
        }
        if (status == ATTUNE_OK) {
            status = advance(merge);
        }
    }
    if (status == ATTUNE_OK && merge->batch) {
        settle_last(merge);
        status = flush(merge);
    }
    return status;
}

attune_status attune_store_merge(attune_store_writer *writer, const char *const *inputs,
                                 size_t count, attune_merge_duplicates duplicates,
                                 bool (*keep)(void *user, const attune_row *row), void *user)
{
    attune_merge merge = {
        .inputs = calloc(count + 1, sizeof(*merge.inputs)),
        .heap = calloc(count + 1, sizeof(*merge.heap)),
        .writer = writer,
        .duplicates = duplicates,
        .keep = keep,
        .user = user,
    };
    attune_status status = ATTUNE_OK;
    if (!merge.inputs || !merge.heap) {
        status = attune_fail_memory("a merge", count * sizeof(*merge.inputs));
    }
    for (size_t i = 0; status == ATTUNE_OK && i < count; i++) {
        status = survey_input(&merge, inputs, i);
    }
    if (status == ATTUNE_OK) {
        qsort(merge.inputs, merge.count, sizeof(*merge.inputs), compare_inputs);
        status = divide_memory(&merge);
    }
    if (status == ATTUNE_OK) {
        status = merge_rows(&merge);
    }
    if (status != ATTUNE_OK) {
        attune_store_writer_fail(writer);
    }
    for (size_t i = 0; i < merge.count; i++) {
        attune_store_close(merge.inputs[i].store);
        attune_rows_free(merge.inputs[i].rows);
        free(merge.inputs[i].first);
        free(merge.inputs[i].last);
    }
    attune_rows_free(merge.batch);
    free(merge.inputs);
    free(merge.heap);
    return status;
}
