// A graph opened with ONNX Runtime's C API: one thread that sleeps between frames, and standing buffers for one frame.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <onnxruntime_c_api.h>

#include "bundle.hpp"

// The library that the program runs with, e.g. "1.32.0".
std::string onnxruntime_version();

class Session {
 public:
  // Opens the graph from the very bytes whose hash was checked. Throws Unusable if ONNX Runtime does not take it.
  Session(const Bytes& onnx, const Graph& graph);

  Bytes& input() { return input_; }                             // write the frame here
  const std::vector<Bytes>& outputs() const { return outputs_; }  // every run overwrites these
  void run();                                                   // throws std::runtime_error

 private:
  template <typename T>
  using Owned = std::unique_ptr<T, void (*)(T*)>;
  Owned<OrtValue> bind(const Tensor& tensor, Bytes& buffer);

  Bytes input_;
  std::vector<Bytes> outputs_;
  Owned<OrtEnv> env_;
  Owned<OrtMemoryInfo> host_;
  Owned<OrtSession> session_;
  Owned<OrtIoBinding> binding_;
  std::vector<Owned<OrtValue>> values_;
};
