#include "npz.hpp"

namespace {

constexpr std::size_t kLocalEntry = 0x04034b50, kLocalBytes = 30;  // how each file of a zip archive begins

// A stretch of an archive that nothing reads beyond.
struct Reader {
  const unsigned char* data;
  std::size_t size;
  const std::string& source;

  [[noreturn]] void refuse(const std::string& problem) const {
    throw Unusable(source, problem, "export the bundle again from its checkpoint");
  }
  Reader part(std::size_t at, std::size_t bytes) const {
    if (at > size || bytes > size - at) refuse("ends too early");
    return {data + at, bytes, source};
  }
  std::size_t number(std::size_t at, std::size_t bytes) const {  // little-endian
    std::size_t value = 0;
    for (const auto byte = part(at, bytes).data; bytes > 0; --bytes) value = value << 8 | byte[bytes - 1];
    return value;
  }
  std::string text() const { return {data, data + size}; }
};

Reader member(const Reader& archive, const std::string& name) {
  for (std::size_t at = 0; archive.number(at, 4) == kLocalEntry;) {
    // Bit 3 of the flags would mean that the size stands behind the data; method 0 is "stored".
    if ((archive.number(at + 6, 2) & 8) != 0 || archive.number(at + 8, 2) != 0)
      archive.refuse("is compressed or streamed, and the archive of a bundle is neither");
    const auto name_bytes = archive.number(at + 26, 2), bytes = archive.number(at + 22, 4);
    const auto start = at + kLocalBytes + name_bytes + archive.number(at + 28, 2);
    if (archive.part(at + kLocalBytes, name_bytes).text() == name) return archive.part(start, bytes);
    at = start + bytes;
  }
  archive.refuse("holds no " + name);
}

// The text of the Python dictionary that heads an array. It is compared, so that none has to be interpreted.
std::string npy_header(const Tensor& tensor, std::size_t count) {
  std::string shape = std::to_string(count) + ",";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) shape += (i ? ", " : " ") + std::to_string(tensor.shape[i]);
  const std::string code = tensor.dtype == "float32" ? "<f4" : tensor.dtype == "int64" ? "<i8" : "|u1";
  return "{'descr': '" + code + "', 'fortran_order': False, 'shape': (" + shape + "), }";
}

std::string as_ascii(std::string text) {
  for (auto& letter : text)
    if (letter < ' ' || letter > '~') letter = '?';
  return text;
}

}  // namespace

Bytes npz_array(const Bytes& npz, const std::string& source, const std::string& name, const Tensor& tensor,
                std::size_t count) {
  const Reader archive{npz.data(), npz.size(), source}, file = member(archive, name + ".npy");
  if (file.part(0, 8).text() != std::string("\x93NUMPY\x01\x00", 8)) file.refuse("holds " + name + ", but not as npy 1.0");
  const auto header = file.part(10, file.number(8, 2));
  const auto numbers = file.part(10 + header.size, file.size - 10 - header.size);
  const auto found = header.text(), expected = npy_header(tensor, count);
  if (found.compare(0, expected.size(), expected) != 0 || numbers.size != count * tensor.bytes())
    file.refuse("holds " + name + " as " + as_ascii(found.substr(0, found.find('}') + 1)) + ", expected " + expected);
  return {numbers.data, numbers.data + numbers.size};
}
