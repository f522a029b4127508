/* Answers frames without Python: reads images from standard input, writes responses to standard output, float32 both.
 *
 *     cc frames.c -I cae_fr2.daenr/native cae_fr2.daenr/native/x86_64-linux/responses.fp32.so -o frames
 *     ./frames < images.f32 > responses.f32
 *
 * On Windows: zig cc, gcc of MinGW-w64, with responses.fp32.dll; copy it beside frames.exe.
 */
#include <stdio.h>
#include <string.h>
#include "daenr_native.h"

#ifdef _WIN32 /* there the two streams are text until they are told otherwise */
#include <fcntl.h>
#include <io.h>
#define BINARY() (_setmode(0, _O_BINARY), _setmode(1, _O_BINARY))
#else
#define BINARY() (void)0
#endif

static int refuse(const char *why) { return fprintf(stderr, "frames: %s\n", why), 2; }

int main(void) {
    static _Alignas(64) unsigned char state[1 << 22];
    static float image[32 * 32], responses[4096];
    void *outputs[] = {responses};
    size_t got;
    const daenr_graph *graph = daenr_describe();
    if (graph->abi != DAENR_NATIVE_ABI || !daenr_instruction_set()) return refuse("another version or processor");
    if (strcmp(graph->name, "responses") != 0) return refuse("link with the library of the graph responses");
    if (graph->input.dtype != DAENR_FLOAT32) return refuse("it takes pixels: make image uint8_t");
    const size_t neurons = (size_t)graph->outputs[0].dims[0];
    if (neurons > 4096 || graph->state_bytes > (int64_t)sizeof state) return refuse("larger than the buffers");
    if (daenr_self_test(state, NULL) != 0) return refuse("the library answers its own image wrongly");
    BINARY();
    while ((got = fread(image, 1, sizeof image, stdin)) == sizeof image) {
        if (daenr_run(state, 1, image, outputs) != 0) return refuse("the library refuses an image");
        fwrite(responses, sizeof *responses, neurons, stdout);
        fflush(stdout);
    }
    return got ? refuse("the last image is not whole") : 0;
}
