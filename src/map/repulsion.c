/* repulsion.c - spread, convolve, gather. Strips of eight rows of cells are spread by one thread
 * each, in the order of their points: even strips first, then odd ones, so that no two touch the
 * same node. */
#include "map/repulsion.h"

#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    STRIP = 8,      /* rows of cells */
    SMALLEST = 128, /* sizes of the transforms */
    LARGEST = 2048,
    BORDER = 5,   /* nodes beyond the cells, for the stencils and for rounding */
    PIECE = 2048, /* points gathered by one piece */
};

static const double widest =
    0.5; /* spacing: cubic interpolation of the kernels errs by 1 % there */

/* ---- the kernels' spectra ---- */

typedef struct filling {
    const attune_repulsion *r;
    bool forces;
} filling;

/* Rows of the kernels over all differences of nodes, wrapped around. */
static void fill_row(void *data, int row, int thread)
{
    const filling *f = data;
    const uint32_t M = f->r->fourier.M, half = M / 2;
    const double s = f->r->spacing;
    float *re = f->r->first.re + (size_t)row * M, *im = f->r->first.im + (size_t)row * M;
    const uint32_t at = (uint32_t)row;
    const double dy = s * (at < half ? (double)at : (double)at - M);
    (void)thread;
    for (uint32_t c = 0; c < M; c++) {
        const double dx = s * (c < half ? (double)c : (double)c - M),
                     w = 1 / (1 + dx * dx + dy * dy);
        const bool used = c != half && at != half;
        re[c] = !used ? 0 : (float)(f->forces ? dx * w * w : w);
        im[c] = !used ? 0 : (float)(f->forces ? dy * w * w : 0);
    }
}

static void transform_kernel(attune_repulsion *r, bool forces)
{
    const uint32_t M = r->fourier.M;
    filling f = {.r = r, .forces = forces};
    attune_team_run(r->team, fill_row, &f, (int)M);
    attune_fourier_pass(&r->fourier, r->second, r->first, M, M, M);
    attune_fourier_pass(&r->fourier, r->first, r->second, M, M, M);
    if (forces) {
        memcpy(r->force_spectrum.re, r->first.re, (size_t)M * M * sizeof(float));
        memcpy(r->force_spectrum.im, r->first.im, (size_t)M * M * sizeof(float));
    } else {
        memcpy(r->weight_spectrum, r->first.re, (size_t)M * M * sizeof(float));
    }
}

static void close_planes(attune_repulsion *r)
{
    attune_fourier_close(&r->fourier);
    float **const planes[] = {&r->first.re,       &r->first.im,          &r->second.re,
                              &r->second.im,      &r->force_spectrum.re, &r->force_spectrum.im,
                              &r->weight_spectrum};
    for (size_t i = 0; i < sizeof(planes) / sizeof(*planes); i++) {
        free(*planes[i]);
        *planes[i] = NULL;
    }
    free(r->sums);
    free(r->strips);
    r->sums = NULL;
    r->strips = NULL;
}

static attune_status open_planes(attune_repulsion *r, uint32_t M)
{
    const size_t size = (size_t)M * M * sizeof(float);
    close_planes(r);
    attune_status status = attune_fourier_open(&r->fourier, M, r->team);
    if (status != ATTUNE_OK) {
        return status;
    }
    float **const planes[] = {&r->first.re,       &r->first.im,          &r->second.re,
                              &r->second.im,      &r->force_spectrum.re, &r->force_spectrum.im,
                              &r->weight_spectrum};
    r->sums = calloc(M, sizeof(*r->sums));
    r->strips = calloc(M, sizeof(*r->strips));
    bool whole = r->sums && r->strips;
    for (size_t i = 0; i < sizeof(planes) / sizeof(*planes); i++) {
        *planes[i] = aligned_alloc(64, size);
        whole = whole && *planes[i];
        if (*planes[i]) {
            memset(*planes[i], 0, size);
        }
    }
    return whole ? ATTUNE_OK : attune_fail_memory("the layout's grid", 7 * size);
}

