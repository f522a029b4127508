// Is an answer the reference's answer? The same measures and limits as `daenr-export verify`.
#pragma once

#include <string>
#include <vector>

#include "bundle.hpp"

struct Comparison {
  std::string output;
  std::string measured;               // for people
  std::vector<std::string> problems;  // what is beyond tolerance; none if the output is good
};

// Compares all answers of a graph, (images, ...) for each output, with the golden ones.
std::vector<Comparison> compare(const Graph& graph, const std::vector<Bytes>& answers, const Bundle::Golden& golden,
                                const Tolerance& tolerance);
