/* Runs a library on buffers that are exactly as long as they have to be, so that a tool sees the first byte too far.

   Linked with the library, or given its path. Answers 0 where the self-test passes and all batches run. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daenr_native.h"

#ifdef DAENR_OPEN
#include <dlfcn.h>
#endif

typedef const daenr_graph *describe_function(void);
typedef int32_t run_function(void *, int64_t, const void *, void *const *);
typedef int32_t test_function(void *, double *);
typedef const char *set_function(void);

static size_t bytes_of(const daenr_tensor *tensor, int64_t batch)
{
    size_t count = (size_t)batch * (tensor->dtype == DAENR_FLOAT32 ? 4 : tensor->dtype == DAENR_INT64 ? 8 : 1);
    for (int32_t i = 0; i < tensor->rank; i++)
        count *= (size_t)tensor->dims[i];
    return count;
}

static int run_batch(run_function *run, const daenr_graph *graph, void *state, int64_t batch)
{
    const size_t size = bytes_of(&graph->input, batch);
    unsigned char *input = malloc(size);
    void *outputs[4] = {0};
    for (size_t i = 0; i < size; i++)
        input[i] = (unsigned char)(i * 37 % 251);
    if (graph->input.dtype == DAENR_FLOAT32)
        for (size_t i = 0; i < size / 4; i++)
            ((float *)(void *)input)[i] = (float)(i % 19) / 9 - 1;
    for (int32_t i = 0; i < graph->n_outputs; i++)
        outputs[i] = malloc(bytes_of(&graph->outputs[i], batch));
    const int32_t answer = run(state, batch, input, outputs);
    unsigned sum = 0; /* so that a byte that was not written is seen to be used */
    for (int32_t i = 0; i < graph->n_outputs; i++)
        for (size_t j = 0; j < bytes_of(&graph->outputs[i], batch); j++)
            sum += ((unsigned char *)outputs[i])[j];
    printf("batch %d: %d %s\n", (int)batch, (int)answer, sum % 2 ? "odd" : "even");
    for (int32_t i = 0; i < graph->n_outputs; i++)
        free(outputs[i]);
    free(input);
    return answer;
}

int main(int count, char **arguments)
{
#ifdef DAENR_OPEN
    void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    if (!library)
        return 99;
    describe_function *describe = (describe_function *)dlsym(library, "daenr_describe");
    run_function *run = (run_function *)dlsym(library, "daenr_run");
    test_function *test = (test_function *)dlsym(library, "daenr_self_test");
    set_function *set = (set_function *)dlsym(library, "daenr_instruction_set");
#else
    (void)count, (void)arguments;
    describe_function *describe = daenr_describe;
    run_function *run = daenr_run;
    test_function *test = daenr_self_test;
    set_function *set = daenr_instruction_set;
#endif
    const daenr_graph *graph = describe();
    void *state = NULL;
    if (!set() || posix_memalign(&state, 64, (size_t)graph->state_bytes))
        return 98;
    printf("instruction set %s\n", set());
    int answer = test(state, NULL);
    for (int64_t batch = 1; batch <= 11; batch += 5)
        answer |= run_batch(run, graph, state, batch);
    free(state);
    return answer;
}
