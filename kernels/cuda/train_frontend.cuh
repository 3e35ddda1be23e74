/* train_frontend.cuh - what the training front ends share: frames of clips, sums over frames, batch
 * normalisation's arithmetic. CPU twin: kernels/cpu/train_frames.c
 *
 * A pass writes a row of sums for every frame, in double; sum_rows adds the rows up in their order,
 * first in chunks, then the chunks. What is made of the sums is one channel's, in double, by a
 * kernel of a few threads. */
#ifndef ATTUNE_KERNELS_CUDA_TRAIN_FRONTEND_CUH
#define ATTUNE_KERNELS_CUDA_TRAIN_FRONTEND_CUH

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/train_frontend.h"

namespace
{

/* ---- frames ---- */

/* Frames of a group; passed by value. */
struct train_frames {
    const float *samples;
    size_t S;
    int T, hop, N, F;
};

inline train_frames train_frames_of(const attune_cuda_train_frontend *frontend,
                                    const attune_cuda_clips *clips)
{
    const attune_network &n = frontend->trainable->network;
    return {clips->samples, clips->S, clips->T, n.hop_size, n.frame_size, clips->clips * clips->T};
}

__device__ __forceinline__ const float *frame_at(const train_frames &x, int frame)
{
    return x.samples + frame / x.T * x.S + static_cast<size_t>(frame % x.T) * x.hop;
}

/* ---- memory ---- */

/* Cuts the front end's memory into arrays; where there is none, only counts. */
struct train_memory {
    char *base;
    size_t used; /* bytes */
};

template <typename Element> Element *take(train_memory &memory, size_t count)
{
    char *at = memory.base ? memory.base + memory.used : nullptr;
    const size_t bytes = count * sizeof(Element);
    memory.used += (bytes + ATTUNE_CUDA_ALIGN - 1) / ATTUNE_CUDA_ALIGN * ATTUNE_CUDA_ALIGN;
    return reinterpret_cast<Element *>(at);
}

/* ---- sums over frames ---- */

enum { CHUNK = 32 /* rows */, SUM_THREADS = 64 };

/* Rows of sums of a pass, those of chunks of rows, and the total. */
struct train_sums {
    double *rows, *chunks, *total;
};

inline int chunks_of(int rows)
{
    return (rows + CHUNK - 1) / CHUNK;
}

/* Room for `rows` rows of `count` sums; weighed rows need the chunks only. */
inline train_sums take_sums(train_memory &memory, int rows, size_t count, int weighed,
                            size_t weighed_count)
{
    const size_t by_rows = chunks_of(rows) * count, by_weighed = chunks_of(weighed) * weighed_count;
    return {take<double>(memory, rows * count),
            take<double>(memory, by_rows > by_weighed ? by_rows : by_weighed),
            take<double>(memory, count > weighed_count ? count : weighed_count)};
}

/* out (gridDim.y, count): the sums of `chunk` rows each of in (rows, count). */
__global__ void sum_rows(double *__restrict__ out, const double *__restrict__ in, int rows,
                         int chunk, int count)
{
    const int column = blockIdx.x * SUM_THREADS + threadIdx.x, first = blockIdx.y * chunk;
    if (column < count) {
        double sum = 0;
        for (int r = first; r < first + chunk && r < rows; r++) {
            sum += in[static_cast<size_t>(r) * count + column];
        }
        out[static_cast<size_t>(blockIdx.y) * count + column] = sum;
    }
}

/* Adds up sums.chunks, which are of `rows` rows. */
inline void sum_chunks(attune_cuda_stream *stream, const train_sums &sums, int rows, int count)
{
    const int chunks = chunks_of(rows);
    ATTUNE_LAUNCH(sum_rows, dim3((count - 1) / SUM_THREADS + 1), SUM_THREADS, stream, sums.total,
                  sums.chunks, chunks, chunks, count);
}

inline void sum_all(attune_cuda_stream *stream, const train_sums &sums, int rows, int count)
{
    ATTUNE_LAUNCH(sum_rows, dim3((count - 1) / SUM_THREADS + 1, chunks_of(rows)), SUM_THREADS,
                  stream, sums.chunks, sums.rows, rows, static_cast<int>(CHUNK), count);
    sum_chunks(stream, sums, rows, count);
}

/* Sums over `count` values and their squares, from those less `pivot`, which is one of them: so a
 * small variance beside a large mean is kept. */
__device__ __forceinline__ void unpivot(double moments[2], float pivot, float sum, float squares,
                                        int count)
{
    const double p = pivot, s = sum;
    moments[0] = s + count * p;
    moments[1] = squares + 2 * p * s + count * p * p;
}

/* ---- batch normalisation of one channel ---- */

/* z = gain·(y − mean) + shift, gain = scale·inverse, inverse = 1/√(variance + ε). `count`: values
 * that the statistics are of. */
struct train_norm {
    double mean, inverse, gain, shift, count;
};

__device__ __forceinline__ train_norm norm_of(const attune_trainable_conv &conv, int c,
                                              const float *parameters, double mean, double variance,
                                              double count)
{
    const double inverse = 1 / sqrt(variance + static_cast<double>(ATTUNE_BATCH_NORM_EPSILON));
    return {mean, inverse, parameters[conv.scale + c] * inverse,
            static_cast<double>(parameters[conv.shift + c]), count};
}

/* Moves the running statistics on. */
__device__ __forceinline__ train_norm norm_batch(const attune_trainable_conv &conv, int c,
                                                 const float *parameters, float *statistics,
                                                 double mean, double variance, double count)
{
    const double momentum = 0.1, known = variance > 0 ? variance : 0;
    float &running_mean = statistics[conv.mean + c],
          &running_variance = statistics[conv.variance + c];
    running_mean = static_cast<float>((1 - momentum) * running_mean + momentum * mean);
    running_variance = static_cast<float>((1 - momentum) * running_variance +
                                          momentum * known * count / (count - 1));
    return norm_of(conv, c, parameters, mean, known, count);
}

__device__ __forceinline__ train_norm norm_frozen(const attune_trainable_conv &conv, int c,
                                                  const float *parameters, const float *statistics)
{
    return norm_of(conv, c, parameters, statistics[conv.mean + c], statistics[conv.variance + c],
                   1);
}

/* z = a·y + b of y less `mean` */
__device__ __forceinline__ void resolve(float &a, float &b, const train_norm &norm, double mean)
{
    a = static_cast<float>(norm.gain);
    b = static_cast<float>(norm.shift - norm.gain * mean);
}

/* dy = gain·dz − constant − slope·(y − mean), from the sums of dz and of dz·(y − mean) over the
 * group. */
struct train_denorm {
    double gain, constant, slope;
};

__device__ __forceinline__ train_denorm denorm_of(const train_norm &norm, double sum,
                                                  double product)
{
    return {norm.gain, norm.gain * sum / norm.count,
            norm.gain * product * norm.inverse / norm.count * norm.inverse};
}

/* Adds the gradients of scale and shift. */
__device__ __forceinline__ void add_norm_gradients(float *gradients, const train_norm &norm,
                                                   const attune_trainable_conv &conv, int c,
                                                   double sum, double product)
{
    gradients[conv.scale + c] += static_cast<float>(product * norm.inverse);
    gradients[conv.shift + c] += static_cast<float>(sum);
}

} // namespace

#endif
