/* Answers frames without Python: reads images from standard input, writes responses to standard output, float32 both.
 *
 *     cc frames.c -I cae_fr2.daenr/native cae_fr2.daenr/native/x86_64-linux/responses.fp32.so -o frames
 *     ./frames < images.f32 > responses.f32
 */
#include <stdio.h>
#include <stdlib.h>
#include "daenr_native.h"

int main(void) {
    static float image[32 * 32], responses[4096];
    const daenr_graph *graph = daenr_describe();
    const int64_t neurons = graph->outputs[0].dims[0];
    if (graph->abi != DAENR_NATIVE_ABI || daenr_instruction_set() == NULL || neurons > 4096) return 2;
    void *state = aligned_alloc(64, graph->state_bytes);
    if (state == NULL || daenr_self_test(state, NULL) != 0) return 1; /* answers its own golden images */
    void *outputs[] = {responses};
    while (fread(image, sizeof image, 1, stdin) == 1) {
        if (daenr_run(state, 1, image, outputs) != 0) return 1;
        fwrite(responses, sizeof *responses, neurons, stdout);
        fflush(stdout);
    }
    free(state);
    return 0;
}
