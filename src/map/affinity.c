/* affinity.c - each row's width by bisection, then both ways round as one list a row. */
#include "map/affinity.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>

enum { PIECE = 256, STEPS = 100 };

typedef struct widths {
    const attune_pairs *pairs;
    const uint32_t *lists;
    uint32_t K;
    double entropy; /* log of the perplexity */
    float *out;     /* (n, K) */
    double *square; /* by thread: (K) */
} widths;

/* Fills w with exp(-beta (d² - nearest d²)); their sum comes back, and the entropy of their shares.
 */
static double weigh(float *w, double *entropy, const double *square, uint32_t K, double beta)
{
    double sum = 0, mean = 0;
    for (uint32_t k = 0; k < K; k++) {
        const double farther = square[k] - square[0], weight = exp(-beta * farther);
        w[k] = (float)weight;
        sum += weight;
        mean += weight * farther;
    }
    *entropy = log(sum) + beta * mean / sum;
    return sum;
}

static void spread_row(const widths *s, uint32_t row, double *square)
{
    const uint32_t *list = s->lists + (size_t)row * s->K;
    float *w = s->out + (size_t)row * s->K;
    double total = 0;
    for (uint32_t k = 0; k < s->K; k++) {
        square[k] = attune_pairs_squared(s->pairs, row, list[k]);
        total += square[k] - square[0];
    }
    double low = 0, high = INFINITY, beta = total > 0 ? s->K / total : 1, entropy = 0, sum = 1;
    for (int step = 0; step < STEPS; step++) {
        sum = weigh(w, &entropy, square, s->K, beta);
        if (fabs(entropy - s->entropy) < 1e-6) {
            break;
        }
        if (entropy > s->entropy) {
            low = beta;
            beta = isinf(high) ? beta * 2 : (beta + high) / 2;
        } else {
            high = beta;
            beta = (beta + low) / 2;
        }
    }
    for (uint32_t k = 0; k < s->K; k++) {
        w[k] /= (float)sum;
    }
}

static void spread_piece(void *data, int piece, int thread)
{
    const widths *s = data;
    const uint32_t n = s->pairs->n, first = (uint32_t)piece * PIECE,
                   end = n - first < PIECE ? n : first + PIECE;
    for (uint32_t row = first; row < end; row++) {
        spread_row(s, row, s->square + (size_t)thread * s->K);
    }
}

typedef struct entry {
    uint32_t column;
    float value;
} entry;

static int by_column(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    return (a->column > b->column) - (a->column < b->column);
}

typedef struct joining {
    attune_affinity *out;
    entry
        *entries; /* both ways round, by row; a column twice where they are neighbours both ways */
    uint64_t *first; /* (n + 1): of `entries` */
    uint64_t *count; /* (n): different columns */
} joining;

/* Sorts a row and joins what is there twice: a sum of two, so that its order is no matter. */
static void join_piece(void *data, int piece, int thread)
{
    const joining *j = data;
    const uint32_t n = j->out->n, first = (uint32_t)piece * PIECE,
                   end = n - first < PIECE ? n : first + PIECE;
    (void)thread;
    for (uint32_t row = first; row < end; row++) {
        entry *own = j->entries + j->first[row];
        const uint64_t count = j->first[row + 1] - j->first[row];
        uint64_t kept = 0;
        qsort(own, count, sizeof(*own), by_column);
        for (uint64_t i = 0; i < count; i++) {
            if (kept > 0 && own[kept - 1].column == own[i].column) {
                own[kept - 1].value += own[i].value;
            } else {
                own[kept++] = own[i];
            }
        }
        j->count[row] = kept;
    }
}

