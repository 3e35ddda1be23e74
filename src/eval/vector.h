/* vector.h - two vectors of E numbers, in double, element after element: everywhere the same bits.
 */
#ifndef ATTUNE_SRC_EVAL_VECTOR_H
#define ATTUNE_SRC_EVAL_VECTOR_H

#include <math.h>
#include <stdint.h>

#define ATTUNE_DISTANCE_EPSILON 1e-6 /* PyTorch's pairwise_distance */

/* The distance of `a` and `b` with `epsilon` added to each difference; 0: as Euclid has it. */
static inline double attune_vector_distance(const float *a, const float *b, uint32_t E,
                                            double epsilon)
{
    double sum = 0;
    for (uint32_t e = 0; e < E; e++) {
        const double difference = (double)a[e] - (double)b[e] + epsilon;
        sum += difference * difference;
    }
    return sqrt(sum);
}

/* The cosine of `a` and `b`; NaN if one is all zeros, and beyond 1 by what rounding does. */
static inline double attune_vector_cosine(const float *a, const float *b, uint32_t E)
{
    double product = 0, squares[2] = {0, 0};
    for (uint32_t e = 0; e < E; e++) {
        product += (double)a[e] * (double)b[e];
        squares[0] += (double)a[e] * (double)a[e];
        squares[1] += (double)b[e] * (double)b[e];
    }
    return product / sqrt(squares[0] * squares[1]);
}

/* Divides `row` by its length into `unit`, which may be `row`; its squared length comes back. A row
 * of zeros writes nothing. */
static inline double attune_vector_unit(float *unit, const float *row, uint32_t E)
{
    double square = 0;
    for (uint32_t e = 0; e < E; e++) {
        square += (double)row[e] * (double)row[e];
    }
    for (uint32_t e = 0; e < E && square > 0; e++) {
        unit[e] = (float)((double)row[e] / sqrt(square));
    }
    return square;
}

#endif
