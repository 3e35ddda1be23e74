/* spectrum.c - magnitudes of a window of samples. */
#include "descriptors/spectrum.h"

#include "status/error.h"

#include <aubio/aubio.h>
#include <math.h>
#include <stdlib.h>

struct attune_spectrum {
    int size;
    float *window; /* (size) */
    aubio_fft_t *fft;
    fvec_t *samples, *parts; /* (size): real parts upwards, then imaginary ones downwards */
};

attune_status attune_spectrum_create(attune_spectrum **out, int size)
{
    attune_spectrum *s = *out = calloc(1, sizeof(*s));
    if (!s) {
        return attune_fail_memory("a spectrum", sizeof(*s));
    }
    s->size = size;
    s->window = malloc((size_t)size * sizeof(*s->window));
    s->fft = new_aubio_fft((uint_t)size);
    s->samples = new_fvec((uint_t)size);
    s->parts = new_fvec((uint_t)size);
    if (!s->window || !s->fft || !s->samples || !s->parts) {
        attune_spectrum_free(s);
        *out = NULL;
        return attune_fail_memory("a spectrum", (unsigned long long)size * sizeof(float));
    }
    for (int i = 0; i < size; i++) {
        s->window[i] = (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / size));
    }
    return ATTUNE_OK;
}

void attune_spectrum_free(attune_spectrum *spectrum)
{
    if (!spectrum) {
        return;
    }
    if (spectrum->fft) {
        del_aubio_fft(spectrum->fft);
    }
    if (spectrum->samples) {
        del_fvec(spectrum->samples);
    }
    if (spectrum->parts) {
        del_fvec(spectrum->parts);
    }
    free(spectrum->window);
    free(spectrum);
}

void attune_spectrum_of(attune_spectrum *spectrum, const float *samples, float *magnitudes)
{
    const int size = spectrum->size;
    smpl_t *in = spectrum->samples->data;
    for (int i = 0; i < size; i++) {
        in[i] = samples[i] * spectrum->window[i];
    }
    aubio_fft_do_complex(spectrum->fft, spectrum->samples, spectrum->parts);
    const smpl_t *parts = spectrum->parts->data;
    magnitudes[0] = fabsf(parts[0]);
    for (int i = 1; i < size / 2; i++) {
        const float real = parts[i], imaginary = parts[size - i];
        magnitudes[i] = sqrtf(real * real + imaginary * imaginary);
    }
    magnitudes[size / 2] = fabsf(parts[size / 2]);
}
