// Maps as the parts of a block see them, and the loops over their samples.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels.h"

namespace native {

using at::Tensor;

template <typename T>
T* ptr(const Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

/// Batch and size of a map [batch * height * width, C].
struct Grid {
  int64_t batch, height, width;
  int64_t pixels() const { return height * width; }
  int64_t rows() const { return batch * pixels(); }
};

/// What the forward pass leaves for the backward pass, in one order for both.
struct Tape {
  std::vector<Tensor> tensors;
  size_t next = 0;
  Tensor keep(Tensor tensor) {
    tensors.push_back(tensor);
    return tensor;
  }
  Tensor read() { return tensors.at(next++); }
};

/// A map is split into at most so many parts, by its size alone: our own sums do not depend on the threads.
constexpr int64_t kParts = 16, kRowsOfPart = 1024;

inline int64_t parts_of(const Grid& grid) {
  return std::min(grid.batch, std::clamp<int64_t>(grid.rows() / kRowsOfPart, 1, kParts));
}

/// body(part, first sample, last sample) for each part, on torch's threads.
template <typename Body>
void for_parts(const Grid& grid, Body&& body) {
  const int64_t parts = parts_of(grid), batch = grid.batch;
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) body(part, batch * part / parts, batch * (part + 1) / parts);
  });
}

/// body(sample) for each sample.
template <typename Body>
void for_samples(const Grid& grid, Body&& body) {
  for_parts(grid, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t sample = first; sample < last; ++sample) body(sample);
  });
}

/// body(first row, rows) for stretches of whole samples that are long enough for a loop and short enough for the cache.
template <typename Body>
void for_stretches(const Grid& grid, Body&& body) {
  constexpr int64_t kRows = 64;
  const int64_t samples = std::max<int64_t>(1, kRows / grid.pixels());
  for_parts(grid, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t sample = first; sample < last; sample += samples)
      body(sample * grid.pixels(), std::min(samples, last - sample) * grid.pixels());
  });
}

/// The sum over parts of what each has added up, [parts, ...] to [...].
inline Tensor total(const Tensor& by_part) { return by_part.size(0) == 1 ? by_part[0] : by_part.sum(0); }

/// A map [B, C, H, W] as rows [B * H * W, C], without a copy if it is channels_last already.
inline Tensor rows_of(const Tensor& x) { return x.permute({0, 2, 3, 1}).contiguous().view({-1, x.size(1)}); }

/// Rows as the channels_last map that they are.
inline Tensor map_of(const Tensor& rows, const Grid& grid) {
  return rows.view({grid.batch, grid.height, grid.width, -1}).permute({0, 3, 1, 2});
}

/// A 1x1 convolution's weight as a matrix.
inline Tensor matrix(const Tensor& weight) { return weight.reshape({weight.size(0), -1}); }

}  // namespace native
