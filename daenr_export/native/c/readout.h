/* The factorized readout: for each neuron a mask over places, then weights over channels. The masked map of a few neurons
   stays in registers until its channels are weighted and summed, so that it is nowhere written down. */
#ifndef DAENR_READOUT_H
#define DAENR_READOUT_H

#include "activations.h"
#include "vectors.h"

enum { MOST_NEURONS = 32 };

/* A few neurons that look at the same places.

   places   of the pixels, in floats from the start of the map
   masks    [place][neuron]
   features [neuron][channel]
   ahead    weights of a later step; `lines` of them are asked for with each place */
ALWAYS void few_neurons(int neurons, int vectors, int channels, int count, const float *in, const float *nan,
                        const int32_t *places, const float *masks, const float *features, float *out,
                        const float *ahead, int lines)
{
    vec totals[MOST_NEURONS];
    UNROLL for (int n = 0; n < neurons; n++)
        totals[n] = (vec){0};
    ROLLED for (int c = 0; c < channels; c += vectors * LANES) {
        vec sums[MOST_NEURONS * 8];
        UNROLL for (int n = 0; n < neurons; n++)
            UNROLL for (int v = 0; v < vectors; v++)
                sums[n * vectors + v] = nan ? load(nan + c + v * LANES) : (vec){0};
        ROLLED for (int p = 0; p < count; p++) {
            vec x[8];
            ask_for(ahead + (size_t)p * lines * LINE, lines);
            UNROLL for (int v = 0; v < vectors; v++)
                x[v] = load(in + places[p] + c + v * LANES);
            UNROLL for (int n = 0; n < neurons; n++)
                UNROLL for (int v = 0; v < vectors; v++)
                    sums[n * vectors + v] += masks[p * neurons + n] * x[v];
        }
        UNROLL for (int n = 0; n < neurons; n++)
            UNROLL for (int v = 0; v < vectors; v++)
                totals[n] += sums[n * vectors + v] * load(features + n * channels + c + v * LANES);
    }
    UNROLL for (int n = 0; n < neurons; n++)
        out[n] = sum_of_lanes(totals[n]);
}

/* For each channel 0, or NaN where a pixel is NaN or infinite: what the places that masks leave out add to every sum. */
ALWAYS void nan_of_channels(int pixels, int pixel, int channels, const float *in, float *nan)
{
    ROLLED for (int c = 0; c < channels; c += LANES) {
        vec sum = {0};
        ROLLED for (int p = 0; p < pixels; p++)
            sum += load(in + p * pixel + c) * 0.0f;
        store(nan + c, sum);
    }
}

/* out = activation(out + bias), for a vector. */
ALWAYS void add_bias(int count, const float *bias, float *out, activation kind)
{
    ROLLED for (int n = 0; n < count; n += LANES)
        store(out + n, activate(kind, load(out + n) + load(bias + n)));
}

#endif
