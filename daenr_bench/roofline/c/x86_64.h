/* The kernels for x86-64, and which of them a processor has. Included by limits.c. */

static void cpuid(uint32_t leaf, uint32_t part, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(part));
}

enum { EAX, EBX, ECX, EDX };

static int32_t has(uint32_t leaf, uint32_t part, int where, uint32_t bits)
{
    uint32_t r[4];
    cpuid(0, 0, r);
    if (r[EAX] < leaf)
        return 0;
    cpuid(leaf, 0, r);
    if (part > 0) {
        if (r[EAX] < part)
            return 0;
        cpuid(leaf, part, r);
    }
    return (r[where] & bits) == bits;
}

/* Whether the operating system keeps these registers when it switches between threads. */
static int32_t keeps(uint32_t registers)
{
    uint32_t low, high;
    if (!has(1, 0, ECX, 1u << 27)) /* OSXSAVE */
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & registers) == registers;
}

static int32_t has_avx2(void) { return keeps(0x06) && has(1, 0, ECX, 1u << 12 | 1u << 28) && has(7, 0, EBX, 1u << 5); }
static int32_t has_avx512(void) { return keeps(0xe6) && has_avx2() && has(7, 0, EBX, 1u << 16); }
static int32_t has_avx512_bf16(void) { return has_avx512() && has(7, 1, EAX, 1u << 5); }
static int32_t has_avx512_vnni(void) { return has_avx512() && has(7, 0, ECX, 1u << 11); }
static int32_t has_avx_vnni(void) { return has_avx2() && has(7, 1, EAX, 1u << 4); }

/* Linux lets a process use the tiles of AMX after it has asked for them; elsewhere they are left alone. */
static int32_t has_amx(uint32_t kind)
{
#if defined(__linux__)
    enum { ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, TILES = 18 };
    long answer;
    if (!keeps(0x60000) || !has(7, 0, EDX, 1u << 24 | kind))
        return 0;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(ARCH_PRCTL), "D"(ARCH_REQ_XCOMP_PERM), "S"(TILES)
                     : "rcx", "r11", "memory");
    return answer == 0;
#else
    (void)kind;
    return 0;
#endif
}

static int32_t has_amx_bf16(void) { return has_amx(1u << 22); }
static int32_t has_amx_int8(void) { return has_amx(1u << 25); }

typedef float vec8 __attribute__((vector_size(32)));
typedef float vec16 __attribute__((vector_size(64)));
typedef int32_t int8s __attribute__((vector_size(32)));
typedef int32_t int16s __attribute__((vector_size(64)));
#define SPLAT8(x) ((x) - (vec8){0})
#define SPLAT16(x) ((x) - (vec16){0})
#define INT_SPLAT8(x) ((int8s)SPLAT8(x))
#define INT_SPLAT16(x) ((int16s)SPLAT16(x))
#define BF16(sum, a, b) ((vec16)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(a), (__m512bh)(b)))
#define INT8(sum, a, b) ((int16s)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(a), (__m512i)(b)))
#define INT8_AVX(sum, a, b) ((int8s)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(a), (__m256i)(b)))

ARITHMETIC(fp32_sse2, "sse2", vec4, SPLAT4, SEPARATE, 4)
ARITHMETIC(fp32_avx2, "avx2,fma", vec8, SPLAT8, FUSED, 8)
ARITHMETIC(fp32_avx512, "avx512f", vec16, SPLAT16, FUSED, 16)
ARITHMETIC(bf16_avx512, "avx512f,avx512bf16", vec16, SPLAT16, BF16, 32)
ARITHMETIC(int8_avx, "avx2,avxvnni", int8s, INT_SPLAT8, INT8_AVX, 32)
ARITHMETIC(int8_avx512, "avx512f,avx512vnni", int16s, INT_SPLAT16, INT8, 64)
READING(read_sse2, "sse2", 16)
READING(read_avx2, "avx2", 32)
READING(read_avx512, "avx512f", 64)

/* Eight tiles of 16 rows of 64 bytes: six sums and two factors. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

#define TILES(name, features, step, per_step)                                                                         \
    FOR_SET(features) double name(int64_t repeats, const char *buffer, int64_t bytes)                                 \
    {                                                                                                                 \
        (void)buffer, (void)bytes;                                                                                    \
        _tile_loadconfig(&tiles); /* and sets all tiles to zero */                                                    \
        for (int64_t n = 0; n < repeats; n++) {                                                                       \
            step(0, 6, 7), step(1, 6, 7), step(2, 6, 7);                                                              \
            step(3, 6, 7), step(4, 6, 7), step(5, 6, 7);                                                              \
        }                                                                                                             \
        _tile_release();                                                                                              \
        return (double)repeats * 6 * (per_step);                                                                      \
    }

TILES(bf16_amx, "amx-tile,amx-bf16", _tile_dpbf16ps, 16 * 16 * 32)
TILES(int8_amx, "amx-tile,amx-int8", _tile_dpbssd, 16 * 16 * 64)

static const kernel kernels[] = {
    {"fp32", "sse2", always, fp32_sse2},
    {"fp32", "avx2", has_avx2, fp32_avx2},
    {"fp32", "avx512", has_avx512, fp32_avx512},
    {"bf16", "avx512-bf16", has_avx512_bf16, bf16_avx512},
    {"bf16", "amx-bf16", has_amx_bf16, bf16_amx},
    {"int8", "avx-vnni", has_avx_vnni, int8_avx},
    {"int8", "avx512-vnni", has_avx512_vnni, int8_avx512},
    {"int8", "amx-int8", has_amx_int8, int8_amx},
    {"read", "sse2", always, read_sse2},
    {"read", "avx2", has_avx2, read_avx2},
    {"read", "avx512", has_avx512, read_avx512},
};
