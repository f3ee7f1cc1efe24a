// MS-FFN: 1x1, GELU, norm, depthwise convolutions of several sizes plus the map itself, GELU, norm, 1x1, norm.
#pragma once

#include "layers.h"
#include "params.h"

namespace native {

/// The layer of several sizes; its weights and biases stand at the end of the parameters.
template <typename T>
Depthwise<T> scales_layer(const Layout& l, const Params& p) {
  Depthwise<T> layer{l.grid, {}};
  int64_t first = 0;
  for (size_t i = kTail + (l.stride > 1 ? kReduceCount : 0); i < p.list.size(); i += 2) {
    const int64_t channels = p[i].size(0);
    layer.shares.push_back({first, channels, p[i].size(-1), p[i], p[i + 1]});
    first += channels;
  }
  return layer;
}

/// The branch of x (normalised) before its last norm, which the caller folds into the residual.
template <typename T>
std::pair<Tensor, BatchNorm<T>> ffn_forward(const Layout& l, const Tensor& x, const Params& p,
                                            const Settings& settings, Tape& tape) {
  const auto& k = kernels<T>();
  const Tensor wide = tape.keep(product(x, matrix(p[kWidenWeight])));
  const int64_t hidden = wide.size(1);
  const Tensor active1 = tape.keep(at::empty_like(wide));
  for_stretches(l.grid, [&](int64_t row, int64_t rows) {  // its slope takes the place of its input
    k.gelu(rows, hidden, ptr<T>(wide) + row * hidden, nullptr, nullptr, ptr<T>(active1) + row * hidden,
           ptr<T>(wide) + row * hidden);
  });
  const auto norm1 = batch_norm<T>(active1, p.norm(kFfnNorm1Weight, kFfnNorm1), settings, tape);
  const Tensor scaled = tape.keep(at::empty_like(wide)), active2 = tape.keep(at::empty_like(wide));
  T *to = ptr<T>(scaled), *to_active = ptr<T>(active2);
  scales_layer<T>(l, p).forward(ptr<T>(active1), hidden, norm1.scale.data(), norm1.shift.data(), true, to, hidden,
                                [&](int64_t row, int64_t rows) {
                                  const int64_t at = row * hidden;
                                  k.gelu(rows, hidden, to + at, nullptr, nullptr, to_active + at, to + at);
                                });
  const auto norm2 = batch_norm<T>(active2, p.norm(kFfnNorm2Weight, kFfnNorm2), settings, tape);
  const Tensor narrow = tape.keep(folded_product(active2, norm2, matrix(p[kNarrowWeight])));
  return {narrow, batch_norm<T>(narrow, p.norm(kFfnNorm3Weight, kFfnNorm3), settings, tape)};
}

template <typename T>
struct FfnSaved {
  Tensor slope1, active1, slope2, active2, narrow;
  BatchNorm<T> norm1, norm2, norm3;
};

template <typename T>
FfnSaved<T> read_ffn(const Layout& l, const Params& p, const Settings& s, Tape& tape) {
  const Tensor slope1 = tape.read(), active1 = tape.read(), saved1 = tape.read(), slope2 = tape.read();
  const Tensor active2 = tape.read(), saved2 = tape.read(), narrow = tape.read(), saved3 = tape.read();
  const auto norm = [&](const Tensor& saved, Index weight) {
    return BatchNorm<T>(saved, p[weight], p[weight + 1], s.training, l.grid.rows());
  };
  return {slope1, active1, slope2, active2, narrow, norm(saved1, kFfnNorm1Weight), norm(saved2, kFfnNorm2Weight),
          norm(saved3, kFfnNorm3Weight)};
}

/// The gradient of x (normalised); `d` is that of `narrow` and `sum_d` its column sums.
template <typename T>
Tensor ffn_backward(const Layout& l, const Tensor& x, const Tensor& d, const Tensor& sum_d, const FfnSaved<T>& saved,
                    const Params& p, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  const int64_t hidden = saved.slope1.size(1);
  auto last = folded_backward<T>(d, ptr<T>(sum_d), saved.active2, saved.norm2, matrix(p[kNarrowWeight]));
  grads[kNarrowWeight] = last.dw.view_as(p[kNarrowWeight]);
  grads[kFfnNorm2Weight] = last.norm.dweight;
  grads[kFfnNorm2Bias] = last.norm.dbias;
  const Tensor step = last.e;
  for_stretches(l.grid, [&](int64_t row, int64_t rows) {
    const int64_t at = row * hidden;
    k.gelu_backward(rows, hidden, ptr<T>(saved.slope2) + at, ptr<T>(step) + at,
                    ptr<T>(saved.active2) + at, last.norm.a.data(), last.norm.b.data(), last.norm.c.data(),
                    ptr<T>(step) + at, nullptr);
  });
  const Tensor inner = at::empty_like(step), sums = at::zeros({parts_of(l.grid), 2, hidden}, step.options());
  const auto scales = scales_layer<T>(l, p).backward(
      ptr<T>(saved.active1), hidden, saved.norm1.scale.data(), saved.norm1.shift.data(), ptr<T>(step), hidden, true,
      ptr<T>(inner), hidden, [&](int64_t part, int64_t row, int64_t rows) {
        const int64_t at = row * hidden;
        T* to = ptr<T>(sums) + part * 2 * hidden;
        k.sums(rows, hidden, ptr<T>(inner) + at, hidden, ptr<T>(saved.active1) + at, hidden, saved.norm1.mean(), T(1),
               to, to + hidden);
      });
  std::copy(scales.begin(), scales.end(), grads.end() - scales.size());
  const Tensor all = total(sums);
  const Slope<T> slope = saved.norm1.slope(ptr<T>(all), ptr<T>(all) + hidden);
  grads[kFfnNorm1Weight] = slope.dweight;
  grads[kFfnNorm1Bias] = slope.dbias;
  for_stretches(l.grid, [&](int64_t row, int64_t rows) {
    const int64_t at = row * hidden;
    k.gelu_backward(rows, hidden, ptr<T>(saved.slope1) + at, ptr<T>(inner) + at,
                    ptr<T>(saved.active1) + at, slope.a.data(), slope.b.data(), slope.c.data(), ptr<T>(inner) + at,
                    nullptr);
  });
  grads[kWidenWeight] = at::mm(inner.t(), x).view_as(p[kWidenWeight]);
  return product(inner, matrix(p[kWidenWeight]).t());
}

}  // namespace native
