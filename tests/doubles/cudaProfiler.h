/* Part of the CUDA toolkit that the wheel with its headers leaves out, and that pycuda includes to compile. */
#pragma once
#include <cuda.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef enum { CU_OUT_KEY_VALUE_PAIR, CU_OUT_CSV } CUoutput_mode;
CUresult CUDAAPI cuProfilerInitialize(const char *config_file, const char *output_file, CUoutput_mode mode);
CUresult CUDAAPI cuProfilerStart(void);
CUresult CUDAAPI cuProfilerStop(void);
#ifdef __cplusplus
}
#endif
