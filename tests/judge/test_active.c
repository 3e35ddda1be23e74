/* What to ask first: temperatures that are found again, entropies, and no corner asked alone. */
#include "judge/active.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS = 120, E = 4, ROWS = 1000 };

typedef struct world {
    attune_threes threes;
    attune_panel panel;
    float vectors[SONGS][E];
    attune_active *active;
    uint64_t seed;
} world;

static void open_world(world *w)
{
    char name[16];
    *w = (world){.threes = {.count = ROWS}, .seed = 6};
    w->threes.rows = calloc(ROWS, sizeof(*w->threes.rows));
    random_fill(&w->seed, w->vectors[0], SONGS * E, 1);
    for (uint32_t s = 0, number = 0; s < SONGS; s++) {
        snprintf(name, sizeof(name), "%u", s);
        cr_assert_eq(attune_names_add(&number, &w->threes.songs, name), ATTUNE_OK);
    }
    for (uint32_t r = 0; r < ROWS; r++) {
        uint32_t *song = w->threes.rows[r].song;
        do {
            for (int i = 0; i < 3; i++) {
                song[i] = (uint32_t)(random_bits(&w->seed) % SONGS);
            }
        } while (song[0] == song[1] || song[0] == song[2] || song[1] == song[2]);
    }
    const attune_panel_options options = {.votes = 40, .repeat = 0, .seed = 1};
    cr_assert_eq(attune_panel_create(&w->panel, &w->threes, &options), ATTUNE_OK);
    memset(w->panel.asked, true, ROWS);
    cr_assert_eq(attune_active_create(&w->active, "w", &w->threes, w->vectors[0], E), ATTUNE_OK);
}

static void close_world(world *w)
{
    attune_active_free(w->active);
    attune_panel_free(&w->panel);
    attune_threes_free(&w->threes);
}

static void distances(double d[3], const world *w, uint32_t row)
{
    static const int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    const uint32_t *song = w->threes.rows[row].song;
    for (int k = 0; k < 3; k++) {
        const float *a = w->vectors[song[pairs[k][0]]], *b = w->vectors[song[pairs[k][1]]];
        d[k] = 0;
        for (int e = 0; e < E; e++) {
            d[k] += ((double)a[e] - b[e]) * ((double)a[e] - b[e]);
        }
        d[k] = sqrt(d[k]);
    }
}

/* Votes drawn at a temperature. */
static void vote(world *w, double T, int votes)
{
    for (int i = 0; i < votes; i++) {
        const uint32_t row = (uint32_t)(random_bits(&w->seed) % ROWS);
        double d[3], sum = 0;
        distances(d, w, row);
        double left = 0;
        for (int k = 0; k < 3; k++) {
            sum += exp(-d[k] / T);
        }
        left = (double)(random_bits(&w->seed) >> 11) * 0x1p-53 * sum;
        int k = 0;
        while (k < 2 && (left -= exp(-d[k] / T)) > 0) {
            k++;
        }
        w->panel.votes[row][2 * k + (int)(random_bits(&w->seed) % 2)]++;
        w->panel.answers++;
    }
}

/* The temperature of listeners is found from their answers. */
Test(active, temperature)
{
    static const double temperatures[] = {0.05, 0.2, 0.8};
    for (int i = 0; i < 3; i++) {
        world w;
        double p[3], d[3], sum = 0;
        open_world(&w);
        vote(&w, temperatures[i], 4000);
        attune_active_values(w.active, &w.panel);
        const double T = attune_active_temperature(w.active);
        cr_assert(fabs(log(T / temperatures[i])) < 0.1, "%g, and not %g", T, temperatures[i]);
        cr_assert(attune_active_predict(p, w.active, 5));
        distances(d, &w, 5);
        for (int k = 0; k < 3; k++) {
            sum += exp(-d[k] / T);
        }
        for (int k = 0; k < 3; k++) {
            cr_assert_float_eq(p[k], exp(-d[k] / T) / sum, 1e-5);
        }
        close_world(&w);
    }
}

