/* Convolutions with taps of 2 by 2 in fewer multiplications (Winograd 1980): a tile of 2 by 2 output pixels takes 9 products
   for each pair of channels, not 16. In one dimension, of inputs d and taps g:

       d0·g0 + d1·g1 = (d0 - d1)·g0 + d1·(g0 + g1)
       d1·g0 + d2·g1 = d1·(g0 + g1) - (d1 - d2)·g1

   A convolution of 4 by 4 taps with stride 2 is the sum of four of these, one for each parity of the input's coordinates:
   its parts. Sums of taps are taken while the weights go by, so that weights are kept once and as they are.

   Weights lie in blocks of output channels, [block][tap y][part][input channel][tap x][channel of the block]. */
#ifndef DAENR_WINOGRAD_H
#define DAENR_WINOGRAD_H

#include "activations.h"
#include "convolution.h"
#include "vectors.h"

typedef struct {
    int in_height, in_width;
    int in_row, in_pixel;
    int channels;              /* of the input, whole vectors */
    int stride;                /* 1 or 2, of both coordinates; the parts are its square */
    int pad_y, pad_x;
    int tiles_y, tiles_x;
    int out_row, out_pixel;
    int block;
    activation kind;
} winograd;

ALWAYS int products_of(winograd c) { return c.stride * c.stride * c.channels; }

/* The input patches of a tile, transformed: to[row][column][product], for row and column of three. */
ALWAYS void transform_tile(winograd c, int ty, int tx, const float *in, const float *zeros, float *to)
{
    const int products = products_of(c);
    for (int part = 0; part < c.stride * c.stride; part++) {
        const float *pixels[9];
        UNROLL for (int i = 0; i < 9; i++) {
            const int y = (2 * ty + i / 3) * c.stride + part / c.stride - c.pad_y;
            const int x = (2 * tx + i % 3) * c.stride + part % c.stride - c.pad_x;
            const int inside = y >= 0 && y < c.in_height && x >= 0 && x < c.in_width;
            pixels[i] = inside ? in + y * c.in_row + x * c.in_pixel : zeros;
        }
        ROLLED for (int k = 0; k < c.channels; k += LANES) {
            vec rows[3][3];
            UNROLL for (int i = 0; i < 3; i++) {
                const vec a = load(pixels[i] + k), b = load(pixels[3 + i] + k), d = load(pixels[6 + i] + k);
                rows[0][i] = a - b;
                rows[1][i] = b;
                rows[2][i] = b - d;
            }
            float *at = to + part * c.channels + k;
            UNROLL for (int i = 0; i < 3; i++) {
                store(at + (3 * i + 0) * products, rows[i][0] - rows[i][1]);
                store(at + (3 * i + 1) * products, rows[i][1]);
                store(at + (3 * i + 2) * products, rows[i][1] - rows[i][2]);
            }
        }
    }
}

/* One row of three products for a few tiles and vectors of output channels.

   in       of the first tile and this row, [tile][row][column][product]
   weights  taps of this row, [product][tap x][channel of the block]
   more     unless NULL: taps to add to them
   out      of the first tile and this row, [tile][row][column][channel of the block]
   ahead    weights of a later step; `lines` lines of them are asked for with each product */
ALWAYS void multiply_row(winograd c, int few, int vectors, const float *in, const float *weights,
                         const float *more, float *out, const float *ahead, int lines)
{
    const int products = products_of(c);
    vec sums[MOST_SUMS];
    UNROLL for (int i = 0; i < 3 * few * vectors; i++)
        sums[i] = (vec){0};
    ROLLED for (int k = 0; k < products; k++) {
        vec w[3][MOST_SUMS];
        ask_for(ahead + (size_t)k * lines * LINE, lines);
        UNROLL for (int v = 0; v < vectors; v++) {
            w[0][v] = load(weights + (2 * k + 0) * c.block + v * LANES);
            w[2][v] = load(weights + (2 * k + 1) * c.block + v * LANES);
            if (more) {
                w[0][v] += load(more + (2 * k + 0) * c.block + v * LANES);
                w[2][v] += load(more + (2 * k + 1) * c.block + v * LANES);
            }
            w[1][v] = w[0][v] + w[2][v];
        }
        UNROLL for (int column = 0; column < 3; column++)
            UNROLL for (int p = 0; p < few; p++)
                UNROLL for (int v = 0; v < vectors; v++)
                    sums[(column * few + p) * vectors + v] += in[(9 * p + column) * products + k] * w[column][v];
    }
    UNROLL for (int column = 0; column < 3; column++)
        UNROLL for (int p = 0; p < few; p++)
            UNROLL for (int v = 0; v < vectors; v++)
                store(out + (9 * p + column) * c.block + v * LANES, sums[(column * few + p) * vectors + v]);
}

/* Products of a tile to its 2 by 2 pixels of output. */
ALWAYS void finish_tile(winograd c, const float *products, const float *bias, float *out)
{
    ROLLED for (int v = 0; v < c.block; v += LANES) {
        vec rows[2][3];
        UNROLL for (int i = 0; i < 3; i++) {
            const vec a = load(products + (0 + i) * c.block + v);
            const vec b = load(products + (3 + i) * c.block + v);
            const vec d = load(products + (6 + i) * c.block + v);
            rows[0][i] = a + b;
            rows[1][i] = b - d;
        }
        UNROLL for (int y = 0; y < 2; y++) {
            float *to = out + y * c.out_row + v;
            store(to, activate(c.kind, rows[y][0] + rows[y][1] + load(bias + v)));
            store(to + c.out_pixel, activate(c.kind, rows[y][1] - rows[y][2] + load(bias + v)));
        }
    }
}

/* One block of output channels of a few tiles, from tile number `first` of an image on.

   transformed  [tile][row][column][product]
   products     scratch, [tile][row][column][channel of the block]
   out          the image's share of the output, at this block */
ALWAYS void winograd_block(winograd c, int first, int few, int vectors, const float *transformed, float *products,
                           const float *weights, const float *bias, float *out, const float *ahead, int lines)
{
    const int count = products_of(c), plane = 2 * count * c.block;
    for (int v = 0; v < c.block; v += vectors * LANES)
        UNROLL for (int row = 0; row < 3; row++) {
            const float *taps = weights + (row == 2 ? plane : 0) + v, *more = row == 1 ? taps + plane : NULL;
            multiply_row(c, few, vectors, transformed + 3 * row * count, taps, more, products + 3 * row * c.block + v,
                         ahead, lines);
            ahead += (size_t)count * lines * LINE;
        }
    ROLLED for (int tile = 0; tile < few; tile++) {
        const int y = (first + tile) / c.tiles_x, x = (first + tile) % c.tiles_x;
        finish_tile(c, products + 9 * tile * c.block, bias, out + 2 * y * c.out_row + 2 * x * c.out_pixel);
    }
}

/* The transformed patches of a few tiles. */
ALWAYS void transform_tiles(winograd c, int first, int few, const float *in, const float *zeros, float *transformed)
{
    ROLLED for (int tile = 0; tile < few; tile++)
        transform_tile(c, (first + tile) / c.tiles_x, (first + tile) % c.tiles_x, in, zeros,
                       transformed + (size_t)9 * tile * products_of(c));
}

#endif
