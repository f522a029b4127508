/* The four functions of a library, around what was generated for its graph (see daenr_native.h). */
#define DAENR_INSIDE
#if defined(_WIN32)
#define DAENR_API __declspec(dllexport)
#else
#define DAENR_API __attribute__((visibility("default")))
#endif
#include "daenr_native.h"
#include "graph.h"

#include <stddef.h>

static runner *chosen;
static const char *chosen_name;

#if defined(__x86_64__)
static void cpuid(uint32_t leaf, uint32_t part, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(part));
}

/* Which registers the operating system keeps when it switches between threads. */
static uint32_t kept_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int has_bits(uint32_t found, uint32_t wanted) { return (found & wanted) == wanted; }

/* The tiles of AMX, with products of bfloat16 and int8. Linux lets a process use them after it has asked for them; on other
   systems they are left alone. */
static int has_tiles(void)
{
#if defined(__linux__)
    enum { ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, TILES = 18 };
    const uint32_t tiles = 1u << 24 | 1u << 22 | 1u << 25, avx512_bf16 = 1u << 5;
    uint32_t r[4];
    long answer;
    cpuid(7, 0, r);
    if (!has_bits(r[3], tiles) || !has_bits(kept_registers(), 0x60000))
        return 0;
    cpuid(7, 1, r);
    if (!has_bits(r[0], avx512_bf16))
        return 0;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(ARCH_PRCTL), "D"(ARCH_REQ_XCOMP_PERM), "S"(TILES)
                     : "rcx", "r11", "memory");
    return answer == 0;
#else
    return 0;
#endif
}

/* Dot products of int8. */
static int has_dots(void)
{
    const uint32_t vnni = 1u << 11;
    uint32_t r[4];
    cpuid(7, 0, r);
    return has_bits(r[2], vnni);
}

static int processor_has(enum instruction_set set)
{
    enum { FMA = 1u << 12, OSXSAVE = 1u << 27, AVX = 1u << 28 };             /* leaf 1, ecx */
    enum { AVX2_BIT = 1u << 5, AVX512F = 1u << 16, AVX512DQ = 1u << 17 };        /* leaf 7, ebx */
    const uint32_t avx512bw = 1u << 30, avx512vl = 1u << 31;
    uint32_t r[4];
    if (set == BASELINE)
        return 1;
    cpuid(0, 0, r);
    if (r[0] < 7)
        return 0;
    cpuid(1, 0, r);
    if (!has_bits(r[2], FMA | OSXSAVE | AVX) || !has_bits(kept_registers(), set == AVX2 ? 0x06 : 0xe6))
        return 0;
    cpuid(7, 0, r);
    if (!has_bits(r[1], set == AVX2 ? AVX2_BIT : AVX2_BIT | AVX512F | AVX512DQ | avx512bw | avx512vl))
        return 0;
    if (set == AMX || set == AVX512_VNNI)
        return has_dots() && (set == AVX512_VNNI || has_tiles());
    return 1;
}
#else
static int processor_has(enum instruction_set set) { return set == NEON; }
#endif

/* Once, when the library is loaded; nothing changes afterwards. */
#if defined(_WIN32)
static
#else
__attribute__((constructor)) static
#endif
void choose_instruction_set(void)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (processor_has(variants[i].set)) {
            chosen = variants[i].run;
            chosen_name = variants[i].name;
            return;
        }
}

#if defined(_WIN32)
int __stdcall DllMainCRTStartup(void *library, unsigned long reason, void *reserved);
int __stdcall DllMainCRTStartup(void *library, unsigned long reason, void *reserved)
{
    (void)library, (void)reserved;
    if (reason == 1) /* DLL_PROCESS_ATTACH */
        choose_instruction_set();
    return 1;
}
#endif

const daenr_graph *daenr_describe(void) { return &graph; }

const char *daenr_instruction_set(void) { return chosen_name; }

int32_t daenr_run(void *state, int64_t batch, const void *input, void *const *outputs)
{
    if (batch < 1 || batch > graph.max_batch)
        return DAENR_BATCH_OUT_OF_RANGE;
    if (!state || (uintptr_t)state % 64)
        return DAENR_BAD_STATE;
    if (!chosen)
        return DAENR_NO_INSTRUCTION_SET;
    chosen(state, batch, input, outputs);
    return DAENR_DONE;
}

/* Words of 64 bits, each times an odd number of its own: a change of one word is always seen. */
static uint64_t checksum_of(const unsigned char *bytes, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count / 8; i++) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + 8 * i, 8);
        sum += word * (2 * i + 1);
    }
    return sum;
}

static double magnitude(double x) { return x < 0 ? -x : x; }

/* The largest error over the largest absolute answer, or the root of the mean square of the one over that of the other;
   NaN counts as infinitely wrong. In the mean, a few codes may be others: those that nearly tie. */
static double error_of(const daenr_tensor *tensor, size_t count, const void *found, const void *expected)
{
    const int is_code = tensor->dtype == DAENR_INT64;
    double error = 0, scale = 0, squares = 0, squared_scale = 0;
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        const double a = is_code ? (double)((const int64_t *)found)[i] : ((const float *)found)[i];
        const double b = is_code ? (double)((const int64_t *)expected)[i] : ((const float *)expected)[i];
        if (!(magnitude(a - b) <= error))
            error = a - b == a - b ? magnitude(a - b) : __builtin_inf();
        if (magnitude(b) > scale)
            scale = magnitude(b);
        squares += (a - b) * (a - b);
        squared_scale += b * b;
        others += a != b;
    }
    if (GOLDEN_IN_THE_MEAN && is_code)
        return others > count / 4 ? 1 : 0;
    if (GOLDEN_IN_THE_MEAN && error < __builtin_inf())
        return __builtin_sqrt(squares / (squared_scale > 0 ? squared_scale : 1));
    return error == 0 ? 0 : error / (scale > 0 ? scale : 1);
}

int32_t daenr_self_test(void *state, double *worst)
{
    void *outputs[4];
    double largest = 0;
    if (!state)
        return DAENR_BAD_STATE;
    char *answers = (char *)state + ANSWERS_OFFSET;
    for (int32_t i = 0; i < graph.n_outputs; i++)
        outputs[i] = answers + golden_offsets[i];
    if (checksum_of(weights, WEIGHTS_BYTES) != WEIGHTS_CHECKSUM)
        return DAENR_DAMAGED_WEIGHTS;
    const int32_t answer = daenr_run(state, GOLDEN_IMAGES, golden_input, outputs);
    if (answer != DAENR_DONE)
        return answer;
    for (int32_t i = 0; i < graph.n_outputs; i++) {
        size_t count = GOLDEN_IMAGES;
        for (int32_t axis = 0; axis < graph.outputs[i].rank; axis++)
            count *= (size_t)graph.outputs[i].dims[axis];
        const double error = error_of(&graph.outputs[i], count, outputs[i], golden_outputs + golden_offsets[i]);
        if (error > largest)
            largest = error;
    }
    if (worst)
        *worst = largest;
    return largest <= GOLDEN_TOLERANCE ? DAENR_DONE : DAENR_WRONG_ANSWERS;
}
