/* Convolutions over maps with their channels last, as products of small matrices held in registers.

   A tile is a few output pixels by a few vectors of output channels. Its sums stay in registers while the taps and input
   channels go by; each step loads the weights of one input channel and multiplies them by that channel of every pixel.
   All sizes are constants at the place of the call, so that the loops over a tile unroll and its sums become registers.

   Weights lie in blocks of output channels, [block][tap y][tap x][input channel][channel of the block]. */
#ifndef DAENR_CONVOLUTION_H
#define DAENR_CONVOLUTION_H

#include "activations.h"
#include "vectors.h"

typedef struct {
    int in_height, in_width;
    int in_row, in_pixel;      /* floats from one row or pixel of the input to the next */
    int channels;              /* of the input */
    int stride_y, stride_x;
    int pad_y, pad_x;          /* rows above and columns left of the input that taps may lie in */
    int taps_y, taps_x;
    int terms;                 /* that a sum has where all taps lie inside of the input */
    int out_row, out_pixel;    /* floats from one row or pixel of the grid to the next, in the output */
    int block;                 /* output channels in this block of weights */
    activation kind;
} convolution;

enum { MOST_SUMS = 64 };

ALWAYS int larger(int a, int b) { return a > b ? a : b; }
ALWAYS int smaller(int a, int b) { return a < b ? a : b; }

/* The first tap, and one behind the last, that meet the input for the pixel at `position` of the grid. */
ALWAYS int first_tap(int position, int stride, int pad, int taps)
{
    return smaller(larger(0, pad - position * stride), taps);
}
ALWAYS int last_tap(int position, int stride, int pad, int taps, int extent)
{
    return larger(0, smaller(taps, extent + pad - position * stride));
}

/* sums[p][v] += in[at[p] + k] · weights[k][v] for k < count. */
ALWAYS void accumulate(vec *sums, int pixels, int vectors, int count, const float *in, const int *at,
                       const float *weights, int block)
{
    ROLLED for (int k = 0; k < count; k++) {
        vec w[MOST_SUMS];
        UNROLL for (int v = 0; v < vectors; v++)
            w[v] = load(weights + (size_t)k * block + v * LANES);
        UNROLL for (int p = 0; p < pixels; p++)
            UNROLL for (int v = 0; v < vectors; v++)
                sums[p * vectors + v] += in[at[p] + k] * w[v];
    }
}

/* A long sum is taken in parts, so that each part stays as exact as a short one: the parts of a sum are added up in
   `totals`. Where they end depends on the layer alone, so that a pixel gets the same bits from every kernel here. */
enum { SHORT_SUM = 256, FEW_CHANNELS = 64, PART = 128 };

ALWAYS int in_parts(convolution c) { return c.terms > SHORT_SUM; }

/* Sums start from the bias, or totals do. */
ALWAYS void start(convolution c, vec *sums, vec *totals, int pixels, int vectors, const float *bias)
{
    UNROLL for (int p = 0; p < pixels; p++)
        UNROLL for (int v = 0; v < vectors; v++) {
            totals[p * vectors + v] = load(bias + v * LANES);
            sums[p * vectors + v] = in_parts(c) ? (vec){0} : totals[p * vectors + v];
        }
}

ALWAYS void end_part(vec *sums, vec *totals, int count)
{
    UNROLL for (int i = 0; i < count; i++) {
        totals[i] += sums[i];
        sums[i] = (vec){0};
    }
}

/* `taps` taps that lie behind one another in a row. */
ALWAYS void accumulate_row(convolution c, vec *sums, vec *totals, int pixels, int vectors, int taps, const float *in,
                           const int *at, const float *weights)
{
    if (in_parts(c) && c.channels >= FEW_CHANNELS) {
        ROLLED for (int x = 0; x < taps; x++)
            ROLLED for (int k = 0; k < c.channels; k += PART) {
                accumulate(sums, pixels, vectors, smaller(PART, c.channels - k), in + x * c.in_pixel + k, at,
                           weights + (size_t)(x * c.channels + k) * c.block, c.block);
                end_part(sums, totals, pixels * vectors);
            }
        return;
    }
    if (c.in_pixel == c.channels) /* a row of taps is one run of numbers */
        accumulate(sums, pixels, vectors, taps * c.channels, in, at, weights, c.block);
    else
        ROLLED for (int x = 0; x < taps; x++)
            accumulate(sums, pixels, vectors, c.channels, in + x * c.in_pixel, at,
                       weights + (size_t)x * c.channels * c.block, c.block);
    if (in_parts(c))
        end_part(sums, totals, pixels * vectors);
}

/* Store the sums of rows by columns of pixels, and apply the activation to them where they lie. */
ALWAYS void finish(const vec *sums, int rows, int columns, int vectors, float *out, int row, int pixel, activation kind)
{
    UNROLL for (int p = 0; p < rows * columns; p++)
        UNROLL for (int v = 0; v < vectors; v++)
            store(out + p / columns * row + p % columns * pixel + v * LANES, sums[p * vectors + v]);
    if (kind == NONE)
        return;
    ROLLED for (int y = 0; y < rows; y++)
        ROLLED for (int x = 0; x < columns; x++)
            UNROLL for (int v = 0; v < vectors; v++) {
                float *at = out + y * row + x * pixel + v * LANES;
                store(at, activate(kind, load(at)));
            }
}

/* A tile of pixels for which the same `taps_y` by `taps_x` taps, from the first on, lie inside of the input.

   in       at the first tap of the first pixel
   weights  at that tap
   tap_row  floats from one row of taps to the next */
