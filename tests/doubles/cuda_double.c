/* A CUDA driver in host memory: what the real pycuda needs for buffers and streams, for tests where there is no GPU.
 *
 * "Device" memory is a list of blocks filled with a pattern. Work given to a stream waits until the stream is
 * synchronised, so that a missing synchronisation shows. By the device's clock, which events read, a piece of work takes
 * a microsecond. Copies from or to host memory that is not page-locked, outside
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
    INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, CONTEXT_IS_DESTROYED = 709, NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, ILLEGAL_STATE = 401
};
enum { DEVICE, PINNED };
enum { ALIGNMENT = 512, MAX_CONTEXTS = 32, NEVER = -1 };
enum { WORK_TAKES_NS = 1000 };
enum { FRESH = 0xCD, FREED = 0xDD };

typedef int CUresult;
typedef uint64_t CUdeviceptr;

typedef struct Block {
    struct Block *next;
    char *start;
    size_t bytes;
    int kind;
    int registered; /* memory of the caller, which CUDA only locks */
} Block;

typedef struct Event {
    struct Event *next;
    uint64_t at_ns;
    enum { NEVER_RECORDED, WAITING, PASSED } state;
} Event;

typedef struct Work {
    struct Work *next;
    Event *event; /* or NULL: work that takes time */
    void (*function)(void *); /* NULL: a copy */
    void *argument;
    char *to;
    const char *from;
    size_t bytes;
} Work;

typedef struct Graph {
    struct Graph *next;
    Work *first, *last;
} Graph;

typedef struct Stream {
    struct Stream *next;
    Work *first, *last;
    Graph *capturing; /* what is enqueued meanwhile goes here, and does not run */
    int invalidated;
} Stream;

static Block *blocks;
static Stream *streams;
static Graph *graphs; /* captured or executable */
static Event *events;
static uint64_t device_ns; /* the device's clock */
static int primary_retained;
static int allocations_until_failure = NEVER;
static int capture_fails;
static int launches; /* of graphs */
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
        if (work->event) {
            work->event->at_ns = device_ns;
            work->event->state = PASSED;
        } else {
            if (work->function) work->function(work->argument);
            else memcpy(work->to, work->from, work->bytes);
            device_ns += WORK_TAKES_NS;
        }
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

static void append(Work **first, Work **last, Work work) {
    Work *waiting = malloc(sizeof *waiting);
    *waiting = work;
    waiting->next = NULL;
    if (*last) (*last)->next = waiting;
    else *first = waiting;
    *last = waiting;
}

static CUresult enqueue(void *handle, Work work) {
    Stream *stream = live_stream(handle);
    if (!stream) return INVALID_HANDLE;
    if (stream->capturing) append(&stream->capturing->first, &stream->capturing->last, work);
    else append(&stream->first, &stream->last, work);
    return SUCCESS;
}

/* What may not be done while a stream is captured; it spoils the capture. */
static int spoils_a_capture(void) {
    int spoilt = 0;
    for (Stream *stream = streams; stream; stream = stream->next)
        if (stream->capturing) spoilt = stream->invalidated = 1;
    return spoilt;
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
    if (spoils_a_capture()) return CAPTURE_UNSUPPORTED;
    drain(stream);
    return SUCCESS;
}

EXPORT CUresult cuCtxSynchronize(void) {
    NEED_CONTEXT;
    if (spoils_a_capture()) return CAPTURE_UNSUPPORTED;
    drain_all();
    return SUCCESS;
}

EXPORT CUresult cuLaunchHostFunc(void *stream, void (*function)(void *), void *argument) {
    NEED_CONTEXT;
    return enqueue(stream, (Work){.function = function, .argument = argument});
}

/* events */

static Event *live_event(void *handle) {
    Event *event = events;
    while (event && event != handle) event = event->next;
    return event;
}

