/* loss.c - triplet losses, InfoNCE, distillation and regression, each with its gradient.
 *
 * A batch is a few hundred rows of 32: everything is written for reading, in double. */
#include "train/loss.h"

#include "eval/vector.h"
#include "status/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- triplets ---- */

static double distance(const float *a, const float *b, int E)
{
    return attune_vector_distance(a, b, (uint32_t)E, ATTUNE_DISTANCE_EPSILON);
}

/* Adds `factor` times the gradient of d(a, b) to the gradients of both. */
static void add_distance_gradient(float *da, float *db, const float *a, const float *b, int E,
                                  double d, double factor)
{
    if (d == 0) {
        return; /* PyTorch's subgradient */
    }
    for (int i = 0; i < E; i++) {
        const double g = factor * ((double)a[i] - b[i] + ATTUNE_DISTANCE_EPSILON) / d;
        da[i] += (float)g;
        db[i] -= (float)g;
    }
}

/* One triplet by its rows: counts it, and adds its gradient. */
static void add_triplet(attune_loss_value *value, float *gradients, const float *embeddings,
                        const int rows[3], int E, double margin, double factor)
{
    const float *a = embeddings + (size_t)rows[0] * E, *p = embeddings + (size_t)rows[1] * E,
                *n = embeddings + (size_t)rows[2] * E;
    float *da = gradients + (size_t)rows[0] * E, *dp = gradients + (size_t)rows[1] * E,
          *dn = gradients + (size_t)rows[2] * E;
    const double near = distance(a, p, E), far = distance(a, n, E), loss = margin + near - far;
    value->counted++;
    value->correct += near < far ? 1 : near == far ? 0.5 : 0;
    value->positive += near;
    value->negative += far;
    if (loss > 0 || isnan(loss)) {
        value->loss += loss;
        add_distance_gradient(da, dp, a, p, E, near, factor);
        add_distance_gradient(da, dn, a, n, E, far, -factor);
    }
}

/* Sums to means. */
static void finish(attune_loss_value *value)
{
    const double n = value->counted > 0 ? value->counted : 1;
    value->loss /= n;
    value->positive /= n;
    value->negative /= n;
}

void attune_loss_triplet(attune_loss_value *value, float *gradients, const float *embeddings, int B,
                         int E, double margin, double weight)
{
    *value = (attune_loss_value){0};
    for (int i = 0; i < B; i++) {
        add_triplet(value, gradients, embeddings, (const int[]){i, B + i, 2 * B + i}, E, margin,
                    weight / B);
    }
    finish(value);
}

/* ---- mined triplets ---- */

static bool is_positive(const int32_t *labels, int a, int b)
{
    return a != b && labels[a] >= 0 && labels[a] == labels[b];
}

static bool is_negative(const int32_t *labels, int a, int b)
{
    return a != b && (labels[a] < 0 || labels[a] != labels[b]);
}

/* The row for which `wanted` holds that is farthest (sign 1) or nearest (sign -1), among those
 * beyond `least`; -1 if there is none. */
static int extreme(const double *d, const int32_t *labels, int a, int n, int sign, double least,
                   bool (*wanted)(const int32_t *, int, int))
{
    int best = -1;
    for (int i = 0; i < n; i++) {
        if (wanted(labels, a, i) && d[i] > least && (best < 0 || sign * d[i] > sign * d[best])) {
            best = i;
        }
    }
    return best;
}

/* Anchor a's triplets as rows into out (at most n); d (n) are its distances. */
static int mine(int (*out)[3], const double *d, const int32_t *labels, int a, int n,
                attune_mining mining)
{
    const double none = -1; /* no distance is less */
    int count = 0;
    if (labels[a] < 0) {
        return 0;
    }
    if (mining == ATTUNE_MINING_HARD) {
        const int p = extreme(d, labels, a, n, 1, none, is_positive),
                  far = extreme(d, labels, a, n, -1, none, is_negative);
        if (p >= 0 && far >= 0) {
            memcpy(out[count++], (const int[]){a, p, far}, sizeof(out[0]));
        }
        return count;
    }
    for (int p = 0; p < n; p++) {
        if (!is_positive(labels, a, p)) {
            continue;
        }
        int far = extreme(d, labels, a, n, -1, d[p], is_negative);
        far = far >= 0 ? far : extreme(d, labels, a, n, 1, none, is_negative);
        if (far >= 0) {
            memcpy(out[count++], (const int[]){a, p, far}, sizeof(out[0]));
        }
    }
    return count;
}

