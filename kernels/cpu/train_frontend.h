/* train_frontend.h - the front end in training mode, forward and backward; private to kernels/cpu.
 *
 * Frames pass through in groups, and batch normalisation takes the statistics of a group: so a
 * layer can only be normalised when all frames of the group have reached it. A front end therefore
 * makes several passes over the frames, one for each batch normalisation. Every pass cuts the
 * frames into the same runs whatever the number of threads; sums over frames are made run by run in
 * double, and then over the runs in order, so that the bits never depend on the threads. */
#ifndef ATTUNE_KERNELS_CPU_TRAIN_FRONTEND_H
#define ATTUNE_KERNELS_CPU_TRAIN_FRONTEND_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/team.h"
#include "model/trainable.h"

/* One per architecture and instruction set. Frames are pointers to frame_size finite samples each,
 * in any order and place. F is 1 to `frames`, `group` 0 to `groups` - 1. */
typedef struct attune_train_frontend {
    /* `team` is borrowed; its threads do the work. On failure *out is NULL. */
    attune_status (*open)(void **out, const attune_trainable *trainable, int frames, int groups,
                          bool frozen, attune_team *team);
    void (*close)(void *frontend); /* NULL-safe */

    /* features (F, C) of one group, normalised by the statistics of its F frames; the running
     * statistics move on. Frozen: by the running statistics, which stay. */
    void (*forward)(void *frontend, float *features, float *statistics, const float *parameters,
                    const float *const *frames, int F, int group);

    /* Adds the group's gradients to `gradients`, from those by its features (F, C), with the
     * parameters and frames of the group's last forward. Not for a frozen front end. */
    void (*backward)(void *frontend, float *gradients, const float *feature_gradients,
                     const float *parameters, const float *const *frames, int F, int group);
} attune_train_frontend;

extern const attune_train_frontend attune_train_frontend_tiny_baseline,
    attune_train_frontend_tiny_avx2, attune_train_frontend_tiny_avx512,
    attune_train_frontend_gru_baseline, attune_train_frontend_gru_avx2,
    attune_train_frontend_gru_avx512;

/* ---- passes over the frames of a group (train_frames.c) ---- */

/* One frame: adds to `sums`, which the frames of a run share. */
typedef void attune_frame_work(void *data, int frame, double *sums, float *scratch);

typedef struct attune_frames {
    attune_team *team; /* borrowed */
    double *sums;      /* (runs + 1, sums_max); the first row is the total */
    float *scratch;    /* (threads, scratch_size) */
    size_t sums_max, scratch_size;
} attune_frames;

/* `scratch_size` floats for each thread, aligned and 0 at first. Whatever it returns, close. */
attune_status attune_frames_open(attune_frames *out, attune_team *team, int frames, size_t sums_max,
                                 size_t scratch_size);
void attune_frames_close(attune_frames *frames);

/* Runs `work` for all F frames; returns the `count` sums, which last until the next pass. */
const double *attune_frames_pass(attune_frames *frames, attune_frame_work *work, void *data, int F,
                                 size_t count);

/* ---- batch normalisation of one channel (train_frames.c) ---- */

/* z = gain·(y − mean) + shift, gain = scale·inverse, inverse = 1/√(variance + ε). `count`: values
 * that the statistics are of. */
typedef struct attune_train_norm {
    double mean, inverse, gain, shift, count;
} attune_train_norm;

/* Channel c, from the sums over y and y²; moves the running statistics on. */
attune_train_norm attune_train_norm_batch(const attune_trainable_conv *conv, int c,
                                          const float *parameters, float *statistics, double sum,
                                          double squares, double count);
attune_train_norm attune_train_norm_frozen(const attune_trainable_conv *conv, int c,
                                           const float *parameters, const float *statistics);

/* dy = gain·dz − constant − slope·(y − mean), from the sums of dz and of dz·(y − mean) over the
 * group. Adds the gradients of scale and shift. */
typedef struct attune_train_denorm {
    double gain, constant, slope;
} attune_train_denorm;

attune_train_denorm attune_train_norm_backward(const attune_train_norm *norm,
                                               const attune_trainable_conv *conv, int c,
                                               float *gradients, double sum, double product);

#ifdef ATTUNE_ISA
/* ---- rows: positions by channels (train_rows.c) ---- */

/* Adds the sums over y and y² of every column of y (R, C), C a multiple of 16: in double, and from
 * each column's own mean, so that a small variance beside a large mean is kept. */
void ATTUNE_KERNEL(attune_rows_moments)(double *sums, double *squares, const float *y, int R,
                                        int C);

/* out (M, J) += aᵀ · b, with a (K, M) and b (K, J) of the row strides given; M a multiple of 8, J
 * of 32. */
void ATTUNE_KERNEL(attune_rows_product)(float *out, const float *a, size_t a_stride, const float *b,
                                        size_t b_stride, int M, int K, int J);
#endif

#endif