/* Before any answer a row is worth the entropy of what is predicted, and the gain is the sum of the
 * largest fifty. */
Test(active, entropy)
{
    world w;
    double bits[ROWS], largest = 0;
    open_world(&w);
    const float *values = attune_active_values(w.active, &w.panel);
    for (uint32_t r = 0; r < ROWS; r++) {
        double p[3];
        cr_assert(attune_active_predict(p, w.active, r));
        bits[r] = 0;
        for (int k = 0; k < 3; k++) {
            bits[r] -= p[k] * log2(p[k]);
        }
        cr_assert_float_eq(values[r], bits[r], 1e-5, "row %u: %g, not %g", r, values[r], bits[r]);
    }
    for (int i = 0; i < ATTUNE_GAIN_TASKS; i++) {
        int best = 0;
        for (int r = 0; r < ROWS; r++) {
            best = bits[r] > bits[best] ? r : best;
        }
        largest += bits[best];
        bits[best] = 0;
    }
    cr_assert_float_eq(attune_active_gain(w.active, &w.panel), largest, 1e-4);
    for (uint32_t r = 0; r < ROWS; r++) {
        w.panel.asked[r] = r < 3;
    }
    cr_assert(attune_active_gain(w.active, &w.panel) < 3 * log2(3), "only rows that are asked");
    close_world(&w);
}

/* What was asked more than its share, all from one corner, is worth less than the same elsewhere.
 */
Test(active, spreads)
{
    world w;
    double sums[ROWS] = {0};
    open_world(&w);
    float before[ROWS];
    memcpy(before, attune_active_values(w.active, &w.panel), sizeof(before));
    for (uint32_t r = 0; r < ROWS; r++) { /* a corner: the first component is large */
        for (int i = 0; i < 3; i++) {
            sums[r] += w.vectors[w.threes.rows[r].song[i]][0];
        }
        w.panel.leases[r] = sums[r] > 1.2 ? 5 : 0;
    }
    const float *after = attune_active_values(w.active, &w.panel);
    double inside = 0, outside = 0;
    uint32_t in = 0, out = 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        cr_assert(after[r] <= before[r] + 1e-6f);
        inside += sums[r] > 1.2 ? after[r] / before[r] : 0;
        in += sums[r] > 1.2;
        outside += sums[r] < -1.2 ? after[r] / before[r] : 0;
        out += sums[r] < -1.2;
    }
    cr_assert(in > 20 && out > 20, "%u, %u", in, out);
    cr_assert(inside / in < 0.75 && outside / out > inside / in + 0.15, "%g inside, %g outside",
              inside / in, outside / out);
    close_world(&w);
}

/* Songs without a vector come last; none at all is an error. */
Test(active, without_vectors)
{
    world w;
    double p[3];
    open_world(&w);
    attune_active_free(w.active);
    const uint32_t lost = w.threes.rows[0].song[1];
    for (int e = 0; e < E; e++) {
        w.vectors[lost][e] = NAN;
    }
    cr_assert_eq(attune_active_create(&w.active, "w", &w.threes, w.vectors[0], E), ATTUNE_OK);
    const float *values = attune_active_values(w.active, &w.panel);
    for (uint32_t r = 0; r < ROWS; r++) {
        const uint32_t *s = w.threes.rows[r].song;
        const bool has = s[0] != lost && s[1] != lost && s[2] != lost;
        cr_assert(has ? values[r] > 0 : values[r] == 0);
        cr_assert_eq(attune_active_predict(p, w.active, r), has);
    }
    vote(&w, 0.2, 100);
    cr_assert(isfinite(attune_active_gain(w.active, &w.panel)));
    attune_active_free(w.active);
    for (uint32_t s = 0; s < SONGS; s++) {
        w.vectors[s][0] = NAN;
    }
    cr_assert_eq(attune_active_create(&w.active, "w", &w.threes, w.vectors[0], E), ATTUNE_EDATA);
    close_world(&w);
}
