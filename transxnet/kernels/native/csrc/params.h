// A block's parameters and buffers in the order in which Python lists them (../ops.py) and in which gradients go back.
#pragma once

#include "norms.h"
#include "products.h"

namespace native {

enum Index {
  kDpeWeight, kDpeBias, kNorm1Weight, kNorm1Bias,
  kSqueezeWeight, kSqueezeNormWeight, kSqueezeNormBias, kExpandWeight, kExpandBias, kBank, kBiasBank,
  kQWeight, kQBias, kLocalWeight, kLocalBias, kKvWeight, kKvBias,
  kSpreadWeight, kSpreadBias, kSteNorm1Weight, kSteNorm1Bias, kSteSqueezeWeight, kSteSqueezeBias,
  kSteNorm2Weight, kSteNorm2Bias, kSteExpandWeight, kSteExpandBias, kSteNorm3Weight, kSteNorm3Bias,
  kScale1Weight, kScale1Bias, kNorm2Weight, kNorm2Bias,
  kWidenWeight, kFfnNorm1Weight, kFfnNorm1Bias, kFfnNorm2Weight, kFfnNorm2Bias,
  kNarrowWeight, kFfnNorm3Weight, kFfnNorm3Bias, kScale2Weight, kScale2Bias,
  kTail,  // with OSRA's reduction the six below, then weight and bias of each MS-FFN kernel
};
/// From kTail on, where OSRA reduces.
constexpr int kSpatial = 0, kSpatialNormWeight = 1, kSpatialNormBias = 2;
constexpr int kPointwise = 3, kPointNormWeight = 4, kPointNormBias = 5, kReduceCount = 6;

/// Batch norms in the order of the buffers, three each.
enum NormIndex { kSqueezeNorm, kSteNorm1, kSteNorm2, kSteNorm3, kFfnNorm1, kFfnNorm2, kFfnNorm3, kSpatialNorm, kPointNorm };

/// The numbers that describe a block and its map.
struct Layout {
  Grid grid;
  int64_t channels, local, idconv_kernel, groups, heads, stride, overlap;
  int64_t global() const { return channels - local; }
};

struct Params {
  const std::vector<Tensor>& list;
  const std::vector<Tensor>& buffers;

  const Tensor& operator[](int64_t index) const { return list[index]; }
  NormParams norm(int64_t weight, NormIndex which) const {
    const int64_t at = 3 * which;
    return {list[weight], list[weight + 1], buffers[at], buffers[at + 1], buffers[at + 2]};
  }
};

}  // namespace native
