/* A transposed convolution with few output channels: for each input pixel the products of all taps, as one vector, and then
   for each output pixel the sum of those that fall on it. */
#ifndef DAENR_OVERLAP_H
#define DAENR_OVERLAP_H

#include "activations.h"
#include "vectors.h"

typedef struct {
    int margin_y, margin_x;    /* pixels of zeros around the products */
    int products_row;          /* floats from one row of pixels of the products to the next */
    int taps;                  /* floats of a pixel, [tap y][tap x][channel] and padding */
    int taps_y, taps_x;
    int stride_y, stride_x;
    int pad_y, pad_x;
    int height, width, channels; /* of the output, pixel by pixel, without padding */
    activation kind;
} overlap;

ALWAYS void clear(int count, float *at)
{
    ROLLED for (int i = 0; i < count; i += LANES)
        store(at + i, (vec){0});
}

/* Zeros around `height` by `width` pixels of products. */
ALWAYS void clear_margins(overlap c, int height, int width, float *products)
{
    const int rows = height + 2 * c.margin_y, side = c.margin_x * c.taps;
    clear(c.margin_y * c.products_row, products);
    clear(c.margin_y * c.products_row, products + (rows - c.margin_y) * c.products_row);
    for (int y = c.margin_y; y < rows - c.margin_y; y++) {
        clear(side, products + y * c.products_row);
        clear(side, products + y * c.products_row + (c.margin_x + width) * c.taps);
    }
}

/* The sums for output pixels of one phase of one row: those that are `stride_x` apart.

   first  the tap row that falls on this row of the output, the first of each stride
   from   the row of products that it comes from */
ALWAYS void overlap_phase(overlap c, int first, int phase, const float *from, const float *bias, float *out)
{
    const int tap = (phase + c.pad_x) % c.stride_x, shift = (phase + c.pad_x - tap) / c.stride_x;
    for (int q = 0; q * c.stride_x + phase < c.width; q++)
        UNROLL for (int o = 0; o < c.channels; o++) {
            float sum = bias[o];
            UNROLL for (int j = 0; first + j * c.stride_y < c.taps_y; j++)
                UNROLL for (int i = 0; tap + i * c.stride_x < c.taps_x; i++)
                    sum += from[(c.margin_x + q + shift - i) * c.taps - j * c.products_row +
                                ((first + j * c.stride_y) * c.taps_x + tap + i * c.stride_x) * c.channels + o];
            out[(q * c.stride_x + phase) * c.channels + o] = sum;
        }
}

ALWAYS void overlap_products(overlap c, const float *products, const float *bias, float *out)
{
    for (int q = 0; q * c.stride_y < c.height; q++)
        UNROLL for (int y = 0; y < c.stride_y; y++) {
            const int tap = (y + c.pad_y) % c.stride_y, shift = (y + c.pad_y - tap) / c.stride_y;
            if (q * c.stride_y + y < c.height)
                UNROLL for (int x = 0; x < c.stride_x; x++)
                    overlap_phase(c, tap, x, products + (c.margin_y + q + shift) * c.products_row, bias,
                                  out + (q * c.stride_y + y) * c.width * c.channels);
        }
    if (c.kind != NONE)
        ROLLED for (int i = 0; i < c.height * c.width * c.channels; i += LANES)
            store(out + i, activate(c.kind, load(out + i)));
}

#endif
