/* fourier.c - Stockham's algorithm in steps of four: it sorts itself, and every inner loop runs
 * over 16 columns. */
#include "map/fourier.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 };

typedef struct panel {
    float *re, *im; /* (M, LANES) */
} panel;

/* One point of a butterfly of four, all lanes: from rows a, b, c, d of x to four rows of y, times
 * the powers of the twiddle factors (r1, i1), (r2, i2), (r3, i3). */
static void butterfly4(float *restrict yr, float *restrict yi, const float *restrict xr,
                       const float *restrict xi, size_t from, size_t to, const float w[6])
{
    for (size_t l = 0; l < LANES; l++) {
        const float ar = xr[l], ai = xi[l], br = xr[from + l], bi = xi[from + l],
                    cr = xr[2 * from + l], ci = xi[2 * from + l], dr = xr[3 * from + l],
                    di = xi[3 * from + l];
        const float sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci, ur = br + dr,
                    ui = bi + di, vr = di - bi, vi = br - dr; /* v = i (b - d) */
        const float er = tr - vr, ei = ti - vi, fr = sr - ur, fi = si - ui, gr = tr + vr,
                    gi = ti + vi;
        yr[l] = sr + ur;
        yi[l] = si + ui;
        yr[to + l] = w[0] * er - w[1] * ei;
        yi[to + l] = w[0] * ei + w[1] * er;
        yr[2 * to + l] = w[2] * fr - w[3] * fi;
        yi[2 * to + l] = w[2] * fi + w[3] * fr;
        yr[3 * to + l] = w[4] * gr - w[5] * gi;
        yi[3 * to + l] = w[4] * gi + w[5] * gr;
    }
}

static void step4(const attune_fourier *f, panel y, panel x, size_t length, size_t stride)
{
    const size_t quarter = length / 4;
    for (size_t p = 0; p < quarter; p++) {
        const float w[6] = {f->cosine[p * stride],     -f->sine[p * stride],
                            f->cosine[2 * p * stride], -f->sine[2 * p * stride],
                            f->cosine[3 * p * stride], -f->sine[3 * p * stride]};
        for (size_t q = 0; q < stride; q++) {
            const size_t in = (q + stride * p) * LANES, out = (q + stride * 4 * p) * LANES;
            butterfly4(y.re + out, y.im + out, x.re + in, x.im + in, stride * quarter * LANES,
                       stride * LANES, w);
        }
    }
}

static void step2(panel y, panel x, size_t stride)
{
    const size_t half = stride * LANES;
    for (size_t i = 0; i < half; i++) {
        const float ar = x.re[i], ai = x.im[i], br = x.re[half + i], bi = x.im[half + i];
        y.re[i] = ar + br;
        y.im[i] = ai + bi;
        y.re[half + i] = ar - br;
        y.im[half + i] = ai - bi;
    }
}

/* Transforms x's columns; the result is in the panel that comes back. */
static panel transform(const attune_fourier *f, panel x, panel y)
{
    size_t length = f->M, stride = 1;
    while (length > 1) {
        const size_t by = length >= 4 ? 4 : 2;
        if (by == 4) {
            step4(f, y, x, length, stride);
        } else {
            step2(y, x, stride);
        }
        length /= by;
        stride *= by;
        const panel other = x;
        x = y;
        y = other;
    }
    return x;
}

typedef struct pass {
    const attune_fourier *fourier;
    attune_plane out, in;
    uint32_t rows, keep;
} pass;

static void load(float *lanes, const float *plane, size_t M, size_t rows, size_t column)
{
    for (size_t r = 0; r < rows && plane; r++) {
        memcpy(lanes + r * LANES, plane + r * M + column, LANES * sizeof(float));
    }
    const size_t from = plane ? rows : 0;
    memset(lanes + from * LANES, 0, (M - from) * LANES * sizeof(float));
}

static void store(float *plane, const float *lanes, size_t M, size_t keep, size_t column)
{
    for (size_t l = 0; l < LANES; l++) {
        for (size_t k = 0; k < keep; k++) {
            plane[(column + l) * M + k] = lanes[k * LANES + l];
        }
    }
}

static void pass_piece(void *data, int piece, int thread)
{
    const pass *p = data;
    const attune_fourier *f = p->fourier;
    const size_t M = f->M, column = (size_t)piece * LANES, size = M * LANES;
    float *scratch = f->scratch + (size_t)thread * 4 * size;
    const panel x = {scratch, scratch + size}, y = {scratch + 2 * size, scratch + 3 * size};
    load(x.re, p->in.re, M, p->rows, column);
    load(x.im, p->in.im, M, p->rows, column);
    const panel result = transform(f, x, y);
    store(p->out.re, result.re, M, p->keep, column);
    store(p->out.im, result.im, M, p->keep, column);
}

void attune_fourier_pass(const attune_fourier *fourier, attune_plane out, attune_plane in,
                         uint32_t rows, uint32_t columns, uint32_t keep)
{
    pass p = {.fourier = fourier, .out = out, .in = in, .rows = rows, .keep = keep};
    attune_team_run(fourier->team, pass_piece, &p, (int)((columns + LANES - 1) / LANES));
}

attune_status attune_fourier_open(attune_fourier *out, uint32_t M, attune_team *team)
{
    const size_t threads = (size_t)attune_team_threads(team), size = 4 * (size_t)M * LANES;
    *out = (attune_fourier){.M = M, .team = team};
    out->cosine = malloc(M * sizeof(float));
    out->sine = malloc(M * sizeof(float));
    out->scratch = aligned_alloc(64, threads * size * sizeof(float));
    if (!out->cosine || !out->sine || !out->scratch) {
        attune_fourier_close(out);
        return attune_fail_memory("a Fourier transform", threads * size * sizeof(float));
    }
    for (uint32_t i = 0; i < M; i++) {
        const double angle = 2 * 3.14159265358979323846 * i / M;
        out->cosine[i] = (float)cos(angle);
        out->sine[i] = (float)sin(angle);
    }
    return ATTUNE_OK;
}

void attune_fourier_close(attune_fourier *fourier)
{
    if (fourier) {
        free(fourier->cosine);
        free(fourier->sine);
        free(fourier->scratch);
        *fourier = (attune_fourier){0};
    }
}
