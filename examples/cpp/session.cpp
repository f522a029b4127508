#include "session.hpp"

namespace {

constexpr std::uint32_t kApiVersion = 14;  // of onnxruntime 1.14, which has all that is used here

const OrtApi& api() {
  // A library serves its own version of the interface and every older one, whichever header this was compiled with.
  static const OrtApi* const found = OrtGetApiBase()->GetApi(kApiVersion);
  if (!found)
    throw Unusable("onnxruntime " + onnxruntime_version(), "is too old", "link against 1.14 or later");
  return *found;
}

void check(OrtStatus* status) {
  if (!status) return;
  const std::string message = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw std::runtime_error("onnxruntime: " + message);
}

// Takes over what a function of the C API made.
template <typename T, typename Make>
std::unique_ptr<T, void (*)(T*)> made(void (*release)(T*), Make make) {
  T* object = nullptr;
  check(make(&object));
  return {object, release};
}

ONNXTensorElementDataType element_of(const Tensor& tensor) {
  if (tensor.dtype == "uint8") return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
  return tensor.dtype == "int64" ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

std::unique_ptr<OrtSession, void (*)(OrtSession*)> open(const OrtEnv* env, const Bytes& onnx) {
  const auto options = made<OrtSessionOptions>(api().ReleaseSessionOptions, api().CreateSessionOptions);
  check(api().SetIntraOpNumThreads(options.get(), 1));
  check(api().SetInterOpNumThreads(options.get(), 1));
  check(api().AddSessionConfigEntry(options.get(), "session.intra_op.allow_spinning", "0"));
  check(api().AddSessionConfigEntry(options.get(), "session.inter_op.allow_spinning", "0"));
  return made<OrtSession>(api().ReleaseSession, [&](OrtSession** session) {
    return api().CreateSessionFromArray(env, onnx.data(), onnx.size(), options.get(), session);
  });
}

}  // namespace

std::string onnxruntime_version() { return OrtGetApiBase()->GetVersionString(); }

Session::Session(const Bytes& onnx, const Graph& graph) try
    : input_(graph.input.bytes()),
      env_(made<OrtEnv>(api().ReleaseEnv,
                        [](OrtEnv** env) { return api().CreateEnv(ORT_LOGGING_LEVEL_FATAL, "daenr", env); })),
      host_(made<OrtMemoryInfo>(api().ReleaseMemoryInfo,
                                [](OrtMemoryInfo** host) {
                                  return api().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, host);
                                })),
      session_(open(env_.get(), onnx)),
      binding_(made<OrtIoBinding>(api().ReleaseIoBinding, [this](OrtIoBinding** binding) {
        return api().CreateIoBinding(session_.get(), binding);
      })) {
  values_.push_back(bind(graph.input, input_));
  check(api().BindInput(binding_.get(), graph.input.name.c_str(), values_.back().get()));
  outputs_.reserve(graph.outputs.size());  // their addresses must not change once they are bound
  for (const auto& output : graph.outputs) {
    values_.push_back(bind(output, outputs_.emplace_back(output.bytes())));
    check(api().BindOutput(binding_.get(), output.name.c_str(), values_.back().get()));
  }
  run();  // a graph whose tensors are not those of the manifest fails here
} catch (const Unusable&) {
  throw;
} catch (const std::exception& error) {
  throw Unusable("graph " + graph.name, "cannot be opened (" + std::string(error.what()) + ")",
                 "use the onnxruntime that manifest.json names under tools, or a later one");
}

void Session::run() { check(api().RunWithBinding(session_.get(), nullptr, binding_.get())); }

Session::Owned<OrtValue> Session::bind(const Tensor& tensor, Bytes& buffer) {
  std::vector<std::int64_t> shape{1};
  shape.insert(shape.end(), tensor.shape.begin(), tensor.shape.end());
  return made<OrtValue>(api().ReleaseValue, [&](OrtValue** value) {
    return api().CreateTensorWithDataAsOrtValue(host_.get(), buffer.data(), buffer.size(), shape.data(), shape.size(),
                                                element_of(tensor), value);
  });
}
