// What a rig must know of a bundle, and its files: read once, hashed, and handed out only if the hash is the manifest's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using Bytes = std::vector<unsigned char>;

// Unusable input, in one line: the file or field at fault, what is wrong with it, and the remedy. Exit code 2.
struct Unusable : std::runtime_error {
  Unusable(const std::string& subject, const std::string& problem, const std::string& remedy);
};

// A named tensor: numpy's name of its dtype, and its shape without the batch axis, which always comes first.
struct Tensor {
  std::string name, dtype;
  std::vector<std::int64_t> shape;

  std::size_t elements() const;
  std::size_t bytes() const;
};

struct Graph {
  std::string name, file;
  Tensor input;
  std::vector<Tensor> outputs;
};

// What answers may differ from the reference by, as daenr-export verify uses it.
struct Tolerance {
  double max_error_over_scale, correlation, flat, psnr_db, code_agreement;
};

class Bundle {
 public:
  // Reads manifest.json and checks its own digest and schema version. Throws Unusable.
  explicit Bundle(const std::filesystem::path& folder);

  // A file that the manifest lists. Throws Unusable if it is missing or its sha256 is another.
  Bytes read(const std::string& name) const;

  Graph graph(const std::string& name) const;

  // The golden inputs of a graph, and what it must answer: one entry for each output. All are (images, ...).
  struct Golden {
    std::size_t images;
    Bytes inputs;
    std::vector<Bytes> references;
  };
  Golden golden(const Graph& graph) const;

  std::string model;
  Tolerance tolerance{};  // of fp32, which is what the ONNX graphs compute in

 private:
  struct File {
    std::string sha256;
    std::uintmax_t bytes;
  };
  std::filesystem::path folder_;
  std::map<std::string, File> files_;
  std::map<std::string, Graph> graphs_;
  std::string golden_file_;
  std::size_t golden_images_ = 0;
};
