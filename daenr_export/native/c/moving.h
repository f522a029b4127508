/* What moves numbers: into the layout of the kernels and out of it, and the codes of a VQ-VAE. */
#ifndef DAENR_MOVING_H
#define DAENR_MOVING_H

#include "activations.h"
#include "vectors.h"

/* Channel by channel, as a caller gives a map, to pixel by pixel; padding becomes 0. */
ALWAYS void channels_last(int channels, int pixels, int pixel, const float *in, float *out)
{
    for (int p = 0; p < pixels; p++) {
        for (int c = 0; c < channels; c++)
            out[p * pixel + c] = in[c * pixels + p];
        for (int c = channels; c < pixel; c++)
            out[p * pixel + c] = 0;
    }
}

/* And back. */
ALWAYS void channels_first(int channels, int pixels, int pixel, const float *in, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int p = 0; p < pixels; p++)
            out[c * pixels + p] = in[p * pixel + c];
}

/* A uint8 image as floats, pixel by pixel; padding becomes 0. */
ALWAYS void scale_pixels(int channels, int pixels, int pixel, float scale, float offset, const uint8_t *in, float *out)
{
    for (int p = 0; p < pixels; p++) {
        for (int c = 0; c < channels; c++)
            out[p * pixel + c] = in[c * pixels + p] * scale + offset;
        for (int c = channels; c < pixel; c++)
            out[p * pixel + c] = 0;
    }
}

/* Each number of a map less its own mean, times its own scale, both in the order of ONNX; padding becomes 0. */
ALWAYS void standardise(int channels, int pixels, int in_pixel, int out_pixel, const float *mean, const float *scale,
                        const float *in, float *out)
{
    for (int p = 0; p < pixels; p++) {
        for (int c = 0; c < channels; c++)
            out[p * out_pixel + c] = (in[p * in_pixel + c] - mean[c * pixels + p]) * scale[c * pixels + p];
        for (int c = channels; c < out_pixel; c++)
            out[p * out_pixel + c] = 0;
    }
}

/* An activation of all that is stored. */
ALWAYS void activate_all(int count, activation kind, const float *in, float *out)
{
    ROLLED for (int i = 0; i < count; i += LANES)
        store(out + i, activate(kind, load(in + i)));
}

/* The channel with the smallest value of each pixel, the first of several. */
ALWAYS void nearest(int channels, int pixels, int pixel, const float *in, int64_t *codes)
{
    for (int p = 0; p < pixels; p++) {
        int best = 0;
        for (int c = 1; c < channels; c++)
            if (in[p * pixel + c] < in[p * pixel + best])
                best = c;
        codes[p] = best;
    }
}

/* For each code its row of the table. */
ALWAYS void look_up(int channels, int pixels, const float *table, const int64_t *codes, float *out)
{
    for (int p = 0; p < pixels; p++)
        ROLLED for (int c = 0; c < channels; c += LANES)
            store(out + p * channels + c, load(table + codes[p] * channels + c));
}

ALWAYS void copy_codes(int count, const int64_t *in, int64_t *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i];
}

#endif
