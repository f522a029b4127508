// A native library of a bundle from C#, with buffers that stay where they are. For one thread at a time.
// Copy responses.fp32.dll (or .so) from native/<target>/ of the bundle beside the program.
using System;
using System.IO;
using System.Runtime.InteropServices;

public sealed unsafe class NativeGraph : IDisposable
{
    const string Library = "responses.fp32";
    const int Abi = 1, Alignment = 64;

    [StructLayout(LayoutKind.Sequential)]
    struct Tensor { public IntPtr Name; public int Dtype, Rank; public fixed long Dims[4]; }

    [StructLayout(LayoutKind.Sequential)]
    struct Graph
    {
        public int Abi, Outputs;
        public IntPtr Name, Precision, Target, Source;
        public long MaxBatch, StateBytes;
        public Tensor Input, Output0, Output1, Output2, Output3;
    }

    [DllImport(Library)] static extern Graph* daenr_describe();
    [DllImport(Library)] static extern IntPtr daenr_instruction_set();
    [DllImport(Library)] static extern int daenr_run(void* state, long batch, void* input, void** outputs);
    [DllImport(Library)] static extern int daenr_self_test(void* state, double* worst);

    readonly void* state;
    readonly float* image, responses;

    public NativeGraph()
    {
        Graph* graph = daenr_describe();
        if (graph->Abi != Abi) throw new InvalidDataException("the library speaks another version of the interface");
        if (daenr_instruction_set() == IntPtr.Zero) throw new PlatformNotSupportedException("no code for this processor");
        Neurons = (int)graph->Output0.Dims[0];
        state = NativeMemory.AlignedAlloc((nuint)graph->StateBytes, Alignment);
        image = (float*)NativeMemory.AlignedAlloc(32 * 32 * sizeof(float), Alignment);
        responses = (float*)NativeMemory.AlignedAlloc((nuint)(Neurons * sizeof(float)), Alignment);
        if (daenr_self_test(state, null) != 0) throw new InvalidDataException("the library answers its golden images wrongly");
    }

    public int Neurons { get; }

    /// <summary>Write the frame here: row by row, in [-1, 1].</summary>
    public Span<float> Image => new Span<float>(image, 32 * 32);

    /// <summary>One for each neuron; every Run overwrites them.</summary>
    public ReadOnlySpan<float> Responses => new ReadOnlySpan<float>(responses, Neurons);

    public void Run()
    {
        void* output = responses;
        int code = daenr_run(state, 1, image, &output);
        if (code != 0) throw new InvalidOperationException("the library refuses the frame, code " + code);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(state);
        NativeMemory.AlignedFree(image);
        NativeMemory.AlignedFree(responses);
    }
}
