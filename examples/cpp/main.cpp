// A rig without Python: opens a graph of a daenr bundle with ONNX Runtime, checks every golden answer, and answers
// frames on a fixed schedule. How to build it: docs/other_languages.md.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "bundle.hpp"
#include "parity.hpp"
#include "session.hpp"

namespace {

constexpr int kPass = 0, kFail = 1, kUnusable = 2, kCannotTell = 3;

const char* const kUsage =
    "Usage: rig BUNDLE [--graph responses] [--rate 100] [--seconds 10] [--deadline-ms MS] [--p99-ms LIMIT]\n\n"
    "Checks every golden answer of a graph, then answers golden images on a fixed schedule.\n\n"
    "  --rate         frames in a second\n"
    "  --seconds      how long; 0 only checks the answers\n"
    "  --deadline-ms  a later answer is a miss; the period by default\n"
    "  --p99-ms       fail if the 99th percentile of the latency is above\n\n"
    "Exit codes: 0 pass, 1 a wrong answer or a p99 above --p99-ms, 2 unusable input, 3 too few frames for --p99-ms.\n";

struct Arguments {
  std::string bundle, graph = "responses";
  double rate_hz = 100, seconds = 10;
  std::optional<double> deadline_ms, p99_ms;
};

double number(const std::string& option, const char* value, double least, double most) {
  char* end = nullptr;
  const double parsed = std::strtod(value, &end);
  if (end == value || *end != '\0' || !(parsed >= least && parsed <= most))
    throw Unusable(option, "is '" + std::string(value) + "'",
                   "give a number from " + std::to_string(least) + " to " + std::to_string(most));
  return parsed;
}

Arguments parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word.rfind("--", 0) != 0 && arguments.bundle.empty()) {
      arguments.bundle = word;
      continue;
    }
    const bool known = word == "--graph" || word == "--rate" || word == "--seconds" || word == "--deadline-ms" ||
                       word == "--p99-ms";
    if (!known || i + 1 == count)
      throw Unusable(word, known ? "lacks its value" : "is not an option", "see rig --help");
    const char* const value = words[++i];
    if (word == "--graph") arguments.graph = value;
    if (word == "--rate") arguments.rate_hz = number(word, value, 0.1, 10000);
    if (word == "--seconds") arguments.seconds = number(word, value, 0, 3600);
    if (word == "--deadline-ms") arguments.deadline_ms = number(word, value, 0.001, 1e6);
    if (word == "--p99-ms") arguments.p99_ms = number(word, value, 0.001, 1e6);
  }
  if (arguments.bundle.empty()) throw Unusable("BUNDLE", "is missing", "see rig --help");
  return arguments;
}

// Answers the golden inputs one by one in the buffers of the loop, which also warms the session up.
int check_golden(Session& session, const Graph& graph, const Bundle::Golden& golden, const Tolerance& tolerance) {
  std::vector<Bytes> answers(graph.outputs.size());
  for (std::size_t i = 0; i < golden.images; ++i) {
    std::memcpy(session.input().data(), &golden.inputs[i * session.input().size()], session.input().size());
    session.run();
    for (std::size_t j = 0; j < answers.size(); ++j)
      answers[j].insert(answers[j].end(), session.outputs()[j].begin(), session.outputs()[j].end());
  }
  int code = kPass;
  for (const auto& comparison : compare(graph, answers, golden, tolerance)) {
    std::printf("%s, %zu golden answers: %s\n", comparison.output.c_str(), golden.images, comparison.measured.c_str());
    for (const auto& problem : comparison.problems) {
      std::printf("  fail: %s\n", problem.c_str());
      code = kFail;
    }
  }
  return code;
}

// Latencies in nanoseconds from the instant when a frame was due, which includes waking up late and every backlog.
std::vector<std::int64_t> run_paced(Session& session, const Bundle::Golden& golden, double rate_hz, std::size_t frames) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::nanoseconds;
  std::vector<std::int64_t> latencies_ns(frames);  // taken before the first frame; nothing is allocated in the loop
  const auto start = Clock::now();
  for (std::size_t i = 0; i < frames; ++i) {
    const auto due = start + nanoseconds(std::llround(static_cast<double>(i + 1) * 1e9 / rate_hz));
    std::this_thread::sleep_until(due);
    const auto image = i % golden.images;
    std::memcpy(session.input().data(), &golden.inputs[image * session.input().size()], session.input().size());
    session.run();
    latencies_ns[i] = std::chrono::duration_cast<nanoseconds>(Clock::now() - due).count();
  }
  return latencies_ns;
}

// The nearest-rank percentile in milliseconds: a measured value. None where there are too few samples to say it with
// 99 % confidence.
std::optional<double> percentile_ms(const std::vector<std::int64_t>& sorted_ns, double percent, std::size_t least) {
  if (sorted_ns.size() < least) return std::nullopt;
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(sorted_ns.size())));
  return static_cast<double>(sorted_ns[rank - 1]) / 1e6;
}

int loop(Session& session, const Bundle::Golden& golden, const Arguments& arguments) {
  const auto frames = static_cast<std::size_t>(std::llround(arguments.rate_hz * arguments.seconds));
  if (frames == 0) return arguments.p99_ms ? kCannotTell : kPass;
  const double deadline_ms = arguments.deadline_ms.value_or(1000 / arguments.rate_hz);
  auto latencies_ns = run_paced(session, golden, arguments.rate_hz, frames);
  std::sort(latencies_ns.begin(), latencies_ns.end());
  const auto misses = std::count_if(latencies_ns.begin(), latencies_ns.end(),
                                    [&](std::int64_t ns) { return static_cast<double>(ns) / 1e6 > deadline_ms; });
  const auto p50 = percentile_ms(latencies_ns, 50, 11), p99 = percentile_ms(latencies_ns, 99, 662);
  const auto shown = [](std::optional<double> ms) { return ms ? std::to_string(*ms) + " ms" : "too few frames"; };
  std::printf("%zu frames at %g Hz: p50 %s, p99 %s, %td later than %g ms\n", frames, arguments.rate_hz,
              shown(p50).c_str(), shown(p99).c_str(), misses, deadline_ms);
  if (!arguments.p99_ms) return kPass;
  if (!p99) return kCannotTell;
  return *p99 <= *arguments.p99_ms ? kPass : kFail;
}

int run(const Arguments& arguments) {
  const Bundle bundle(arguments.bundle);
  const auto graph = bundle.graph(arguments.graph);
  const auto golden = bundle.golden(graph);
  Session session(bundle.read(graph.file), graph);
  std::printf("%s, graph %s, onnxruntime %s, 1 thread, no spinning\n", bundle.model.c_str(), graph.name.c_str(),
              onnxruntime_version().c_str());
  const int code = check_golden(session, graph, golden, bundle.tolerance);
  return code == kPass ? loop(session, golden, arguments) : code;  // how fast a wrong answer comes is no news
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::string(words[1]) == "--help") return std::fputs(kUsage, stdout) < 0 ? kFail : kPass;
  try {
    return run(parse(count, words));
  } catch (const Unusable& error) {
    std::fprintf(stderr, "rig: %s\n", error.what());
    return kUnusable;
  } catch (const std::exception& error) {  // e.g. a run that fails in the middle of the loop
    std::fprintf(stderr, "rig: %s\n", error.what());
    return kFail;
  }
}
