/* Convolutions as products of matrices of shorter numbers: bfloat16, whose sums are float32, or int8, whose sums are
   int32. On the tiles of Intel AMX; int8 also as dot products of AVX-512 (VNNI). Those of bfloat16 are no faster than
   Winograd's products in float32.

   The left matrix has a row for each output pixel, of all images of a group: what its taps see, tap after tap, and zeros
   where a tap lies outside of the input. The right matrix has a column for each output channel. A tile is 16 rows of 64
   bytes: of the left matrix 16 rows by 32 or 64 terms, of the right one 32 or 64 terms by 16 columns, its terms by twos
   or fours, so that those that are multiplied into one sum lie in one word. Dot products take a word of the left matrix
   by a row of a tile of the right one.

   As int8, a column of weights is scaled by its largest one, and the input by its largest absolute value in each image.
   Nothing saturates, and an image gets the same bits beside any others. */
#ifndef DAENR_MATRIX_H
#define DAENR_MATRIX_H

#include "convolution.h"

#if defined(__AVX512VNNI__) && DAENR_LANES == 16
#include <immintrin.h>

typedef enum { BF16, INT8 } shorter;

typedef struct {
    shorter numbers;
    int height, width; /* of the grid of output pixels */
    int images;
    int from_image, to_image; /* floats from one image to the next, of input and output */
    int bytes;                /* of a row of the left matrix, and of a column of the right one: whole tiles */
} matrices;

enum { TILE = 16, TILE_BYTES = 1024, ROW_OF_TILE = 64, ROWS = 2 * TILE, MOST_IMAGES = 8 };

#ifdef __AMX_INT8__
/* What is added to int8 of the left matrix. */
enum { FLIP = 0 };

/* All eight tiles as large as they can be. */
ALWAYS void begin_tiles(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.bytes[i] = ROW_OF_TILE;
        shape.rows[i] = TILE;
    }
    _tile_loadconfig(&shape);
}

/* So that a switch to another thread need not save them. */
ALWAYS void end_tiles(void) { _tile_release(); }
#else
/* Dot products want one factor unsigned: 128 is added, and what that adds to a sum is taken off. */
enum { FLIP = 0x80 };
#endif

/* The largest absolute value; NaN where one is NaN or infinite. */
ALWAYS float largest(int count, const float *in)
{
    vec most = {0}, nan = {0};
    ROLLED for (int i = 0; i < count; i += LANES) {
        const vec x = load_loose(in + i), magnitude = (vec)((bits)x & 0x7fffffff);
        most = choose(magnitude > most, magnitude, most);
        nan += x * 0.0f;
    }
    float lanes[LANES], found = 0;
    __builtin_memcpy(lanes, &most, sizeof lanes);
    for (int i = 0; i < LANES; i++)
        found = lanes[i] > found ? lanes[i] : found;
    return found + sum_of_lanes(nan);
}

/* An image in shorter numbers, and what these are multiples of. It may be the caller's own, wherever that lies. */
ALWAYS float shorten(shorter numbers, int count, const float *in, unsigned char *out)
{
#ifdef __AMX_INT8__
    if (numbers == BF16) {
        ROLLED for (int i = 0; i < count; i += LANES)
            *(__m256bh *)(out + 2 * i) = _mm512_cvtneps_pbh(_mm512_loadu_ps(in + i));
        return 1;
    }
#endif
    const float most = largest(count, in), by = most > 1e-30f ? 127 / most : 0;
    ROLLED for (int i = 0; i < count; i += LANES)
        *(__m128i *)(out + i) = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32((__m512)(load_loose(in + i) * by)));
    return most / 127;
}

ALWAYS void copy(int bytes, char flip, const unsigned char *from, unsigned char *to)
{
    int i = 0;
    ROLLED for (; i + 64 <= bytes; i += 64)
        _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), _mm512_set1_epi8(flip)));
    ROLLED for (; i < bytes; i += 16)
        *(__m128i *)(to + i) = _mm_xor_si128(*(const __m128i *)(from + i), _mm_set1_epi8(flip));
}

ALWAYS void blank(int bytes, char flip, unsigned char *to)
{
    ROLLED for (int i = 0; i < bytes; i += 16)
        *(__m128i *)(to + i) = _mm_set1_epi8(flip);
}

