#include "parity.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace {

std::string text(const char* format, double value) {
  char line[64];
  std::snprintf(line, sizeof line, format, value);
  return line;
}

std::vector<double> floats(const Bytes& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return {values.begin(), values.end()};
}

// Whether an image has the same codes, for each image; codes of a VQ-VAE that lie between two entries may fall either way.
std::vector<bool> same_codes(const Bytes& answer, const Bytes& reference, std::size_t images) {
  const auto size = reference.size() / images;
  std::vector<bool> same(images);
  for (std::size_t i = 0; i < images; ++i)
    same[i] = std::memcmp(answer.data() + i * size, reference.data() + i * size, size) == 0;
  return same;
}

double code_agreement(const Bytes& answer, const Bytes& reference) {
  const auto count = reference.size() / 8;
  std::size_t equal = 0;
  for (std::size_t i = 0; i < count; ++i) equal += std::memcmp(&answer[8 * i], &reference[8 * i], 8) == 0;
  return static_cast<double>(equal) / static_cast<double>(count);
}

// The least Pearson correlation over images among the neurons that are not flat; 1 if all are, or if there are fewer
// than three images, whose correlation would say nothing.
double least_correlation(const std::vector<double>& a, const std::vector<double>& r, std::size_t neurons, double flat) {
  const auto images = r.size() / neurons;
  double least = 1, population = 0;
  for (const auto value : r) population = std::max(population, std::abs(value));
  for (std::size_t n = 0; n < neurons && images >= 3; ++n) {
    double mean_a = 0, mean_r = 0, aa = 0, rr = 0, ar = 0, largest = 0;
    for (auto i = n; i < r.size(); i += neurons) {
      mean_a += a[i] / static_cast<double>(images);
      mean_r += r[i] / static_cast<double>(images);
      largest = std::max(largest, std::abs(r[i]));
    }
    for (auto i = n; i < r.size(); i += neurons) {
      aa += (a[i] - mean_a) * (a[i] - mean_a);
      rr += (r[i] - mean_r) * (r[i] - mean_r);
      ar += (a[i] - mean_a) * (r[i] - mean_r);
    }
    const bool is_flat = std::sqrt(rr / static_cast<double>(images)) <= std::max(flat * largest, 1e-4 * population);
    if (!is_flat) least = std::min(least, aa > 0 ? ar / std::sqrt(aa * rr) : 0);
  }
  return least;
}

void judge(Comparison& comparison, const char* metric, double value, double least) {
  comparison.measured += ", " + std::string(metric) + text(" %.6g", value);
  if (!(value >= least))
    comparison.problems.push_back(metric + text(" %.6g", value) + text(", at least %g expected", least));
}

Comparison compare_floats(const Tensor& tensor, const std::vector<double>& a, const std::vector<double>& r,
                          const std::vector<bool>& counted, const Tolerance& tolerance) {
  double error = 0, scale = 0, squares = 0;
  std::size_t wrong = 0, compared = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    wrong += !std::isfinite(a[i]) || !std::isfinite(r[i]);
    if (!counted[i / tensor.elements()]) continue;
    ++compared;
    error = std::max(error, std::abs(a[i] - r[i]));
    scale = std::max(scale, std::abs(r[i]));
    squares += (a[i] - r[i]) * (a[i] - r[i]);
  }
  if (wrong) return {tensor.name, "", {std::to_string(wrong) + " values are NaN or infinite, here or in the golden file"}};
  if (!compared) return {tensor.name, "", {"no image has the codes of the reference"}};
  error /= scale > 0 ? scale : 1;
  Comparison comparison{tensor.name, text("error %.1e of scale", error), {}};
  if (!(error <= tolerance.max_error_over_scale))
    comparison.problems.push_back(text("error %.1e of its scale", error) +
                                  text(", tolerated %.0e", tolerance.max_error_over_scale));
  if (tensor.name == "reconstruction") {  // images in [-1, 1] have a range of 2
    const double mean = std::max(squares / static_cast<double>(compared), 1e-20);
    judge(comparison, "psnr_db", 10 * std::log10(4 / mean), tolerance.psnr_db);
  }
  if (tensor.name == "responses")
    judge(comparison, "correlation", least_correlation(a, r, tensor.elements(), tolerance.flat), tolerance.correlation);
  return comparison;
}

}  // namespace

std::vector<Comparison> compare(const Graph& graph, const std::vector<Bytes>& answers, const Bundle::Golden& golden,
                                const Tolerance& tolerance) {
  std::vector<bool> all(golden.images, true), same = all;
  for (std::size_t i = 0; i < graph.outputs.size(); ++i)
    if (graph.outputs[i].name == "codes") same = same_codes(answers[i], golden.references[i], golden.images);
  std::vector<Comparison> comparisons;
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    const auto& output = graph.outputs[i];
    if (output.dtype != "float32") {
      Comparison codes{output.name, std::to_string(golden.images) + " images", {}};
      judge(codes, "code_agreement", code_agreement(answers[i], golden.references[i]), tolerance.code_agreement);
      comparisons.push_back(codes);
      continue;
    }
    const auto& counted = output.name == "reconstruction" ? same : all;
    comparisons.push_back(
        compare_floats(output, floats(answers[i]), floats(golden.references[i]), counted, tolerance));
  }
  return comparisons;
}
