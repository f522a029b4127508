/* The C interface of a native library of daenr: one graph of a model, for one image or a batch.

   The same for every model. A library needs nothing: no other library, no file, no memory but what its caller gives it.

     const daenr_graph *graph = daenr_describe();
     void *state = aligned_alloc(64, graph->state_bytes);
     float responses[103];
     void *outputs[] = {responses};
     daenr_run(state, 1, image, outputs);

   Threads may run side by side, each with a state of its own. */
#ifndef DAENR_NATIVE_H
#define DAENR_NATIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DAENR_NATIVE_ABI 1

/* Types of elements, with the numbers that ONNX has for them. */
enum { DAENR_FLOAT32 = 1, DAENR_UINT8 = 2, DAENR_INT64 = 7 };

/* What daenr_run answers. */
enum { DAENR_DONE = 0, DAENR_BATCH_OUT_OF_RANGE = 1, DAENR_BAD_STATE = 2, DAENR_NO_INSTRUCTION_SET = 3 };

/* What daenr_self_test answers besides: the weights are not those that were compiled in, or the answers are not. */
enum { DAENR_DAMAGED_WEIGHTS = 4, DAENR_WRONG_ANSWERS = 5 };

typedef struct daenr_tensor {
    const char *name;  /* "image", "features", "responses", "reconstruction", "codes" */
    int32_t dtype;     /* DAENR_FLOAT32, DAENR_UINT8 or DAENR_INT64 */
    int32_t rank;      /* without the batch axis */
    int64_t dims[4];   /* without the batch axis; those that are unused are 0 */
} daenr_tensor;

typedef struct daenr_graph {
    int32_t abi;              /* DAENR_NATIVE_ABI: check it before anything else */
    int32_t n_outputs;
    const char *name;         /* "responses" */
    const char *precision;    /* "fp32"; "bf16" or "int8" where "amx" or "avx512_vnni" multiplies these */
    const char *target;       /* "x86_64-linux" */
    const char *source;       /* SHA-256, in hexadecimal, of the ONNX file that this was generated from */
    int64_t max_batch;
    int64_t state_bytes;      /* of the caller's buffer, aligned to 64 bytes */
    daenr_tensor input;
    daenr_tensor outputs[4];
} daenr_graph;

#ifndef DAENR_API
#define DAENR_API
#endif

/* What the library computes. Never NULL; belongs to the library. */
DAENR_API const daenr_graph *daenr_describe(void);

/* The instruction set that was chosen for this processor when the library was loaded: "amx",
   "avx512_vnni", "avx512", "avx2", "baseline" or "neon". NULL: the processor has none of those that the library was compiled for. */
DAENR_API const char *daenr_instruction_set(void);

/* Answers a batch. The same input gives the same bits, in every batch and at every place in it.

   state    state_bytes, aligned to 64 bytes; need not be set to anything; not for two threads at once
   batch    1 to max_batch
   input    (batch, dims...), C-contiguous
   outputs  one buffer for each of outputs[], in that order: (batch, dims...), C-contiguous

   DAENR_DONE, or, with nothing written, one of the other answers. */
DAENR_API int32_t daenr_run(void *state, int64_t batch, const void *input, void *const *outputs);

/* Checks the weights' checksum, runs the built-in images and compares with their built-in answers.

   worst    unless NULL: the largest error over the largest absolute answer of that output; where the precision is
            shorter than fp32, the root of the mean square of the one over that of the other

   DAENR_DONE: as it should be. */
DAENR_API int32_t daenr_self_test(void *state, double *worst);

#ifdef __cplusplus
}
#endif
#endif