attune_status attune_loss_mined(attune_loss_value *value, float *gradients, const float *embeddings,
                                const int32_t *labels, int n, int E, attune_mining mining,
                                double margin, double weight)
{
    const size_t rows = (size_t)n;
    double *d = malloc(rows * sizeof(*d));
    int(*triplets)[3] = malloc(rows * rows * sizeof(*triplets));
    attune_status status = ATTUNE_OK;
    int count = 0;
    *value = (attune_loss_value){0};
    if (!d || !triplets) {
        status = attune_fail_memory("a batch's triplets", rows * rows * sizeof(*triplets));
        goto done;
    }
    for (int a = 0; a < n; a++) {
        for (int i = 0; i < n; i++) {
            d[i] = distance(embeddings + (size_t)a * E, embeddings + (size_t)i * E, E);
        }
        count += mine(triplets + count, d, labels, a, n, mining);
    }
    for (int i = 0; i < count; i++) {
        add_triplet(value, gradients, embeddings, triplets[i], E, margin, weight / count);
    }
    finish(value);
done:
    free(triplets);
    free(d);
    return status;
}

/* ---- contrast ---- */

/* s (n, n) = dot products of rows. */
static double *products(const float *rows, int n, int width)
{
    double *s = malloc((size_t)n * n * sizeof(*s));
    for (int i = 0; s && i < n; i++) {
        for (int k = 0; k <= i; k++) {
            double sum = 0;
            for (int j = 0; j < width; j++) {
                sum += (double)rows[(size_t)i * width + j] * rows[(size_t)k * width + j];
            }
            s[(size_t)i * n + k] = s[(size_t)k * n + i] = sum;
        }
    }
    return s;
}

/* gradients += of a loss whose gradient by s (n, n) is given; s_ik and s_ki are two entries. */
static void add_product_gradient(float *gradients, const double *by_s, const float *embeddings,
                                 int n, int E)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) {
            const double g = by_s[(size_t)i * n + k] + by_s[(size_t)k * n + i];
            for (int j = 0; g != 0 && j < E; j++) {
                gradients[(size_t)i * E + j] += (float)(g * embeddings[(size_t)k * E + j]);
            }
        }
    }
}

static bool is_left_out(const int32_t *labels, const int32_t *families, int a, int b)
{
    return families && families[a] >= 0 && families[a] == families[b] && labels[a] != labels[b];
}

/* Unit vectors' distance, from their dot product. */
static double distance_of(double s)
{
    return sqrt(fmax(0, 2 - 2 * s));
}

/* Anchor i's loss into value, its gradient by row i of s, for a mean over `anchors`, into by_s. */
static void contrast_anchor(attune_loss_value *value, double *by_s, const double *s,
                            const int32_t *labels, const int32_t *families, int i, int n,
                            double temperature, double factor)
{
    double top = -INFINITY, sum = 0, positives = 0, nearest = INFINITY, near = 0, far = 0,
           others = 0;
    for (int k = 0; k < n; k++) {
        if (k != i && !is_left_out(labels, families, i, k)) {
            top = fmax(top, s[k] / temperature);
        }
    }
    for (int k = 0; k < n; k++) {
        if (k == i || is_left_out(labels, families, i, k)) {
            continue;
        }
        sum += exp(s[k] / temperature - top);
        if (is_positive(labels, i, k)) {
            positives++;
            near += distance_of(s[k]);
        } else {
            others++;
            far += distance_of(s[k]);
            nearest = fmin(nearest, distance_of(s[k]));
        }
    }
    double loss = 0, correct = 0;
    for (int k = 0; k < n; k++) {
        if (k == i || is_left_out(labels, families, i, k)) {
            continue;
        }
        const double log_p = s[k] / temperature - top - log(sum);
        by_s[k] += factor * exp(log_p) / temperature;
        if (is_positive(labels, i, k)) {
            const double d = distance_of(s[k]);
            loss -= log_p / positives;
            by_s[k] -= factor / (positives * temperature);
            correct += (d < nearest ? 1 : d == nearest ? 0.5 : 0) / positives;
        }
    }
    value->counted++;
    value->loss += loss;
    value->correct += correct;
    value->positive += near / positives;
    value->negative += others > 0 ? far / others : 0;
}

