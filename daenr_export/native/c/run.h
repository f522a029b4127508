/* What the generated code of an instruction set begins with. */
#ifndef DAENR_RUN_H
#define DAENR_RUN_H

#include "convolution.h"
#include "matrix.h"
#include "moving.h"
#include "overlap.h"
#include "readout.h"
#include "winograd.h"

/* Compiled in once for all instruction sets, aligned to 64 bytes. */
extern const unsigned char weights[];

ALWAYS const float *weights_at(size_t floats) { return (const float *)(const void *)(weights + 4 * floats); }

#endif