/* A grid of the right size and spacing for points that extend so far. */
static attune_status prepare(attune_repulsion *r, double extent)
{
    double spacing = widest;
    uint32_t M = SMALLEST;
    while (M < LARGEST && extent / spacing + BORDER + 1 > M / 2) {
        M *= 2;
    }
    for (; extent / spacing + BORDER + 1 > M / 2; spacing *= 2) {
    }
    for (; spacing > 0x1p-60 && 2 * extent / spacing + BORDER + 1 <= M / 2; spacing /= 2) {
    }
    if (r->fourier.M == M && r->spacing == spacing) {
        return ATTUNE_OK;
    }
    attune_status status = r->fourier.M == M ? ATTUNE_OK : open_planes(r, M);
    if (status == ATTUNE_OK) {
        r->spacing = spacing;
        transform_kernel(r, false);
        transform_kernel(r, true);
    }
    return status;
}

/* ---- points ---- */

typedef struct points {
    attune_repulsion *r;
    const float *positions;
    float *force;
    float low[2];           /* the corner of the first cell */
    float per_space;        /* 1 / spacing */
    uint32_t rows, columns; /* of nodes in use */
    uint32_t strips;
    int odd;     /* which strips are spread */
    float scale; /* of a transform there and back */
} points;

/* The first of the four nodes around x on an axis, and their weights: Lagrange's polynomials. */
static uint32_t stencil(float w[4], float x)
{
    const float whole = floorf(x), t = x - whole;
    w[0] = -t * (t - 1) * (t - 2) / 6;
    w[1] = (t + 1) * (t - 1) * (t - 2) / 2;
    w[2] = -(t + 1) * t * (t - 2) / 2;
    w[3] = (t + 1) * t * (t - 1) / 6;
    return (uint32_t)whole;
}

/* Positions in units of the grid; the first node of a stencil has the same number as the cell. */
static float on_grid(const points *p, uint32_t i, int axis)
{
    return (p->positions[2 * (size_t)i + (size_t)axis] - p->low[axis]) * p->per_space;
}

static void spread_strip(void *data, int piece, int thread)
{
    const points *p = data;
    const attune_repulsion *r = p->r;
    const size_t M = r->fourier.M, strip = 2 * (size_t)piece + (size_t)p->odd;
    (void)thread;
    for (uint32_t at = r->strips[strip]; at < r->strips[strip + 1]; at++) {
        float wx[4], wy[4];
        const uint32_t i = r->order[at];
        const size_t x = stencil(wx, on_grid(p, i, 0)), y = stencil(wy, on_grid(p, i, 1));
        for (size_t a = 0; a < 4; a++) {
            float *to = r->first.re + (y + a) * M + x;
            for (size_t b = 0; b < 4; b++) {
                to[b] += wy[a] * wx[b];
            }
        }
    }
}

static void gather_piece(void *data, int piece, int thread)
{
    const points *p = data;
    const attune_repulsion *r = p->r;
    const size_t M = r->fourier.M;
    const uint32_t first = (uint32_t)piece * PIECE,
                   end = r->n - first < PIECE ? r->n : first + PIECE;
    (void)thread;
    for (uint32_t at = first; at < end; at++) {
        float wx[4], wy[4], fx = 0, fy = 0;
        const uint32_t i = r->order[at];
        const size_t x = stencil(wx, on_grid(p, i, 0)), y = stencil(wy, on_grid(p, i, 1));
        for (size_t a = 0; a < 4; a++) {
            const float *re = r->first.re + (y + a) * M + x, *im = r->first.im + (y + a) * M + x;
            for (size_t b = 0; b < 4; b++) {
                fx += wy[a] * wx[b] * re[b];
                fy += wy[a] * wx[b] * im[b];
            }
        }
        p->force[2 * (size_t)i] = fx * p->scale;
        p->force[2 * (size_t)i + 1] = fy * p->scale;
    }
}

/* One row of the spectrum: its share of the sum of weights, and the transform of the forces. */
static void multiply_row(void *data, int row, int thread)
{
    const attune_repulsion *r = ((const points *)data)->r;
    const size_t M = r->fourier.M, from = (size_t)row * M;
    double sum = 0;
    (void)thread;
    for (size_t k = from; k < from + M; k++) {
        const float re = r->first.re[k], im = r->first.im[k], a = r->force_spectrum.re[k],
                    b = r->force_spectrum.im[k];
        sum += (double)(re * re + im * im) * (double)r->weight_spectrum[k];
        r->first.re[k] = re * a - im * b;
        r->first.im[k] = re * b + im * a;
    }
    r->sums[row] = sum;
}

