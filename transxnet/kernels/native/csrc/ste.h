// STE: depthwise 3x3, GELU, norm, 1x1, GELU, norm, 1x1, norm; the norms before the 1x1s are folded into them.
#pragma once

#include "layers.h"
#include "params.h"

namespace native {

template <typename T>
Depthwise<T> spread_layer(const Layout& l, const Params& p) {
  return {l.grid, {{0, l.channels, 3, p[kSpreadWeight], p[kSpreadBias]}}};
}

/// The branch before its last norm, which the caller folds into the residual; `last` receives that norm.
template <typename T>
std::pair<Tensor, BatchNorm<T>> ste_forward(const Layout& l, const Tensor& x, const Params& p,
                                            const Settings& settings, Tape& tape) {
  const auto& k = kernels<T>();
  const Tensor spread = tape.keep(at::empty_like(x)), active1 = tape.keep(at::empty_like(x));
  T *to = ptr<T>(spread), *to_active = ptr<T>(active1);
  spread_layer<T>(l, p).forward(ptr<T>(x), l.channels, nullptr, nullptr, false, to, l.channels,
                                [&](int64_t row, int64_t rows) {
                                  const int64_t at = row * l.channels;
                                  k.gelu(rows, l.channels, to + at, nullptr, nullptr, to_active + at, to + at);
                                });
  const auto norm1 = batch_norm<T>(active1, p.norm(kSteNorm1Weight, kSteNorm1), settings, tape);
  const Tensor squeezed = tape.keep(folded_product(active1, norm1, matrix(p[kSteSqueezeWeight]), p[kSteSqueezeBias]));
  const Tensor active2 = tape.keep(at::empty_like(squeezed));  // the slopes take the places of the GELUs' inputs
  k.gelu(squeezed.size(0), squeezed.size(1), ptr<T>(squeezed), nullptr, nullptr, ptr<T>(active2),
         ptr<T>(squeezed));
  const auto norm2 = batch_norm<T>(active2, p.norm(kSteNorm2Weight, kSteNorm2), settings, tape);
  const Tensor expanded = tape.keep(folded_product(active2, norm2, matrix(p[kSteExpandWeight]), p[kSteExpandBias]));
  return {expanded, batch_norm<T>(expanded, p.norm(kSteNorm3Weight, kSteNorm3), settings, tape)};
}

template <typename T>
struct SteSaved {
  Tensor slope1, active1, slope2, active2, expanded;
  BatchNorm<T> norm1, norm2, norm3;
};

template <typename T>
SteSaved<T> read_ste(const Layout& l, const Params& p, const Settings& s, Tape& tape) {
  const Tensor slope1 = tape.read(), active1 = tape.read(), saved1 = tape.read(), slope2 = tape.read();
  const Tensor active2 = tape.read(), saved2 = tape.read(), expanded = tape.read(), saved3 = tape.read();
  const auto norm = [&](const Tensor& saved, Index weight) {
    return BatchNorm<T>(saved, p[weight], p[weight + 1], s.training, l.grid.rows());
  };
  return {slope1, active1, slope2, active2, expanded, norm(saved1, kSteNorm1Weight), norm(saved2, kSteNorm2Weight),
          norm(saved3, kSteNorm3Weight)};
}

/// The gradient of x by the branch; `d` is that of `expanded` and `sum_d` its column sums.
template <typename T>
Tensor ste_backward(const Layout& l, const Tensor& x, const Tensor& d, const Tensor& sum_d, const SteSaved<T>& saved,
                    const Params& p, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  grads[kSteExpandBias] = sum_d;
  auto second = folded_backward<T>(d, ptr<T>(sum_d), saved.active2, saved.norm2, matrix(p[kSteExpandWeight]));
  grads[kSteExpandWeight] = second.dw.view_as(p[kSteExpandWeight]);
  grads[kSteNorm2Weight] = second.norm.dweight;
  grads[kSteNorm2Bias] = second.norm.dbias;
  const Tensor sums = at::zeros_like(p[kSteSqueezeBias]);
  k.gelu_backward(l.grid.rows(), saved.slope2.size(1), ptr<T>(saved.slope2), ptr<T>(second.e), ptr<T>(saved.active2),
                  second.norm.a.data(), second.norm.b.data(), second.norm.c.data(),
                  ptr<T>(second.e), ptr<T>(sums));
  grads[kSteSqueezeBias] = sums;
  auto first = folded_backward<T>(second.e, ptr<T>(sums), saved.active1, saved.norm1, matrix(p[kSteSqueezeWeight]));
  grads[kSteSqueezeWeight] = first.dw.view_as(p[kSteSqueezeWeight]);
  grads[kSteNorm1Weight] = first.norm.dweight;
  grads[kSteNorm1Bias] = first.norm.dbias;
  for_stretches(l.grid, [&](int64_t row, int64_t rows) {
    const int64_t at = row * l.channels;
    k.gelu_backward(rows, l.channels, ptr<T>(saved.slope1) + at, ptr<T>(first.e) + at,
                    ptr<T>(saved.active1) + at, first.norm.a.data(), first.norm.b.data(), first.norm.c.data(),
                    ptr<T>(first.e) + at, nullptr);
  });
  const Tensor dx = at::empty_like(x);
  const auto spread = spread_layer<T>(l, p).backward(ptr<T>(x), l.channels, nullptr, nullptr, ptr<T>(first.e),
                                                     l.channels, false, ptr<T>(dx), l.channels, [](int64_t, int64_t, int64_t) {});
  grads[kSpreadWeight] = spread[0];
  grads[kSpreadBias] = spread[1];
  return dx;
}

}  // namespace native
