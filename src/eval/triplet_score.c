/* triplet_score.c - triplets, one after the other. */
#include "eval/triplet_score.h"

#include "eval/vector.h"

#include <math.h>
#include <stddef.h>

/* 1 if anchor and positive are the nearest of the three pairs, its share if several are. */
static double odd_one_out(const float *a, const float *p, const float *n, uint32_t E)
{
    const double near = attune_vector_distance(a, p, E, 0),
                 others[2] = {attune_vector_distance(a, n, E, 0),
                              attune_vector_distance(p, n, E, 0)};
    const int ties = 1 + (others[0] == near) + (others[1] == near);
    return near <= others[0] && near <= others[1] ? 1.0 / ties : 0;
}

void attune_triplet_measure(attune_triplet_score *out, double *right, double *odd,
                            const float *vectors, uint32_t E, const attune_triplet_rows *triplets,
                            uint32_t count, double margin, uint32_t batch)
{
    double in_batch = 0, batches = 0;
    *out = (attune_triplet_score){.count = count};
    for (uint32_t i = 0; i < count; i++) {
        const float *a = vectors + (size_t)triplets[i].anchor * E,
                    *p = vectors + (size_t)triplets[i].positive * E,
                    *n = vectors + (size_t)triplets[i].negative * E;
        const double near = attune_vector_distance(a, p, E, ATTUNE_DISTANCE_EPSILON),
                     far = attune_vector_distance(a, n, E, ATTUNE_DISTANCE_EPSILON),
                     correct = near < far    ? 1
                               : near == far ? 0.5
                                             : 0,
                     odd_correct = odd_one_out(a, p, n, E);
        out->correct += correct;
        out->odd += odd_correct;
        out->positive += near;
        out->negative += far;
        out->loss += fmax(0, margin + near - far);
        if (right) {
            right[i] = correct;
        }
        if (odd) {
            odd[i] = odd_correct;
        }
        in_batch += correct;
        if ((i + 1) % batch == 0 || i + 1 == count) {
            out->batch_accuracy += in_batch / (i % batch + 1);
            in_batch = 0;
            batches++;
        }
    }
    out->batch_accuracy /= batches;
    out->positive /= count;
    out->negative /= count;
    out->loss /= count;
    out->odd /= count;
}