EXPORT CUresult cuEventCreate(void **handle, unsigned flags) {
    (void)flags;
    NEED_CONTEXT;
    Event *event = calloc(1, sizeof *event);
    if (!event) return OUT_OF_MEMORY;
    event->next = events;
    *handle = events = event;
    return SUCCESS;
}

EXPORT CUresult cuEventDestroy_v2(void *handle) {
    NEED_CONTEXT;
    Event **link = &events;
    while (*link && *link != handle) link = &(*link)->next;
    if (!*link) return INVALID_HANDLE;
    drain_all(); /* what waits may hold it */
    *link = (*link)->next;
    free(handle);
    return SUCCESS;
}

EXPORT CUresult cuEventRecord(void *handle, void *stream) {
    NEED_CONTEXT;
    Event *event = live_event(handle);
    if (!event) return INVALID_HANDLE;
    event->state = WAITING;
    return enqueue(stream, (Work){.event = event});
}

EXPORT CUresult cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) {
    Event *first = live_event(start), *last = live_event(end);
    if (!first || !last || !first->state || !last->state) return INVALID_HANDLE;
    if (first->state == WAITING || last->state == WAITING) return NOT_READY;
    *milliseconds = (float)((double)(last->at_ns - first->at_ns) * 1e-6);
    return SUCCESS;
}

/* graphs */

static Graph *new_graph(void) {
    Graph *graph = calloc(1, sizeof *graph);
    graph->next = graphs;
    return graphs = graph;
}

static Graph *live_graph(void *handle) {
    Graph *graph = graphs;
    while (graph && graph != handle) graph = graph->next;
    return graph;
}

EXPORT CUresult cuStreamBeginCapture_v2(void *handle, int mode) {
    NEED_CONTEXT;
    Stream *stream = live_stream(handle);
    if (!stream || mode < 0 || mode > 2) return INVALID_VALUE;
    if (stream->capturing) return ILLEGAL_STATE;
    if (capture_fails) return CAPTURE_UNSUPPORTED;
    stream->invalidated = 0;
    stream->capturing = new_graph();
    return SUCCESS;
}

EXPORT CUresult cuGraphDestroy(void *handle) {
    Graph **link = &graphs;
    while (*link && *link != handle) link = &(*link)->next;
    if (!*link) return INVALID_VALUE;
    Graph *graph = *link;
    *link = graph->next;
    while (graph->first) {
        Work *work = graph->first;
        graph->first = work->next;
        free(work);
    }
    free(graph);
    return SUCCESS;
}

EXPORT CUresult cuGraphExecDestroy(void *handle) { return cuGraphDestroy(handle); }

EXPORT CUresult cuStreamEndCapture(void *handle, void **graph) {
    NEED_CONTEXT;
    Stream *stream = live_stream(handle);
    *graph = NULL;
    if (!stream || !stream->capturing) return ILLEGAL_STATE;
    Graph *captured = stream->capturing;
    stream->capturing = NULL;
    if (stream->invalidated) {
        cuGraphDestroy(captured);
        return CAPTURE_INVALIDATED;
    }
    *graph = captured;
    return SUCCESS;
}

EXPORT CUresult cuGraphInstantiateWithFlags(void **executable, void *handle, unsigned long long flags) {
    Graph *graph = live_graph(handle);
    if (!graph || flags) return INVALID_VALUE;
    Graph *copy = new_graph();
    for (Work *work = graph->first; work; work = work->next) append(&copy->first, &copy->last, *work);
    *executable = copy;
    return SUCCESS;
}

EXPORT CUresult cuGraphLaunch(void *executable, void *stream) {
    NEED_CONTEXT;
    Graph *graph = live_graph(executable);
    if (!graph) return INVALID_HANDLE;
    launches++;
    for (Work *work = graph->first; work; work = work->next) {
        CUresult result = enqueue(stream, *work);
        if (result) return result;
    }
    return SUCCESS;
}

/* memory */

