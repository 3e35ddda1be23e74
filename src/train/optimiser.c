/* optimiser.c - AdamW and the schedules. */
#include "train/optimiser.h"

#include <math.h>

double attune_gradient_norm(const float *gradients, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)gradients[i] * gradients[i];
    }
    return sqrt(sum);
}

void attune_gradient_clip(float *gradients, size_t count, double norm, double limit)
{
    const double factor = limit / (norm + 1e-6);
    for (size_t i = 0; factor < 1 && i < count; i++) {
        gradients[i] = (float)(gradients[i] * factor);
    }
}

void attune_adamw_step(attune_adamw *adamw, float *parameters, const float *gradients, size_t first)
{
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    adamw->steps++;
    const double correction1 = 1 - pow(beta1, (double)adamw->steps),
                 correction2 = sqrt(1 - pow(beta2, (double)adamw->steps));
    const double decay = 1 - adamw->rate * adamw->weight_decay, step = adamw->rate / correction1;
    for (size_t i = first; i < adamw->count; i++) {
        const double g = gradients[i];
        const double m = beta1 * adamw->moment1[i] + (1 - beta1) * g;
        const double v = beta2 * adamw->moment2[i] + (1 - beta2) * g * g;
        adamw->moment1[i] = (float)m;
        adamw->moment2[i] = (float)v;
        parameters[i] =
            (float)(parameters[i] * decay - step * m / (sqrt(v) / correction2 + epsilon));
    }
}

double attune_plateau_step(attune_plateau *plateau, double value)
{
    if (value < plateau->best * (1 - 1e-4)) { /* INFINITY * (1 - 1e-4) is INFINITY */
        plateau->best = value;
        plateau->bad = 0;
        return 1;
    }
    if (++plateau->bad <= plateau->patience) {
        return 1;
    }
    plateau->bad = 0;
    return plateau->factor;
}

bool attune_best_step(attune_best *best, double value, int epoch)
{
    if (value > best->value) {
        *best = (attune_best){.value = value, .epoch = epoch};
        return true;
    }
    best->bad++;
    return false;
}
