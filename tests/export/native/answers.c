/* Reads batches of `$1` inputs from standard input and writes all outputs of each, one after the other, until the input
   ends. Answers 1 where the self-test fails and 2 where a batch is refused. Linked with a library of any target. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "daenr_native.h"

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

static size_t bytes_of(const daenr_tensor *tensor, int64_t batch)
{
    size_t count = (size_t)batch * (tensor->dtype == DAENR_FLOAT32 ? 4 : tensor->dtype == DAENR_INT64 ? 8 : 1);
    for (int32_t i = 0; i < tensor->rank; i++)
        count *= (size_t)tensor->dims[i];
    return count;
}

int main(int count, char **arguments)
{
    const int64_t batch = count > 1 ? atoi(arguments[1]) : 1;
    const daenr_graph *graph = daenr_describe();
    const size_t size = bytes_of(&graph->input, batch);
    unsigned char *raw = malloc((size_t)graph->state_bytes + 64), *input = malloc(size);
    void *state = raw + (64 - (uintptr_t)raw % 64), *outputs[4];
#ifdef _WIN32
    _setmode(0, _O_BINARY), _setmode(1, _O_BINARY);
#endif
    fprintf(stderr, "instruction set %s\n", daenr_instruction_set());
    if (daenr_self_test(state, NULL))
        return 1;
    for (int32_t i = 0; i < graph->n_outputs; i++)
        outputs[i] = malloc(bytes_of(&graph->outputs[i], batch));
    while (fread(input, size, 1, stdin) == 1) {
        if (daenr_run(state, batch, input, outputs))
            return 2;
        for (int32_t i = 0; i < graph->n_outputs; i++)
            fwrite(outputs[i], bytes_of(&graph->outputs[i], batch), 1, stdout);
    }
    return 0;
}
