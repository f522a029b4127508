/* A CUDA driver in host memory: what the real pycuda needs for buffers and streams, for tests where there is no GPU.
 *
 * "Device" memory is a list of blocks filled with a pattern. Work given to a stream waits until the stream is
 * synchronised, so that a missing synchronisation shows. Copies from or to host memory that is not page-locked, outside
 * of a live block, or without a current context are refused. All other driver functions answer CUDA_ERROR_NOT_SUPPORTED.
 *
 * Functions named double_* are for the tests: what is alive, and failures to order.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { /* cuda.h: CUresult */
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400, CONTEXT_IS_DESTROYED = 709, NOT_SUPPORTED = 801
};
enum { DEVICE, PINNED };
enum { ALIGNMENT = 512, MAX_CONTEXTS = 32, NEVER = -1 };
enum { FRESH = 0xCD, FREED = 0xDD };

typedef int CUresult;
typedef uint64_t CUdeviceptr;

typedef struct Block {
    struct Block *next;
    char *start;
    size_t bytes;
    int kind;
} Block;

typedef struct Work {
    struct Work *next;
    void (*function)(void *); /* NULL: a copy */
    void *argument;
    char *to;
    const char *from;
    size_t bytes;
} Work;

typedef struct Stream {
    struct Stream *next;
    Work *first, *last;
} Stream;

static Block *blocks;
static Stream *streams;
static int primary_retained;
static int allocations_until_failure = NEVER;
static char primary; /* its address is the handle */
static __thread void *stack[MAX_CONTEXTS];
static __thread int depth;

/* contexts */

static CUresult why_not_current(void) {
    if (!depth) return INVALID_CONTEXT;
    return primary_retained ? SUCCESS : CONTEXT_IS_DESTROYED;
}

#define NEED_CONTEXT do { CUresult why = why_not_current(); if (why) return why; } while (0)

EXPORT CUresult cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
EXPORT CUresult cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
EXPORT CUresult cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }

EXPORT CUresult cuDeviceGet(int *device, int ordinal) {
    *device = 0;
    return ordinal ? INVALID_DEVICE : SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, size, "double");
    return device ? INVALID_DEVICE : SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 9 : 0; /* compute capability 8.9 */
    return device ? INVALID_DEVICE : SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
    if (device) return INVALID_DEVICE;
    primary_retained++;
    *context = &primary;
    return SUCCESS;
}

/* Like the real one it pops nothing: whoever had the context current still has it, destroyed. */
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(int device) {
    if (device || !primary_retained) return INVALID_CONTEXT;
    primary_retained--;
    return SUCCESS;
}

EXPORT CUresult cuCtxPushCurrent_v2(void *context) {
    if (context != &primary || depth == MAX_CONTEXTS) return INVALID_CONTEXT;
    stack[depth++] = context;
    return SUCCESS;
}

