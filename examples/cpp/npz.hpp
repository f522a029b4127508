// Reads golden.npz: a zip archive of uncompressed .npy files, each a short header and little-endian numbers in C order.
#pragma once

#include <string>

#include "bundle.hpp"

// The numbers of an array, if it is there with the tensor's dtype and the shape (count, *tensor.shape). Throws Unusable.
Bytes npz_array(const Bytes& npz, const std::string& source, const std::string& name, const Tensor& tensor,
                std::size_t count);
