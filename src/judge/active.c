/* active.c - distances, regions, one temperature. The idea is in active.h. */
#include "judge/active.h"

#include "eval/vector.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REGIONS = 32, NO_REGION = REGIONS };

struct attune_active {
    const attune_threes *threes;
    char *name;
    float (*distance)[3];      /* (rows): songs 1 and 2, 1 and 3, 2 and 3; NaN: not known */
    uint8_t *region;           /* (songs) */
    double share[REGIONS + 1]; /* of the regions among the songs of all rows */
    double typical;            /* distance; where the temperature is before anybody has answered */
    double temperature;
    uint64_t fitted; /* answers that it was fitted to */
    float *values;   /* (rows) */
};

/* ---- what is known before ---- */

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Distances of all rows, and the median lead of the nearest pair, which is where the temperature
 * starts: a network is then right about three times in four where it is middling sure. */
static attune_status measure(attune_active *a, const float *vectors, uint32_t E)
{
    static const int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    const uint32_t rows = a->threes->count;
    float *leads = malloc((size_t)rows * sizeof(*leads));
    uint32_t known = 0;
    if (!leads) {
        return attune_fail_memory("distances", (size_t)rows * sizeof(*leads));
    }
    for (uint32_t r = 0; r < rows; r++) {
        const uint32_t *song = a->threes->rows[r].song;
        float *d = a->distance[r];
        for (int k = 0; k < 3; k++) {
            d[k] = (float)attune_vector_distance(vectors + (size_t)song[pairs[k][0]] * E,
                                                 vectors + (size_t)song[pairs[k][1]] * E, E, 0);
        }
        if (isfinite(d[0] + d[1] + d[2])) {
            float sorted[3] = {d[0], d[1], d[2]};
            qsort(sorted, 3, sizeof(*sorted), compare_floats);
            leads[known++] = sorted[1] - sorted[0];
        } else {
            d[0] = d[1] = d[2] = NAN;
        }
    }
    if (known > 0) {
        qsort(leads, known, sizeof(*leads), compare_floats);
        a->typical = leads[known / 2] > 1e-6f ? leads[known / 2] : 1e-6;
    }
    free(leads);
    return known > 0 ? ATTUNE_OK
                     : attune_fail(ATTUNE_EDATA, "%s: no three has vectors for all of its songs",
                                   a->name);
}

/* The first region is around the first song with a vector, each other around the song that is
 * farthest from those before it. */
static attune_status divide(attune_active *a, const float *vectors, uint32_t E)
{
    const uint32_t songs = a->threes->songs.count;
    float *nearest = malloc((size_t)songs * sizeof(*nearest));
    if (!nearest) {
        return attune_fail_memory("regions", (size_t)songs * sizeof(*nearest));
    }
    uint32_t centre = 0;
    for (uint32_t s = 0; s < songs; s++) {
        const bool has = isfinite(vectors[(size_t)s * E]);
        nearest[s] = has ? INFINITY : -1;
        a->region[s] = NO_REGION;
        centre = !isfinite(vectors[(size_t)centre * E]) ? s : centre;
    }
    for (int region = 0; region < REGIONS && nearest[centre] > 0; region++) {
        uint32_t farthest = centre;
        for (uint32_t s = 0; s < songs; s++) {
            if (nearest[s] < 0) {
                continue;
            }
            const float d = (float)attune_vector_distance(vectors + (size_t)s * E,
                                                          vectors + (size_t)centre * E, E, 0);
            if (d < nearest[s]) {
                nearest[s] = d;
                a->region[s] = (uint8_t)region;
            }
            farthest = nearest[s] > nearest[farthest] ? s : farthest;
        }
        centre = farthest;
    }
    free(nearest);
    for (uint32_t r = 0; r < a->threes->count; r++) {
        for (int i = 0; i < 3; i++) {
            a->share[a->region[a->threes->rows[r].song[i]]] += 1.0 / (3.0 * a->threes->count);
        }
    }
    return ATTUNE_OK;
}

attune_status attune_active_create(attune_active **out, const char *name,
                                   const attune_threes *threes, const float *vectors, uint32_t E)
{
    attune_active *a = *out = calloc(1, sizeof(*a));
    const size_t rows = threes->count;
    if (!a) {
        return attune_fail_memory("a model", sizeof(*a));
    }
    a->threes = threes;
    a->name = strdup(name);
    a->distance = malloc(rows * sizeof(*a->distance));
    a->region = malloc(threes->songs.count);
    a->values = calloc(rows, sizeof(*a->values));
    attune_status status = a->name && a->distance && a->region && a->values
                               ? measure(a, vectors, E)
                               : attune_fail_memory("a model", rows * sizeof(*a->distance));
    if (status == ATTUNE_OK) {
        status = divide(a, vectors, E);
        a->temperature = a->typical;
    }
    if (status != ATTUNE_OK) {
        attune_active_free(a);
        *out = NULL;
    }
    return status;
}

void attune_active_free(attune_active *active)
{
    if (active) {
        free(active->name);
        free(active->distance);
        free(active->region);
        free(active->values);
        free(active);
    }
}

/* ---- the temperature ---- */

