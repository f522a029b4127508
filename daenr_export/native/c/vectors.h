/* Vectors of LANES floats, as the compiler provides them, and what is done with them.

   One file is compiled for each instruction set; DAENR_LANES says how wide its vectors are. */
#ifndef DAENR_VECTORS_H
#define DAENR_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#define LANES DAENR_LANES
#define ALWAYS static inline __attribute__((always_inline, unused))
#define STEP static __attribute__((noinline, unused))

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable) vectorize(disable)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 64")
#define ROLLED _Pragma("GCC unroll 1")
#endif

typedef float vec __attribute__((vector_size(4 * LANES), may_alias));
typedef float loose_vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t ubits __attribute__((vector_size(4 * LANES), may_alias));

ALWAYS vec load(const float *from) { return *(const vec *)from; }
ALWAYS vec load_loose(const float *from) { return *(const loose_vec *)from; }
ALWAYS void store(float *to, vec x) { *(vec *)to = x; }
ALWAYS void store_loose(float *to, vec x) { *(loose_vec *)to = x; }

ALWAYS vec splat(float x) { return x - (vec){0}; }

/* Lane by lane, `yes` where the mask is set and `no` elsewhere. */
ALWAYS vec choose(bits mask, vec yes, vec no) { return (vec)((mask & (bits)yes) | (~mask & (bits)no)); }

/* x, but not below or above a bound. A NaN stays one: its comparisons are false. */
ALWAYS vec at_least(vec x, float bound) { return choose(x < bound, splat(bound), x); }
ALWAYS vec at_most(vec x, float bound) { return choose(x > bound, splat(bound), x); }

enum { LINE = 16 }; /* floats in a line of the cache */

/* Ask for lines of weights that a later step will need, while this one computes: they come from far away. */
ALWAYS void ask_for(const float *ahead, int lines)
{
    for (int i = 0; i < lines; i++)
        __builtin_prefetch(ahead + i * LINE, 0, 2);
}

ALWAYS float sum_of_lanes(vec x)
{
    float half[LANES];
    __builtin_memcpy(half, &x, sizeof half);
    UNROLL for (int n = LANES / 2; n > 0; n /= 2)
        UNROLL for (int i = 0; i < n; i++)
            half[i] += half[i + n];
    return half[0];
}

#endif
