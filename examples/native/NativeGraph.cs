// A native library of a bundle from C# (.NET, .NET Framework, Mono), with buffers that stay where they are. For one
// thread at a time. Copy responses.fp32.dll from native/x86_64-windows/ of the bundle beside the program as
// responses.dll, or responses.fp32.so from native/x86_64-linux/ as libresponses.so; compile with -unsafe.
using System;
using System.IO;
using System.Runtime.InteropServices;

public sealed unsafe class NativeGraph : IDisposable
{
    const string Library = "responses";
    const int Abi = 1, Float32 = 1, Alignment = 64;

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

    /// <summary>Write the frame here: row by row, in [-1, 1].</summary>
    public readonly float[] Image = new float[32 * 32];

    /// <summary>One for each neuron; every Run overwrites them.</summary>
    public readonly float[] Responses;

    readonly GCHandle[] pinned = new GCHandle[3];
    void* state, image, responses; // null when the buffers are no longer held

    public NativeGraph()
    {
        Graph* graph = daenr_describe();
        if (graph->Abi != Abi) throw new InvalidDataException("the library speaks another version of the interface");
        if (daenr_instruction_set() == IntPtr.Zero) throw new PlatformNotSupportedException("no code for this processor");
        if (Marshal.PtrToStringAnsi(graph->Name) != "responses") throw new InvalidDataException("the library is of another graph");
        if (graph->Input.Dtype != Float32)
            throw new InvalidDataException("the bundle takes pixels: make Image a byte[], and ask for 2 (uint8) here");
        Responses = new float[graph->Output0.Dims[0]];
        long start = Hold(0, new byte[graph->StateBytes + Alignment]).ToInt64();
        state = (void*)((start + Alignment - 1) / Alignment * Alignment);
        image = (void*)Hold(1, Image);
        responses = (void*)Hold(2, Responses);
        if (daenr_self_test(state, null) == 0) return;
        Dispose();
        throw new InvalidDataException("the library answers its golden image wrongly");
    }

    IntPtr Hold(int index, Array buffer)
    {
        pinned[index] = GCHandle.Alloc(buffer, GCHandleType.Pinned);
        return pinned[index].AddrOfPinnedObject();
    }

    public void Run()
    {
        if (state == null) throw new ObjectDisposedException(nameof(NativeGraph));
        void* output = responses;
        int code = daenr_run(state, 1, image, &output);
        if (code != 0) throw new InvalidOperationException("the library refuses the frame, code " + code);
    }

    /// <summary>Let the buffers go; Run then refuses. Forgetting it keeps them in memory until the program ends.</summary>
    public void Dispose()
    {
        state = image = responses = null;
        for (int i = 0; i < pinned.Length; i++) if (pinned[i].IsAllocated) pinned[i].Free();
    }
}