static void copy_piece(void *data, int piece, int thread)
{
    const joining *j = data;
    const attune_affinity *out = j->out;
    const uint32_t first = (uint32_t)piece * PIECE,
                   end = out->n - first < PIECE ? out->n : first + PIECE;
    (void)thread;
    for (uint32_t row = first; row < end; row++) {
        for (uint64_t i = 0; i < j->count[row]; i++) {
            const entry e = j->entries[j->first[row] + i];
            out->column[out->first[row] + i] = e.column;
            out->value[out->first[row] + i] = e.value / (2.0f * (float)out->n);
        }
    }
}

/* Puts both ways round of each neighbour to its rows. */
static void fill_entries(joining *j, const uint32_t *lists, const float *w, uint32_t K)
{
    const uint32_t n = j->out->n;
    for (uint64_t i = 0; i < (uint64_t)n * K; i++) {
        j->first[i / K + 1]++;
        j->first[lists[i] + 1]++;
    }
    for (uint32_t row = 0; row < n; row++) {
        j->first[row + 1] += j->first[row];
        j->count[row] = j->first[row];
    }
    for (uint64_t i = 0; i < (uint64_t)n * K; i++) {
        const uint32_t row = (uint32_t)(i / K), other = lists[i];
        j->entries[j->count[row]++] = (entry){other, w[i]};
        j->entries[j->count[other]++] = (entry){row, w[i]};
    }
}

static attune_status join(attune_affinity *out, const uint32_t *lists, const float *w, uint32_t K,
                          attune_team *team)
{
    const uint32_t n = out->n;
    const int pieces = (int)((n + PIECE - 1) / PIECE);
    joining j = {.out = out};
    j.entries = malloc(2 * (size_t)n * K * sizeof(*j.entries));
    j.first = calloc((size_t)n + 1, sizeof(*j.first));
    j.count = calloc((size_t)n, sizeof(*j.count));
    out->first = calloc((size_t)n + 1, sizeof(*out->first));
    attune_status status = ATTUNE_OK;
    if (!j.entries || !j.first || !j.count || !out->first) {
        status = attune_fail_memory("neighbours", 2ULL * n * K * sizeof(*j.entries));
        goto done;
    }
    fill_entries(&j, lists, w, K);
    attune_team_run(team, join_piece, &j, pieces);
    for (uint32_t row = 0; row < n; row++) {
        out->first[row + 1] = out->first[row] + j.count[row];
    }
    out->column = malloc((size_t)out->first[n] * sizeof(*out->column));
    out->value = malloc((size_t)out->first[n] * sizeof(*out->value));
    if (!out->column || !out->value) {
        status = attune_fail_memory("neighbours", out->first[n] * sizeof(entry));
        goto done;
    }
    attune_team_run(team, copy_piece, &j, pieces);
done:
    free(j.count);
    free(j.first);
    free(j.entries);
    return status;
}

attune_status attune_affinity_open(attune_affinity *out, const attune_pairs *pairs,
                                   const uint32_t *lists, uint32_t K, double perplexity)
{
    const size_t threads = (size_t)attune_team_threads(pairs->team);
    widths s = {.pairs = pairs, .lists = lists, .K = K, .entropy = log(perplexity)};
    *out = (attune_affinity){.n = pairs->n};
    s.out = malloc((size_t)pairs->n * K * sizeof(*s.out));
    s.square = malloc(threads * K * sizeof(*s.square));
    attune_status status = ATTUNE_OK;
    if (!s.out || !s.square) {
        status = attune_fail_memory("neighbours", (size_t)pairs->n * K * sizeof(*s.out));
    } else {
        attune_team_run(pairs->team, spread_piece, &s, (int)((pairs->n + PIECE - 1) / PIECE));
        status = join(out, lists, s.out, K, pairs->team);
    }
    free(s.square);
    free(s.out);
    if (status != ATTUNE_OK) {
        attune_affinity_close(out);
    }
    return status;
}

void attune_affinity_close(attune_affinity *affinity)
{
    if (affinity) {
        free(affinity->first);
        free(affinity->column);
        free(affinity->value);
        *affinity = (attune_affinity){0};
    }
}
