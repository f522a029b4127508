/* What a core can do at most: multiply-adds of each kind that stay in registers, and reading a buffer again and again.

   Each kernel is compiled for its own instruction set; `supported` says whether this processor and its system have it.
   Twelve independent sums hide the latency of two units (5 cycles at most) and fit the registers of every set. */
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(_WIN32)
#define API __declspec(dllexport)
int __stdcall DllMainCRTStartup(void *library, unsigned long reason, void *reserved);
int __stdcall DllMainCRTStartup(void *library, unsigned long reason, void *reserved)
{
    (void)library, (void)reserved, (void)reason;
    return 1;
}
#else
#define API __attribute__((visibility("default")))
#endif

#define UNROLL _Pragma("clang loop unroll(full)")
#define FOR_SET(features) __attribute__((target(features), noinline)) static
#define SUMS 12
#define STREAMS 8 /* places that a buffer is read at, in turns: more than one keeps the prefetchers busy */

typedef struct {
    const char *precision;      /* of the factors; "read" for a kernel that reads memory */
    const char *instructions;
    int32_t (*supported)(void);
    /* Repeats its work and says how much that was: multiply-adds, or bytes. */
    double (*run)(int64_t repeats, const char *buffer, int64_t bytes);
} kernel;

/* Read before and written after a kernel's loop, so that neither its start nor its end is known to the compiler. */
static volatile float seed = 1e-3f;

#define ARITHMETIC(name, features, vector, splat, step, per_step)                                                     \
    FOR_SET(features) double name(int64_t repeats, const char *buffer, int64_t bytes)                                 \
    {                                                                                                                 \
        (void)buffer, (void)bytes;                                                                                    \
        vector sums[SUMS];                                                                                            \
        const vector a = splat(seed), b = splat(seed);                                                                \
        UNROLL for (int i = 0; i < SUMS; i++) sums[i] = splat(seed * (float)i);                                       \
        for (int64_t n = 0; n < repeats; n++)                                                                         \
            UNROLL for (int i = 0; i < SUMS; i++) sums[i] = step(sums[i], a, b);                                      \
        UNROLL for (int i = 1; i < SUMS; i++) sums[0] += sums[i];                                                     \
        seed = sums[0][0] > 0 ? 1e-3f : 2e-3f;                                                                        \
        return (double)repeats * SUMS * (per_step);                                                                   \
    }

#define READING(name, features, width)                                                                                \
    FOR_SET(features) double name(int64_t repeats, const char *buffer, int64_t bytes)                                 \
    {                                                                                                                 \
        typedef int32_t vector __attribute__((vector_size(width)));                                                   \
        const int64_t part = bytes / STREAMS / (2 * width) * (2 * width);                                             \
        for (int64_t n = 0; n < repeats; n++)                                                                         \
            for (int64_t at = 0; at < part; at += 2 * width)                                                          \
                UNROLL for (int i = 0; i < STREAMS; i++) {                                                            \
                    (void)*(const volatile vector *)(const void *)(buffer + i * part + at);                           \
                    (void)*(const volatile vector *)(const void *)(buffer + i * part + at + width);                   \
                }                                                                                                     \
        return (double)repeats * STREAMS * (double)part;                                                              \
    }

typedef float vec4 __attribute__((vector_size(16)));
#define SPLAT4(x) ((x) - (vec4){0})
#define FUSED(sum, a, b) __builtin_elementwise_fma(a, b, sum)
#define SEPARATE(sum, a, b) ((sum) * (a) + (b))

static int32_t always(void) { return 1; }

#if defined(__x86_64__)
#include "x86_64.h"
#elif defined(__aarch64__)
ARITHMETIC(fp32_neon, "neon", vec4, SPLAT4, FUSED, 4)
READING(read_neon, "neon", 16)

static const kernel kernels[] = {
    {"fp32", "neon", always, fp32_neon},
    {"read", "neon", always, read_neon},
};
#endif

API const kernel *daenr_kernels(int32_t *count);
API const kernel *daenr_kernels(int32_t *count)
{
    *count = sizeof kernels / sizeof *kernels;
    return kernels;
}