/* Row `m` of the left matrix. */
ALWAYS void see(convolution c, matrices a, const unsigned char *in, int m, unsigned char *row)
{
    const int size = a.numbers == BF16 ? 2 : 1, seen = c.in_pixel * size;
    const char flip = a.numbers == BF16 ? 0 : (char)FLIP;
    const int pixel = m % (a.height * a.width), y = pixel / a.width * c.stride_y - c.pad_y;
    const int x = pixel % a.width * c.stride_x - c.pad_x;
    const unsigned char *from = in + (size_t)(m / (a.height * a.width)) * c.in_height * c.in_row * size;
    ROLLED for (int j = 0; j < c.taps_y; j++)
        ROLLED for (int i = 0; i < c.taps_x; i++, row += seen)
            if (y + j >= 0 && y + j < c.in_height && x + i >= 0 && x + i < c.in_width)
                copy(seen, flip, from + ((y + j) * c.in_row + (x + i) * c.in_pixel) * size, row);
            else
                blank(seen, flip, row);
    blank(a.bytes - c.taps_y * c.taps_x * seen, flip, row);
}

#ifdef __AMX_INT8__
#define MULTIPLY(sums, left, right)                                                                                   \
    do {                                                                                                              \
        if (numbers == BF16)                                                                                          \
            _tile_dpbf16ps(sums, left, right);                                                                        \
        else                                                                                                          \
            _tile_dpbssd(sums, left, right);                                                                          \
    } while (0)

/* sums = left · right for `down` by `across` tiles: one by one, two or four, or two by one or two. */
ALWAYS void multiply(shorter numbers, int down, int across, int bytes, const unsigned char *left,
                     const unsigned char *right, float *sums)
{
    const size_t next = (size_t)bytes * TILE;
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
    ROLLED for (int k = 0; k < bytes; k += ROW_OF_TILE, right += TILE_BYTES) {
        _tile_loadd(4, left + k, bytes);
        if (down > 1)
            _tile_loadd(5, left + next + k, bytes);
        _tile_loadd(6, right, ROW_OF_TILE);
        MULTIPLY(0, 4, 6);
        if (down > 1)
            MULTIPLY(2, 5, 6);
        if (across > 1) {
            _tile_loadd(7, right + next, ROW_OF_TILE);
            MULTIPLY(1, 4, 7);
            if (down > 1)
                MULTIPLY(3, 5, 7);
        }
        if (across > 2) {
            _tile_loadd(6, right + 2 * next, ROW_OF_TILE);
            MULTIPLY(2, 4, 6);
            _tile_loadd(7, right + 3 * next, ROW_OF_TILE);
            MULTIPLY(3, 4, 7);
        }
    }
    const size_t row = 4 * TILE * across;
    _tile_stored(0, sums, row);
    if (across > 1)
        _tile_stored(1, sums + TILE, row);
    if (across > 2) {
        _tile_stored(2, sums + 2 * TILE, row);
        _tile_stored(3, sums + 3 * TILE, row);
    } else if (down > 1) {
        _tile_stored(2, sums + TILE * TILE * across, row);
        if (across > 1)
            _tile_stored(3, sums + TILE * TILE * across + TILE, row);
    }
}
#undef MULTIPLY

#define PRODUCT(numbers, down, across)                                                                                \
    STEP void numbers##_##down##_##across(int bytes, const unsigned char *left, const unsigned char *right,           \
                                          float *sums)                                                                \
    {                                                                                                                 \
        multiply(numbers, down, across, bytes, left, right, sums);                                                    \
    }                                                                                                                 \
    typedef int used_##numbers##_##down##_##across
#define PRODUCTS(numbers)                                                                                             \
    PRODUCT(numbers, 1, 1);                                                                                           \
    PRODUCT(numbers, 1, 2);                                                                                           \
    PRODUCT(numbers, 1, 4);                                                                                           \
    PRODUCT(numbers, 2, 1);                                                                                           \
    PRODUCT(numbers, 2, 2)
PRODUCTS(BF16);
PRODUCTS(INT8);
#undef PRODUCTS
#undef PRODUCT

