// Matrix products: oneDNN's where it was measured to be faster than the BLAS that torch calls, otherwise that.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include "map.h"

namespace native {

using Linear = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, c10::string_view,
                      c10::List<std::optional<at::Scalar>>, std::optional<c10::string_view>);

/// torch's call of oneDNN for x w^T + bias; none where torch was built without it.
inline std::optional<c10::TypedOperatorHandle<Linear>> one_dnn() {
  const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!found) return std::nullopt;
  return found->typed<Linear>();
}

/// x [N, I] times w [O, I] transposed (+ bias [O]). w may be a transposed view.
inline Tensor product(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias = std::nullopt) {
  // Float32 on one core of an AVX-512 machine: 98 against 75 GFLOP/s for N = 25,088, I = 48, O = 192, 5 to 10 % more for
  // other shapes of some size; gradients of weights (long sums) are faster in BLAS.
  constexpr int64_t kLeast = 1 << 18;
  static const auto linear = one_dnn();
  if (linear && x.scalar_type() == at::kFloat && x.is_contiguous() && x.size(0) * w.numel() >= kLeast)
    return linear->call(x, w, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
  return bias ? at::addmm(*bias, x, w.t()) : at::mm(x, w.t());
}

}  // namespace native