ALWAYS void inner_tile(convolution c, int tap_row, int rows, int columns, int vectors, const float *in,
                       const float *weights, const float *bias, float *out)
{
    vec sums[MOST_SUMS], totals[MOST_SUMS];
    int from[MOST_SUMS];
    UNROLL for (int p = 0; p < rows * columns; p++)
        from[p] = p / columns * c.stride_y * c.in_row + p % columns * c.stride_x * c.in_pixel;
    start(c, sums, totals, rows * columns, vectors, bias);
    ROLLED for (int y = 0; y < c.taps_y; y++)
        accumulate_row(c, sums, totals, rows * columns, vectors, c.taps_x, in + y * c.in_row, from,
                       weights + (size_t)y * tap_row);
    finish(in_parts(c) ? totals : sums, rows, columns, vectors, out, c.out_row, c.out_pixel, c.kind);
}

/* A rectangle of `down` by `across` such tiles.

   ahead  weights of a later step; `lines` lines of them are asked for with each tile */
ALWAYS void inner_tiles(convolution c, int tap_row, int down, int across, int rows, int columns, int vectors,
                        const float *in, const float *weights, const float *bias, float *out, const float *ahead,
                        int lines)
{
    for (int v = 0; v < c.block; v += vectors * LANES)
        for (int y = 0; y < down; y++)
            for (int x = 0; x < across; x++) {
                ask_for(ahead, lines);
                ahead += lines * LINE;
                inner_tile(c, tap_row, rows, columns, vectors,
                           in + y * rows * c.stride_y * c.in_row + x * columns * c.stride_x * c.in_pixel, weights + v,
                           bias + v, out + v + y * rows * c.out_row + x * columns * c.out_pixel);
            }
}

/* A tile at a fixed place of the grid, (top, left), whose pixels each have taps of their own: weights are loaded once
   for all pixels of a small map, and what lies outside of the input is not multiplied. */
ALWAYS void fixed_tile(convolution c, int top, int left, int rows, int columns, int vectors, const float *in,
                       const float *weights, const float *bias, float *out)
{
    vec sums[MOST_SUMS], totals[MOST_SUMS];
    const int by_tap = in_parts(c) && c.channels >= FEW_CHANNELS, part = by_tap ? PART : c.channels;
    start(c, sums, totals, rows * columns, vectors, bias);
    UNROLL for (int j = 0; j < c.taps_y; j++) {
        UNROLL for (int i = 0; i < c.taps_x; i++)
            ROLLED for (int first = 0; first < c.channels; first += part) {
                const int last = smaller(first + part, c.channels);
                const float *tap = weights + (size_t)(j * c.taps_x + i) * c.channels * c.block;
                ROLLED for (int k = first; k < last; k++) {
                    vec w[MOST_SUMS];
                    UNROLL for (int v = 0; v < vectors; v++)
                        w[v] = load(tap + (size_t)k * c.block + v * LANES);
                    UNROLL for (int p = 0; p < rows * columns; p++) {
                        const int y = (top + p / columns) * c.stride_y + j - c.pad_y;
                        const int x = (left + p % columns) * c.stride_x + i - c.pad_x;
                        if (y >= 0 && y < c.in_height && x >= 0 && x < c.in_width)
                            UNROLL for (int v = 0; v < vectors; v++)
                                sums[p * vectors + v] += in[y * c.in_row + x * c.in_pixel + k] * w[v];
                    }
                }
                if (by_tap)
                    end_part(sums, totals, rows * columns * vectors);
            }
        if (in_parts(c) && !by_tap)
            end_part(sums, totals, rows * columns * vectors);
    }
    finish(in_parts(c) ? totals : sums, rows, columns, vectors, out + top * c.out_row + left * c.out_pixel, c.out_row,
           c.out_pixel, c.kind);
}

/* One pixel of several images at a time: weights are loaded once for all images.

   from_image, to_image  floats from one image to the next, of input and output */
ALWAYS void across_images(convolution c, int height, int width, int images, int tile, int vectors, int from_image,
                          int to_image, const float *in, const float *weights, const float *bias, float *out)
{
    int from[MOST_SUMS];
    UNROLL for (int p = 0; p < tile; p++)
        from[p] = p * from_image;
    for (int v = 0; v < c.block; v += vectors * LANES)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                for (int image = 0; image < images; image += tile) {
                    const int first_y = first_tap(y, c.stride_y, c.pad_y, c.taps_y);
                    const int last_y = last_tap(y, c.stride_y, c.pad_y, c.taps_y, c.in_height);
                    const int first_x = first_tap(x, c.stride_x, c.pad_x, c.taps_x);
                    const int last_x = last_tap(x, c.stride_x, c.pad_x, c.taps_x, c.in_width);
                    vec sums[MOST_SUMS], totals[MOST_SUMS];
                    start(c, sums, totals, tile, vectors, bias + v);
                    for (int j = first_y; j < last_y; j++)
                        accumulate_row(c, sums, totals, tile, vectors, last_x - first_x,
                                       in + image * from_image + (y * c.stride_y + j - c.pad_y) * c.in_row +
                                           (x * c.stride_x + first_x - c.pad_x) * c.in_pixel,
                                       from,
                                       weights + v + (size_t)(j * c.taps_x + first_x) * c.channels * c.block);
                    finish(in_parts(c) ? totals : sums, 1, tile, vectors,
                           out + v + image * to_image + y * c.out_row + x * c.out_pixel, 0, to_image, c.kind);
                }
}

#endif