attune_status attune_loss_contrast(attune_loss_value *value, float *gradients,
                                   const float *embeddings, const int32_t *labels,
                                   const int32_t *families, int n, int E, double temperature,
                                   double weight)
{
    double *s = products(embeddings, n, E), *by_s = calloc((size_t)n * n, sizeof(*by_s));
    attune_status status = ATTUNE_OK;
    int anchors = 0;
    *value = (attune_loss_value){0};
    if (!s || !by_s) {
        status = attune_fail_memory("a batch's similarities", (size_t)n * n * sizeof(*s));
        goto done;
    }
    for (int pass = 0; pass < 2; pass++) { /* how many anchors there are, then each */
        for (int i = 0; i < n; i++) {
            bool has_positive = false;
            for (int k = 0; k < n && !has_positive; k++) {
                has_positive = is_positive(labels, i, k);
            }
            if (has_positive && pass == 0) {
                anchors++;
            } else if (has_positive) {
                contrast_anchor(value, by_s + (size_t)i * n, s + (size_t)i * n, labels, families, i,
                                n, temperature, weight / anchors);
            }
        }
    }
    add_product_gradient(gradients, by_s, embeddings, n, E);
    finish(value);
done:
    free(by_s);
    free(s);
    return status;
}

/* ---- distillation ---- */

static bool has_teacher(const float *row, int D)
{
    for (int j = 0; j < D; j++) {
        if (row[j] != 0) {
            return true;
        }
    }
    return false;
}

attune_status attune_loss_distil(attune_loss_value *value, float *gradients,
                                 const float *embeddings, const float *teacher, int n, int E, int D,
                                 double weight)
{
    double *s = products(embeddings, n, E), *t = products(teacher, n, D);
    attune_status status = ATTUNE_OK;
    *value = (attune_loss_value){0};
    if (!s || !t) {
        status = attune_fail_memory("a batch's similarities", (size_t)n * n * sizeof(*s));
        goto done;
    }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i && has_teacher(teacher + (size_t)i * D, D); k++) {
            value->counted += has_teacher(teacher + (size_t)k * D, D);
        }
    }
    const double pairs = value->counted > 0 ? value->counted : 1;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++) { /* t becomes the gradient by s, in the lower triangle */
            const bool counts = k < i && has_teacher(teacher + (size_t)i * D, D) &&
                                has_teacher(teacher + (size_t)k * D, D);
            const double difference = counts ? s[(size_t)i * n + k] - t[(size_t)i * n + k] : 0;
            value->loss += difference * difference;
            t[(size_t)i * n + k] = 2 * weight * difference / pairs;
        }
    }
    add_product_gradient(gradients, t, embeddings, n, E);
    finish(value);
done:
    free(t);
    free(s);
    return status;
}

/* ---- regression ---- */

static double squared(const float *a, const float *b, int E)
{
    double sum = 0;
    for (int i = 0; i < E; i++) {
        const double difference = (double)a[i] - b[i];
        sum += difference * difference;
    }
    return sum;
}

/* How often row i is nearer to its own than to the others', as a share of these. */
static double compare_with_others(attune_loss_value *value, const float *e, const float *teacher,
                                  int i, int n, int E, double own)
{
    double correct = 0, sum = 0;
    int others = 0;
    for (int k = 0; k < n; k++) {
        if (k != i && has_teacher(teacher + (size_t)k * E, E)) {
            const double other = squared(e, teacher + (size_t)k * E, E);
            correct += own < other ? 1 : own == other ? 0.5 : 0;
            sum += sqrt(other);
            others++;
        }
    }
    value->negative += others ? sum / others : 0;
    return others ? correct / others : 0.5;
}

void attune_loss_regress(attune_loss_value *value, float *gradients, const float *embeddings,
                         const float *teacher, int n, int E, double weight)
{
    *value = (attune_loss_value){0};
    for (int i = 0; i < n; i++) {
        value->counted += has_teacher(teacher + (size_t)i * E, E);
    }
    for (int i = 0; i < n; i++) {
        const float *e = embeddings + (size_t)i * E, *t = teacher + (size_t)i * E;
        if (has_teacher(t, E)) {
            const double own = squared(e, t, E);
            value->loss += own / 2;
            value->positive += sqrt(own);
            value->correct += compare_with_others(value, e, teacher, i, n, E, own);
            for (int j = 0; j < E; j++) {
                gradients[(size_t)i * E + j] +=
                    (float)(weight * ((double)e[j] - t[j]) / value->counted);
            }
        }
    }
    finish(value);
}
