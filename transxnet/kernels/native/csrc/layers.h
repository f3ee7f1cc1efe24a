// The two layers that a block repeats: a batch norm folded into the 1x1 convolution behind it, and a depthwise layer.
#pragma once

#include "norms.h"
#include "products.h"

namespace native {

/// w [O, I] behind a batch norm, as one matrix product: bn(x) w^T + b = x (w scale)^T + (w shift + b).
template <typename T>
Tensor folded_product(const Tensor& x, const BatchNorm<T>& norm, const Tensor& w,
                      const Tensor& bias = {}) {
  const int64_t outputs = w.size(0), inputs = w.size(1);
  Tensor scaled = at::empty_like(w), offset = at::empty({outputs}, w.options());
  const T *scale = norm.scale.data(), *shift = norm.shift.data();
  for (int64_t o = 0; o < outputs; ++o) {
    const T* from = ptr<T>(w) + o * inputs;
    T *to = ptr<T>(scaled) + o * inputs, sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < inputs; ++i) {
      to[i] = from[i] * scale[i];
      sum += from[i] * shift[i];
    }
    ptr<T>(offset)[o] = sum + (bias.defined() ? ptr<T>(bias)[o] : T(0));
  }
  return product(x, scaled, offset);
}

template <typename T>
struct FoldedGradient {
  Tensor dw;      // [O, I]
  Tensor e;       // [N, I], the gradient of bn(x)
  Slope<T> norm;  // of the norm
};

/// dz [N, O] is the gradient of folded_product, sum_dz [O] its column sums. The norm's sums over N come for free out of
/// the product dz^T x, which the gradient of w needs anyway.
template <typename T>
FoldedGradient<T> folded_backward(const Tensor& dz, const T* sum_dz, const Tensor& x, const BatchNorm<T>& norm,
                                  const Tensor& w) {
  const int64_t outputs = w.size(0), inputs = w.size(1);
  Tensor dw = at::mm(dz.t(), x);
  std::vector<T> sum_d(inputs, 0), sum_dx(inputs, 0);
  const T *mean = norm.mean(), *scale = norm.scale.data(), *shift = norm.shift.data();
  for (int64_t o = 0; o < outputs; ++o) {
    const T *weight = ptr<T>(w) + o * inputs, dz_o = sum_dz[o];
    T *to = ptr<T>(dw) + o * inputs, *d = sum_d.data(), *dx = sum_dx.data();
#pragma GCC ivdep
    for (int64_t i = 0; i < inputs; ++i) {
      d[i] += weight[i] * dz_o;
      dx[i] += weight[i] * (to[i] - mean[i] * dz_o);
      to[i] = to[i] * scale[i] + shift[i] * dz_o;
    }
  }
  return {dw, product(dz, w.t()), norm.slope(sum_d.data(), sum_dx.data())};
}

/// One share of the channels of a depthwise layer.
struct Share {
  int64_t first, channels, kernel;
  Tensor weight, bias;  // [channels, 1, K, K], [channels]
};

/// Depthwise convolutions of several sizes side by side, stride 1, on maps [rows, ld] of `grid`.
///
/// A map of one pixel meets no tap but the middle one: then a part of the batch is one row of pixels for 1x1 kernels.
template <typename T>
struct Depthwise {
  Grid grid;
  std::vector<Share> shares;

  bool single() const { return grid.pixels() == 1; }
  int64_t area(const Share& share) const { return single() ? 1 : share.kernel * share.kernel; }
  Window window(const Share& share, int64_t rows) const {
    if (single()) return {1, rows, share.channels, 1};
    return {grid.height, grid.width, share.channels, share.kernel};
  }

  /// body(first row, rows, scratch) for each map of a part.
  template <typename Body>
  void for_maps(int64_t first, int64_t last, Body&& body) const {
    int64_t most = 0;
    for (const Share& share : shares) most = std::max(most, kernels<T>().scratch_size(window(share, last - first)));
    std::vector<T> scratch(most);
    if (single()) return body(first, last - first, scratch.data());
    for (int64_t sample = first; sample < last; ++sample) body(sample * grid.pixels(), grid.pixels(), scratch.data());
  }