/* Sorts points by strips, in the order of their numbers. */
static void sort_points(points *p)
{
    attune_repulsion *r = p->r;
    memset(r->strips, 0, r->fourier.M * sizeof(*r->strips));
    for (uint32_t i = 0; i < r->n; i++) {
        r->strips[(uint32_t)on_grid(p, i, 1) / STRIP + 1]++;
    }
    for (uint32_t s = 0; s < p->strips; s++) {
        r->strips[s + 1] += r->strips[s];
    }
    for (uint32_t i = 0; i < r->n; i++) {
        r->order[r->strips[(uint32_t)on_grid(p, i, 1) / STRIP]++] = i;
    }
    for (uint32_t s = p->strips; s > 0; s--) { /* each is where the next one began */
        r->strips[s] = r->strips[s - 1];
    }
    r->strips[0] = 0;
}

/* Finds where the points lie; their largest extent comes back. */
static double measure(points *p)
{
    float high[2] = {p->positions[0], p->positions[1]};
    p->low[0] = high[0];
    p->low[1] = high[1];
    for (size_t i = 0; i < 2 * (size_t)p->r->n; i++) {
        const float x = p->positions[i];
        p->low[i % 2] = x < p->low[i % 2] ? x : p->low[i % 2];
        high[i % 2] = x > high[i % 2] ? x : high[i % 2];
    }
    return fmax((double)high[0] - (double)p->low[0], (double)high[1] - (double)p->low[1]);
}

/* There and back: from the charge in `first` to forces there. */
static double convolve(points *p)
{
    attune_repulsion *r = p->r;
    const attune_fourier *f = &r->fourier;
    const uint32_t M = f->M;
    const attune_plane real = {r->first.re, NULL}, swapped1 = {r->first.im, r->first.re},
                       swapped2 = {r->second.im, r->second.re};
    attune_fourier_pass(f, r->second, real, p->rows, p->columns, M);
    attune_fourier_pass(f, r->first, r->second, p->columns, M, M);
    attune_team_run(r->team, multiply_row, p, (int)M);
    double weight = 0;
    for (uint32_t k = 0; k < M; k++) {
        weight += r->sums[k];
    }
    attune_fourier_pass(f, swapped2, swapped1, M, M, p->rows);
    attune_fourier_pass(f, swapped1, swapped2, M, p->rows, p->columns);
    return weight / ((double)M * M);
}

attune_status attune_repulsion_find(attune_repulsion *r, float *force, double *weight,
                                    const float *positions)
{
    points p = {.r = r, .positions = positions, .force = force};
    const double extent = measure(&p);
    const attune_status status = prepare(r, extent);
    if (status != ATTUNE_OK) {
        return status;
    }
    const uint32_t M = r->fourier.M;
    p.per_space = (float)(1 / r->spacing);
    p.rows = p.columns = (uint32_t)(extent / r->spacing) + BORDER + 1;
    p.strips = p.rows / STRIP + 1;
    p.scale = 1 / ((float)M * (float)M);
    memset(r->first.re, 0, (size_t)p.rows * M * sizeof(float));
    sort_points(&p);
    for (p.odd = 0; p.odd < 2; p.odd++) {
        attune_team_run(r->team, spread_strip, &p, (int)((p.strips + 1 - (uint32_t)p.odd) / 2));
    }
    *weight = convolve(&p) - r->n; /* without each point's own */
    attune_team_run(r->team, gather_piece, &p, (int)((r->n + PIECE - 1) / PIECE));
    return ATTUNE_OK;
}

attune_status attune_repulsion_open(attune_repulsion *out, uint32_t n, attune_team *team)
{
    *out = (attune_repulsion){.n = n, .team = team};
    out->order = malloc((size_t)n * sizeof(*out->order));
    return out->order ? ATTUNE_OK : attune_fail_memory("a layout", (size_t)n * sizeof(*out->order));
}

void attune_repulsion_close(attune_repulsion *repulsion)
{
    if (repulsion) {
        close_planes(repulsion);
        free(repulsion->order);
        *repulsion = (attune_repulsion){0};
    }
}