/* Probabilities of the pairs at distances d and temperature T. */
static void predict(double out[3], const float d[3], double T)
{
    const double nearest = fmin(d[0], fmin(d[1], d[2]));
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        out[k] = exp((nearest - d[k]) / T);
        sum += out[k];
    }
    for (int k = 0; k < 3; k++) {
        out[k] /= sum;
    }
}

bool attune_active_predict(double out[3], const attune_active *active, uint32_t row)
{
    const float *d = active->distance[row];
    if (isnan(d[0])) {
        out[0] = out[1] = out[2] = 1.0 / 3;
        return false;
    }
    predict(out, d, active->temperature);
    return true;
}

/* How unlikely the votes are at a temperature: minus the logarithm, with a prior, in the logarithm
 * of T, of a standard deviation of 1 about the typical lead. */
static double unlikeliness(const attune_active *a, const attune_panel *panel, double T)
{
    const double off = log(T / a->typical);
    double sum = off * off / 2;
    for (uint32_t r = 0; r < a->threes->count; r++) {
        if (isnan(a->distance[r][0]) || attune_panel_votes(panel, r) == 0) {
            continue;
        }
        double p[3];
        predict(p, a->distance[r], T);
        for (int k = 0; k < 3; k++) {
            const int votes = panel->votes[r][2 * k] + panel->votes[r][2 * k + 1];
            sum -= votes * log(fmax(p[k], 1e-300));
        }
    }
    return sum;
}

/* Golden section in log T, from a thousandth to a thousand times the typical lead. */
static void fit(attune_active *a, const attune_panel *panel)
{
    const double ratio = (sqrt(5) - 1) / 2;
    double low = log(a->typical) - log(1000), high = log(a->typical) + log(1000);
    double left = high - ratio * (high - low), right = low + ratio * (high - low);
    double at_left = unlikeliness(a, panel, exp(left)),
           at_right = unlikeliness(a, panel, exp(right));
    while (high - low > 1e-3) {
        if (at_left < at_right) {
            high = right;
            right = left;
            at_right = at_left;
            left = high - ratio * (high - low);
            at_left = unlikeliness(a, panel, exp(left));
        } else {
            low = left;
            left = right;
            at_left = at_right;
            right = low + ratio * (high - low);
            at_right = unlikeliness(a, panel, exp(right));
        }
    }
    a->temperature = exp((low + high) / 2);
    a->fitted = panel->answers;
}

/* Fits when there are a twentieth more answers than the last time, or fewer. */
static void refit(attune_active *a, const attune_panel *panel)
{
    if (panel->answers < a->fitted || panel->answers > a->fitted + a->fitted / 20) {
        fit(a, panel);
    }
}

double attune_active_temperature(const attune_active *active)
{
    return active->temperature;
}

const char *attune_active_name(const attune_active *active)
{
    return active->name;
}

/* ---- worth ---- */

static double entropy(const double p[3])
{
    double bits = 0;
    for (int k = 0; k < 3; k++) {
        bits -= p[k] > 0 ? p[k] * log2(p[k]) : 0;
    }
    return bits;
}

/* How much more than its share each region was asked; 1: its share. */
static void count_regions(double over[REGIONS + 1], const attune_active *a,
                          const attune_panel *panel)
{
    double asked[REGIONS + 1] = {0}, sum = 0;
    for (uint32_t r = 0; r < a->threes->count; r++) {
        const double votes = attune_panel_votes(panel, r) + panel->leases[r];
        for (int i = 0; votes > 0 && i < 3; i++) {
            asked[a->region[a->threes->rows[r].song[i]]] += votes;
            sum += votes;
        }
    }
    for (int g = 0; g <= REGIONS; g++) {
        over[g] = (asked[g] + 3) / (sum * a->share[g] + 3);
    }
}

const float *attune_active_values(attune_active *active, const attune_panel *panel)
{
    double over[REGIONS + 1];
    refit(active, panel);
    count_regions(over, active, panel);
    for (uint32_t r = 0; r < active->threes->count; r++) {
        const uint32_t *song = active->threes->rows[r].song;
        const uint8_t *g = active->region;
        const double excess = (over[g[song[0]]] + over[g[song[1]]] + over[g[song[2]]]) / 3;
        double p[3];
        const bool known = attune_active_predict(p, active, r);
        active->values[r] = known ? (float)(entropy(p) / fmax(excess, 1)) : 0;
    }
    return active->values;
}

double attune_active_gain(const attune_active *active, const attune_panel *panel)
{
    float worth[ATTUNE_GAIN_TASKS] = {0}; /* the largest, falling */
    double bits[ATTUNE_GAIN_TASKS] = {0}, sum = 0;
    const float *values = active->values;
    for (uint32_t r = 0; r < active->threes->count; r++) {
        double p[3];
        if (!(values[r] > worth[ATTUNE_GAIN_TASKS - 1]) || !attune_panel_is_wanted(panel, r)) {
            continue;
        }
        attune_active_predict(p, active, r);
        int at = ATTUNE_GAIN_TASKS - 1;
        for (; at > 0 && worth[at - 1] < values[r]; at--) {
            worth[at] = worth[at - 1];
            bits[at] = bits[at - 1];
        }
        worth[at] = values[r];
        bits[at] = entropy(p);
    }
    for (int i = 0; i < ATTUNE_GAIN_TASKS; i++) {
        sum += bits[i];
    }
    return sum;
}