  /// Where a share's taps stand among the packed ones.
  int64_t offset(size_t share) const {
    int64_t sum = 0;
    for (size_t i = 0; i < share; ++i) sum += kernels<T>().packed_size(window(shares[i], 1));
    return sum;
  }

  std::vector<T> packed(bool flipped) const {
    std::vector<T> all(offset(shares.size()));
    for (size_t i = 0; i < shares.size(); ++i) {
      const int64_t area = shares[i].kernel * shares[i].kernel, middle = single() ? area / 2 : 0;
      kernels<T>().pack(window(shares[i], 1), {ptr<T>(shares[i].weight) + middle, area, 1}, flipped, &all[offset(i)]);
    }
    return all;
  }

  /// out = bias + conv(a) (+ a), a = x * scale + shift (null: x). after(first row, rows) follows each map while it is in
  /// the cache.
  template <typename After>
  void forward(const T* x, int64_t ldx, const T* scale, const T* shift, bool residual, T* out, int64_t ldo,
               After&& after) const {
    const std::vector<T> taps = packed(false);
    for_parts(grid, [&](int64_t, int64_t first, int64_t last) {
      for_maps(first, last, [&](int64_t row, int64_t rows, T* scratch) {
        for (size_t i = 0; i < shares.size(); ++i) {
          const Share& share = shares[i];
          const int64_t c = share.first;
          kernels<T>().depthwise(window(share, rows), x + row * ldx + c, ldx, scale ? scale + c : nullptr,
                                 scale ? shift + c : nullptr, &taps[offset(i)], ptr<T>(share.bias), residual,
                                 out + row * ldo + c, ldo, scratch);
        }
        after(row, rows);
      });
    });
  }

  /// Gradients of all weights and biases, in the order weight, bias of each share. after(part, first row, rows) follows
  /// each map while it is in the cache.
  template <typename After>
  std::vector<Tensor> backward(const T* x, int64_t ldx, const T* scale, const T* shift, const T* dy, int64_t ldy,
                               bool residual, T* dx, int64_t ldd, After&& after) const {
    const std::vector<T> taps = packed(true);
    std::vector<Tensor> dw, db, gradients;
    for (const Share& share : shares) {
      dw.push_back(at::zeros({parts_of(grid), area(share), share.channels}, share.weight.options()));
      db.push_back(at::zeros({parts_of(grid), share.channels}, share.weight.options()));
    }
    for_parts(grid, [&](int64_t part, int64_t first, int64_t last) {
      for_maps(first, last, [&](int64_t row, int64_t rows, T* scratch) {
        for (size_t i = 0; i < shares.size(); ++i) {
          const Share& share = shares[i];
          const int64_t c = share.first;
          kernels<T>().depthwise_backward(
              window(share, rows), x + row * ldx + c, ldx, scale ? scale + c : nullptr, scale ? shift + c : nullptr,
              dy + row * ldy + c, ldy, &taps[offset(i)], residual, dx + row * ldd + c, ldd,
              ptr<T>(dw[i]) + part * area(share) * share.channels, ptr<T>(db[i]) + part * share.channels, scratch);
        }
        after(part, row, rows);
      });
    });
    for (size_t i = 0; i < shares.size(); ++i) {
      gradients.push_back(weight_gradient(shares[i], total(dw[i])));
      gradients.push_back(total(db[i]));
    }
    return gradients;
  }

  /// [area, channels] as [channels, 1, K, K]; the taps around the only one are zero.
  Tensor weight_gradient(const Share& share, const Tensor& dw) const {
    if (!single()) return dw.t().contiguous().view_as(share.weight);
    const Tensor whole = at::zeros_like(share.weight);
    whole.view({share.channels, -1}).select(1, share.kernel * share.kernel / 2).copy_(dw[0]);
    return whole;
  }
};

}  // namespace native