static Block *block_around(const void *address, size_t bytes, int kind) {
    const char *start = address;
    Block *block = blocks;
    while (block && !(block->kind == kind && block->start <= start && start + bytes <= block->start + block->bytes))
        block = block->next;
    return block;
}

static CUresult allocate(char **start, size_t bytes, int kind, int registered) {
    NEED_CONTEXT;
    if (!bytes) return INVALID_VALUE;
    if (spoils_a_capture()) return CAPTURE_UNSUPPORTED;
    if (allocations_until_failure == 0) return OUT_OF_MEMORY;
    if (allocations_until_failure > 0) allocations_until_failure--;
    Block *block = malloc(sizeof *block);
    if (!registered) {
        if (!block || posix_memalign((void **)start, ALIGNMENT, bytes)) { free(block); return OUT_OF_MEMORY; }
        memset(*start, FRESH, bytes);
    }
    *block = (Block){blocks, *start, bytes, kind, registered};
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
    if (!block->registered) {
        memset(block->start, FREED, block->bytes);
        free(block->start);
    }
    free(block);
    return SUCCESS;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    char *start = NULL;
    CUresult result = allocate(&start, bytes, DEVICE, 0);
    *address = (CUdeviceptr)start;
    return result;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr address) { return release((void *)address, DEVICE); }

EXPORT CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    (void)flags;
    return allocate((char **)address, bytes, PINNED, 0);
}

EXPORT CUresult cuMemFreeHost(void *address) { return release(address, PINNED); }

EXPORT CUresult cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) {
    (void)flags;
    return block_around(address, bytes, PINNED) ? INVALID_VALUE : allocate((char **)&address, bytes, PINNED, 1);
}

EXPORT CUresult cuMemHostUnregister(void *address) { return release(address, PINNED); }

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
          : error == CAPTURE_UNSUPPORTED ? "operation not permitted when stream is capturing"
          : error == CAPTURE_INVALIDATED ? "operation failed due to a previous error during capture"
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

EXPORT int double_events(void) {
    int count = 0;
    for (Event *event = events; event; event = event->next) count++;
    return count;
}

EXPORT int double_graphs(void) {
    int count = 0;
    for (Graph *graph = graphs; graph; graph = graph->next) count++;
    return count;
}

EXPORT int double_launches(void) { return launches; }

EXPORT void double_refuse_captures(int refuse) { capture_fails = refuse; }

EXPORT int double_contexts_pushed(void) { return depth; }

EXPORT int double_is_device_memory(CUdeviceptr address, size_t bytes) {
    return block_around((void *)address, bytes, DEVICE) != NULL;
}

/* After so many allocations more there is no memory left (pycuda tries twice); negative: there is. */
EXPORT void double_run_out_of_memory(int after) { allocations_until_failure = after; }

/* How cuda-bindings finds functions: by the name without its version. The rest is not there for it. */
EXPORT CUresult cuGetProcAddress_v2(const char *name, void **function, int cuda, uint64_t flags, int *status) {
    static const struct { const char *name; void *function; } served[] = {
        {"cuInit", cuInit}, {"cuGetErrorString", cuGetErrorString},
        {"cuStreamBeginCapture", cuStreamBeginCapture_v2}, {"cuStreamEndCapture", cuStreamEndCapture},
        {"cuGraphInstantiateWithFlags", cuGraphInstantiateWithFlags}, {"cuGraphLaunch", cuGraphLaunch},
        {"cuGraphDestroy", cuGraphDestroy}, {"cuGraphExecDestroy", cuGraphExecDestroy},
        {"cuGetProcAddress", cuGetProcAddress_v2},
    };
    (void)cuda, (void)flags;
    *function = NULL;
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        if (!strcmp(name, served[i].name)) *function = served[i].function;
    if (status) *status = *function ? 0 : 1;
    return *function ? SUCCESS : NOT_FOUND;
}

/* what pycuda links to and no test needs */

#define REFUSE(name) EXPORT CUresult name(void) { return NOT_SUPPORTED; }
#include "cuda_double_refused.h"