/* sums = left · right for `rows` of the left matrix, at most 32, by `across` tiles of the right one. */
ALWAYS void product(shorter numbers, int rows, int across, int bytes, const unsigned char *left,
                    const unsigned char *right, float *sums)
{
    if (numbers == BF16 && rows <= TILE)
        (across == 1 ? BF16_1_1 : across == 2 ? BF16_1_2 : BF16_1_4)(bytes, left, right, sums);
    else if (numbers == BF16)
        (across == 1 ? BF16_2_1 : BF16_2_2)(bytes, left, right, sums);
    else if (rows <= TILE)
        (across == 1 ? INT8_1_1 : across == 2 ? INT8_1_2 : INT8_1_4)(bytes, left, right, sums);
    else
        (across == 1 ? INT8_2_1 : INT8_2_2)(bytes, left, right, sums);
}
#else
enum { MOST_DOTS = 32 };

/* The same for a few rows, whose sums stay in registers. */
ALWAYS void multiply(int rows, int across, int bytes, const unsigned char *left, const unsigned char *right,
                     float *sums)
{
    const size_t next = (size_t)bytes * TILE;
    __m512i dots[MOST_DOTS], added[4];
    UNROLL for (int n = 0; n < rows * across; n++)
        dots[n] = _mm512_setzero_si512();
    UNROLL for (int n = 0; n < across; n++)
        added[n] = _mm512_setzero_si512();
    ROLLED for (int k = 0; k < bytes; k += 4) {
        __m512i w[4];
        UNROLL for (int n = 0; n < across; n++) {
            w[n] = _mm512_loadu_si512(right + n * next + (size_t)k * TILE);
            added[n] = _mm512_dpbusd_epi32(added[n], _mm512_set1_epi8((char)FLIP), w[n]);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            int word;
            __builtin_memcpy(&word, left + (size_t)r * bytes + k, sizeof word);
            const __m512i x = _mm512_set1_epi32(word);
            UNROLL for (int n = 0; n < across; n++)
                dots[r * across + n] = _mm512_dpbusd_epi32(dots[r * across + n], x, w[n]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int n = 0; n < across; n++)
            *(__m512i *)(sums + (r * across + n) * TILE) = _mm512_sub_epi32(dots[r * across + n], added[n]);
}

#define DOTS(rows, across)                                                                                            \
    STEP void dots_##rows##_##across(int bytes, const unsigned char *left, const unsigned char *right, float *sums)   \
    {                                                                                                                 \
        multiply(rows, across, bytes, left, right, sums);                                                             \
    }                                                                                                                 \
    typedef int used_##rows##_##across
DOTS(1, 1);
DOTS(1, 2);
DOTS(1, 4);
DOTS(4, 1);
DOTS(4, 2);
DOTS(4, 4);
DOTS(8, 1);
DOTS(8, 2);
#undef DOTS

/* sums = left · right for `rows` of the left matrix, at most 32, by `across` tiles of the right one. */
ALWAYS void product(shorter numbers, int rows, int across, int bytes, const unsigned char *left,
                    const unsigned char *right, float *sums)
{
    (void)numbers; /* int8 */
    for (int first = 0, few = 0; first < rows; first += few) {
        few = rows - first >= 8 && across < 4 ? 8 : rows - first >= 4 ? 4 : 1;
        const unsigned char *from = left + (size_t)first * bytes;
        float *to = sums + first * across * TILE;
        if (few == 8)
            (across == 1 ? dots_8_1 : dots_8_2)(bytes, from, right, to);
        else if (few == 4)
            (across == 1 ? dots_4_1 : across == 2 ? dots_4_2 : dots_4_4)(bytes, from, right, to);
        else
            (across == 1 ? dots_1_1 : across == 2 ? dots_1_2 : dots_1_4)(bytes, from, right, to);
    }
}
#endif

/* Give `rows` output pixels, from number `first` on, `columns` of their channels.

   unit   what the input of each image is in multiples of
   units  the same of each column of weights */
ALWAYS void give(convolution c, matrices a, int first, int rows, int columns, const float *sums, const float *unit,
                 const float *units, const float *bias, float *out)
{
    ROLLED for (int r = 0; r < rows; r++) {
        const int m = first + r, image = m / (a.height * a.width), pixel = m % (a.height * a.width);
        float *to = out + (size_t)image * a.to_image + pixel / a.width * c.out_row + pixel % a.width * c.out_pixel;
        ROLLED for (int n = 0; n < columns; n += LANES) {
            vec sum = load(sums + r * columns + n);
            if (a.numbers == INT8)
                sum = __builtin_convertvector((bits)sum, vec) * (load(units + n) * unit[image]);
            store(to + n, activate(c.kind, sum + load(bias + n)));
        }
    }
}

/* A layer, 32 output pixels at a time, each through all weights.

   c.block  output channels
   scratch  for 32 by 32 sums, the images in shorter numbers, and 32 rows of the left matrix */
ALWAYS void matrix_layer(convolution c, matrices a, const float *in, const float *weights, const float *units,
                         const float *bias, float *out, float *scratch)
{
    const int floats = c.in_height * c.in_row, count = a.images * a.height * a.width;
    float *sums = scratch;
    unsigned char *shortened = (unsigned char *)(scratch + ROWS * ROWS), *left = shortened;
    float unit[MOST_IMAGES];
    for (int image = 0; image < a.images; image++, left += floats * (a.numbers == BF16 ? 2 : 1))
        unit[image] = shorten(a.numbers, floats, in + (size_t)image * a.from_image, left);
    left += -(uintptr_t)left % 64;
    ROLLED for (int first = 0; first < count; first += ROWS) {
        const int rows = smaller(ROWS, count - first);
        ROLLED for (int r = 0; r < rows; r++)
            see(c, a, shortened, first + r, left + (size_t)r * a.bytes);
        int across = 0;
        ROLLED for (int n = 0; n < c.block; n += across * TILE) {
            const int tiles = (c.block - n) / TILE;
            across = rows <= TILE && tiles >= 4 ? 4 : tiles >= 2 ? 2 : 1;
            product(a.numbers, rows, across, a.bytes, left, (const unsigned char *)weights + (size_t)n * a.bytes, sums);
            give(c, a, first, rows, across * TILE, sums, unit, units + n, bias + n, out + n);
        }
    }
}

#ifdef __AMX_INT8__
/* The places of a map by twos, `[16 channels][two places][channel][place]` in bfloat16: the right matrix of a readout.

   terms  places, rounded up to whole tiles; what is behind the last place is 0 */
ALWAYS void pair_places(int places, int channels, int pixel, int terms, const float *in, unsigned char *right)
{
    const __m512i by_twos = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                             21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    ROLLED for (int c = 0; c < channels; c += TILE)
        ROLLED for (int p = 0; p < terms; p += 2, right += ROW_OF_TILE) {
            const __m512 nothing = _mm512_setzero_ps();
            const __m512 one = p < places ? *(const __m512 *)(in + p * pixel + c) : nothing;
            const __m512 other = p + 1 < places ? *(const __m512 *)(in + (p + 1) * pixel + c) : nothing;
            const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(other, one);
            *(__m512i *)right = _mm512_permutexvar_epi16(by_twos, both);
        }
}

/* A factorized readout: masks by the map, then weights over channels, as `few_neurons` does it in float32.

   neurons   rounded up to whole tiles
   masks     [neuron][place] in bfloat16, `terms` places to each neuron
   features  [neuron][channel]
   scratch   for 32 by 32 sums and the map */
ALWAYS void matrix_readout(int neurons, int places, int channels, int pixel, int terms, const float *in,
                           const float *masks, const float *features, float *out, float *scratch)
{
    float *sums = scratch, *right = scratch + ROWS * ROWS;
    pair_places(places, channels, pixel, terms, in, (unsigned char *)right);
    ROLLED for (int first = 0; first < neurons; first += ROWS) {
        const int rows = smaller(ROWS, neurons - first);
        vec totals[ROWS];
        for (int n = 0; n < rows; n++)
            totals[n] = (vec){0};
        int across = 0;
        ROLLED for (int c = 0; c < channels; c += across * TILE) {
            across = channels - c >= 2 * TILE ? 2 : 1;
            product(BF16, rows, across, 2 * terms, (const unsigned char *)masks + (size_t)first * 2 * terms,
                    (const unsigned char *)right + (size_t)c * 2 * terms, sums);
            ROLLED for (int n = 0; n < rows; n++)
                for (int v = 0; v < across; v++)
                    totals[n] += load(sums + (n * across + v) * TILE) *
                                 load(features + (size_t)(first + n) * channels + c + v * TILE);
        }
        ROLLED for (int n = 0; n < rows; n++)
            out[first + n] = sum_of_lanes(totals[n]);
    }
}

#endif
#endif

#endif