EXPORT CUresult cuCtxPopCurrent_v2(void **context) {
    if (!depth) return INVALID_CONTEXT;
    *context = stack[--depth];
    return SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(void **context) {
    *context = depth ? stack[depth - 1] : NULL;
    return SUCCESS;
}

EXPORT CUresult cuCtxGetDevice(int *device) {
    *device = 0;
    return why_not_current();
}

/* streams */

static void drain(Stream *stream) {
    while (stream->first) {
        Work *work = stream->first;
        stream->first = work->next;
        if (work->function) work->function(work->argument);
        else memcpy(work->to, work->from, work->bytes);
        free(work);
    }
    stream->last = NULL;
}

static void drain_all(void) {
    for (Stream *stream = streams; stream; stream = stream->next) drain(stream);
}

static Stream *live_stream(void *handle) {
    Stream *stream = streams;
    while (stream && stream != handle) stream = stream->next;
    return stream;
}

static CUresult enqueue(void *handle, Work work) {
    Stream *stream = live_stream(handle);
    Work *waiting = malloc(sizeof *waiting);
    if (!stream || !waiting) { free(waiting); return INVALID_HANDLE; }
    *waiting = work;
    waiting->next = NULL;
    if (stream->last) stream->last->next = waiting;
    else stream->first = waiting;
    stream->last = waiting;
    return SUCCESS;
}

EXPORT CUresult cuStreamCreate(void **handle, unsigned flags) {
    (void)flags;
    NEED_CONTEXT;
    Stream *stream = calloc(1, sizeof *stream);
    if (!stream) return OUT_OF_MEMORY;
    stream->next = streams;
    *handle = streams = stream;
    return SUCCESS;
}

EXPORT CUresult cuStreamDestroy_v2(void *handle) {
    NEED_CONTEXT;
    Stream **link = &streams;
    while (*link && *link != handle) link = &(*link)->next;
    if (!*link) return INVALID_HANDLE;
    drain(*link);
    *link = (*link)->next;
    free(handle);
    return SUCCESS;
}

EXPORT CUresult cuStreamSynchronize(void *handle) {
    NEED_CONTEXT;
    Stream *stream = live_stream(handle);
    if (!stream) return INVALID_HANDLE;
    drain(stream);
    return SUCCESS;
}

EXPORT CUresult cuCtxSynchronize(void) {
    NEED_CONTEXT;
    drain_all();
    return SUCCESS;
}

EXPORT CUresult cuLaunchHostFunc(void *stream, void (*function)(void *), void *argument) {
    NEED_CONTEXT;
    return enqueue(stream, (Work){.function = function, .argument = argument});
}

/* memory */

static Block *block_around(const void *address, size_t bytes, int kind) {
    const char *start = address;
    Block *block = blocks;
    while (block && !(block->kind == kind && block->start <= start && start + bytes <= block->start + block->bytes))
        block = block->next;
    return block;
}

static CUresult allocate(char **start, size_t bytes, int kind) {
    NEED_CONTEXT;
    if (!bytes) return INVALID_VALUE;
    if (allocations_until_failure == 0) return OUT_OF_MEMORY;
    if (allocations_until_failure > 0) allocations_until_failure--;
    Block *block = malloc(sizeof *block);
    if (!block || posix_memalign((void **)start, ALIGNMENT, bytes)) { free(block); return OUT_OF_MEMORY; }
    memset(*start, FRESH, bytes);
    *block = (Block){blocks, *start, bytes, kind};
    blocks = block;
    return SUCCESS;
}

static CUresult release(const void *start, int kind) {
    NEED_CONTEXT;
    Block **link = &blocks;
    while (*link && !((*link)->start == start && (*link)->kind == kind)) link = &(*link)->next;
    if (!*link) return INVALID_VALUE;
    drain_all(); /* the real one waits for the device, too */
    Block *block = *link;
    *link = block->next;
    memset(block->start, FREED, block->bytes);
    free(block->start);
    free(block);
    return SUCCESS;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    char *start = NULL;
    CUresult result = allocate(&start, bytes, DEVICE);
    *address = (CUdeviceptr)start;
    return result;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr address) { return release((void *)address, DEVICE); }

EXPORT CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    (void)flags;
    return allocate((char **)address, bytes, PINNED);
}

EXPORT CUresult cuMemFreeHost(void *address) { return release(address, PINNED); }

static CUresult copy_later(void *stream, void *to, int to_kind, const void *from, int from_kind, size_t bytes) {
    NEED_CONTEXT;
    if (!block_around(to, bytes, to_kind) || !block_around(from, bytes, from_kind)) return INVALID_VALUE;
    return enqueue(stream, (Work){.to = to, .from = from, .bytes = bytes});
}

EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, void *stream) {
    return copy_later(stream, (void *)to, DEVICE, from, PINNED, bytes);
}

EXPORT CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, void *stream) {
    return copy_later(stream, to, PINNED, (void *)from, DEVICE, bytes);
}

EXPORT CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == INVALID_VALUE ? "invalid argument" : error == OUT_OF_MEMORY ? "out of memory"
          : error == INVALID_CONTEXT ? "invalid device context" : error == INVALID_HANDLE ? "invalid resource handle"
          : error == CONTEXT_IS_DESTROYED ? "context is destroyed"
          : error == NOT_SUPPORTED ? "not supported by the double" : "an error of the double";
    return SUCCESS;
}

/* for the tests */

EXPORT int double_blocks(int kind) {
    int count = 0;
    for (Block *block = blocks; block; block = block->next) count += block->kind == kind;
    return count;
}

EXPORT int double_streams(void) {
    int count = 0;
    for (Stream *stream = streams; stream; stream = stream->next) count++;
    return count;
}

EXPORT int double_contexts_pushed(void) { return depth; }

EXPORT int double_is_device_memory(CUdeviceptr address, size_t bytes) {
    return block_around((void *)address, bytes, DEVICE) != NULL;
}

/* After so many allocations more there is no memory left (pycuda tries twice); negative: there is. */
EXPORT void double_run_out_of_memory(int after) { allocations_until_failure = after; }

/* what pycuda links to and no test needs */

#define REFUSE(name) EXPORT CUresult name(void) { return NOT_SUPPORTED; }
#include "cuda_double_refused.h"
