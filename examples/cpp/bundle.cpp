#include "bundle.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "npz.hpp"

namespace {

using nlohmann::json;

constexpr int kSchemaVersion = 1;
constexpr std::uintmax_t kMaxManifestBytes = 64u << 20;
constexpr std::int64_t kMaxElements = 1 << 24;
constexpr std::size_t kMaxImages = 1 << 16;
const char* const kCopyAgain = "copy the whole folder again, or export the bundle again";
const char* const kExportAgain = "export the bundle again from its checkpoint";

std::string sha256_of(const Bytes& content) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(content.data(), content.size(), digest, &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("libcrypto computes no SHA-256");
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

Bytes read_file(const std::filesystem::path& path, std::uintmax_t most) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw Unusable(path.string(), "cannot be read (" + error.message() + ")", "check the path of the bundle");
  if (size > most) throw Unusable(path.string(), "is larger than it may be", kCopyAgain);
  Bytes content(size);
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size)))
    throw Unusable(path.string(), "cannot be read to its end", kCopyAgain);
  return content;
}

// The manifest's digest is that of its own bytes with the 64 digits of the top-level "sha256" taken out. Only that key
// stands at the start of a line behind exactly two spaces, and no text of JSON holds a line break.
void check_digest(const Bytes& content, const std::string& said, const std::string& path) {
  const std::string key = "\n  \"sha256\": \"";
  std::string text(content.begin(), content.end());
  const auto at = text.find(key + said + '"');
  if (said.size() != 64 || at == std::string::npos) throw Unusable(path, "does not carry its sha256", kExportAgain);
  text.erase(at + key.size(), said.size());
  if (sha256_of(Bytes(text.begin(), text.end())) != said)
    throw Unusable(path, "was changed after it was written (its sha256 does not match)", kExportAgain);
}

bool is_safe(const std::string& name) {
  return !name.empty() && name[0] != '/' && name.find("..") == std::string::npos &&
         name.find_first_of("\\:") == std::string::npos;
}

Tensor tensor_of(const json& entry) {
  Tensor tensor{entry.at("name"), entry.at("dtype"), entry.at("shape")};
  if (tensor.dtype != "float32" && tensor.dtype != "uint8" && tensor.dtype != "int64")
    throw Unusable("tensor " + tensor.name, "is " + tensor.dtype + ", which this example does not handle", kExportAgain);
  std::int64_t elements = 1;
  for (const auto size : tensor.shape) {
    if (size < 1 || size > kMaxElements / elements)
      throw Unusable("tensor " + tensor.name, "has a shape that no graph of a bundle has", kExportAgain);
    elements *= size;
  }
  return tensor;
}

Graph graph_of(const std::string& name, const json& entry) {
  Graph graph{name, entry.at("file"), tensor_of(entry.at("input")), {}};
  for (const auto& output : entry.at("outputs")) graph.outputs.push_back(tensor_of(output));
  if (graph.outputs.empty()) throw Unusable("graph " + name, "has no outputs, so nothing could be wrong", kExportAgain);
  return graph;
}

// Texts of other libraries, and what a damaged file holds, may come with line breaks.
std::string in_one_line(std::string text) {
  for (auto& letter : text)
    if (static_cast<unsigned char>(letter) < ' ') letter = ' ';
  return text;
}

}  // namespace

Unusable::Unusable(const std::string& subject, const std::string& problem, const std::string& remedy)
    : std::runtime_error(in_one_line(subject + ": " + problem + "; " + remedy)) {}

std::size_t Tensor::elements() const {
  std::size_t count = 1;
  for (const auto size : shape) count *= static_cast<std::size_t>(size);
  return count;
}

std::size_t Tensor::bytes() const { return elements() * (dtype == "float32" ? 4 : dtype == "int64" ? 8 : 1); }

Bundle::Bundle(const std::filesystem::path& folder) : folder_(folder) {
  const auto path = folder / "manifest.json";
  const auto content = read_file(path, kMaxManifestBytes);
  try {
    const auto manifest = json::parse(content);
    if (const int version = manifest.at("schema_version"); version != kSchemaVersion)
      throw Unusable(path.string(), "has schema version " + std::to_string(version) + ", and this program reads 1",
                     "use the example of the daenr that made it");
    check_digest(content, manifest.at("sha256"), path.string());
    model = manifest.at("model").at("name");
    for (const auto& [name, file] : manifest.at("files").items()) files_[name] = {file.at("sha256"), file.at("bytes")};
    for (const auto& [name, graph] : manifest.at("graphs").items()) graphs_[name] = graph_of(name, graph);
    golden_file_ = manifest.at("golden").at("file");
    golden_images_ = manifest.at("golden").at("images");
    if (golden_images_ < 1 || golden_images_ > kMaxImages)
      throw Unusable(path.string(), "has no golden images, or too many", kExportAgain);
    const auto& tolerances = manifest.at("tolerances");
    tolerance = {tolerances.at("fp32.max_error_over_scale"), tolerances.at("fp32.correlation"),
                 tolerances.at("fp32.flat"), tolerances.at("fp32.psnr_db"), tolerances.at("fp32.code_agreement")};
  } catch (const json::exception& error) {
    throw Unusable(path.string(), error.what(), kExportAgain);
  }
}

Bytes Bundle::read(const std::string& name) const {
  const auto file = files_.find(name);
  if (file == files_.end() || !is_safe(name))
    throw Unusable((folder_ / "manifest.json").string(), "does not list the file '" + name + "'", kExportAgain);
  const auto path = folder_ / name;
  auto content = read_file(path, file->second.bytes);
  if (sha256_of(content) != file->second.sha256)
    throw Unusable(path.string(), "was changed: its sha256 is not the one in manifest.json", kCopyAgain);
  return content;
}

Graph Bundle::graph(const std::string& name) const {
  const auto found = graphs_.find(name);
  if (found != graphs_.end()) return found->second;
  std::string has;
  for (const auto& entry : graphs_) has += (has.empty() ? "" : ", ") + entry.first;
  throw Unusable(folder_.string(), "has no graph '" + name + "', only " + has, "choose one of these with --graph");
}

Bundle::Golden Bundle::golden(const Graph& graph) const {
  const auto npz = read(golden_file_);
  const auto array = [&](const std::string& name, const Tensor& tensor) {
    return npz_array(npz, (folder_ / golden_file_).string(), name, tensor, golden_images_);
  };
  Golden golden{golden_images_, array(graph.input.name == "image" ? "image" : "encoder.features", graph.input), {}};
  for (const auto& output : graph.outputs) golden.references.push_back(array(graph.name + "." + output.name, output));
  return golden;
}
