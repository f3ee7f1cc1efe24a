// The two layers that a block repeats: a batch norm folded into the 1x1 convolution behind it, and a depthwise layer.
#pragma once

#include "norms.h"

namespace native {

/// w [O, I] behind a batch norm, as one matrix product: bn(x) w^T + b = x (w scale)^T + (w shift + b).
template <typename T>
Tensor folded_product(const Tensor& x, const BatchNorm<T>& norm, const Tensor& w, const Tensor& bias = {}) {
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
  return {dw, at::mm(dz, w), norm.slope(sum_d.data(), sum_dx.data())};
}

/// One share of the channels of a depthwise layer.
struct Share {
  int64_t first, channels, kernel;
  Tensor weight, bias;  // [channels, 1, K, K], [channels]
};

/// Depthwise convolutions of several sizes side by side, stride 1, on maps [rows, ld] of `grid`.
template <typename T>
struct Depthwise {
  Grid grid;
  std::vector<Share> shares;

  Window window(const Share& share) const { return {grid.height, grid.width, share.channels, share.kernel}; }

  std::vector<T> packed(bool flipped) const {
    std::vector<T> all(offset(shares.size()));
    for (size_t i = 0; i < shares.size(); ++i) {
      const int64_t area = shares[i].kernel * shares[i].kernel;
      kernels<T>().pack(window(shares[i]), {ptr<T>(shares[i].weight), area, 1}, flipped, &all[offset(i)]);
    }
    return all;
  }

  int64_t offset(size_t share) const {
    int64_t sum = 0;
    for (size_t i = 0; i < share; ++i) sum += kernels<T>().packed_size(window(shares[i]));
    return sum;
  }

  std::vector<T> scratch() const {
    int64_t most = 0;
    for (const Share& share : shares) most = std::max(most, kernels<T>().scratch_size(window(share)));
    return std::vector<T>(most);
  }

  /// A sample: out = bias + conv(a) (+ a), a = x * scale + shift (null: x).
  void forward(const std::vector<T>& taps, const T* x, int64_t ldx, const T* scale, const T* shift, bool residual,
               T* out, int64_t ldo, std::vector<T>& scratch) const {
    for (size_t i = 0; i < shares.size(); ++i) {
      const Share& share = shares[i];
      const int64_t c = share.first;
      kernels<T>().depthwise(window(share), x + c, ldx, scale ? scale + c : nullptr, scale ? shift + c : nullptr,
                             &taps[offset(i)], ptr<T>(share.bias), residual, out + c, ldo, scratch.data());
    }
  }

  /// Gradients of all weights and biases, in the order weight, bias of each share. after(part, sample) follows each
  /// sample while it is in the cache.
  template <typename After>
  std::vector<Tensor> backward(const T* x, int64_t ldx, const T* scale, const T* shift, const T* dy, int64_t ldy,
                               bool residual, T* dx, int64_t ldd, After&& after) const {
    const std::vector<T> taps = packed(true);
    std::vector<Tensor> dw, db, gradients;
    for (const Share& share : shares) {
      const auto options = share.weight.options();
      dw.push_back(at::zeros({parts_of(grid), share.kernel * share.kernel, share.channels}, options));
      db.push_back(at::zeros({parts_of(grid), share.channels}, options));
    }
    for_parts(grid, [&](int64_t part, int64_t first, int64_t last) {
      std::vector<T> space = scratch();
      for (int64_t sample = first; sample < last; ++sample) {
        const int64_t at = sample * grid.pixels();
        for (size_t i = 0; i < shares.size(); ++i) {
          const Share& share = shares[i];
          const int64_t c = share.first, area = share.kernel * share.kernel;
          kernels<T>().depthwise_backward(
              window(share), x + at * ldx + c, ldx, scale ? scale + c : nullptr, scale ? shift + c : nullptr,
              dy + at * ldy + c, ldy, &taps[offset(i)], residual, dx + at * ldd + c, ldd,
              ptr<T>(dw[i]) + part * area * share.channels, ptr<T>(db[i]) + part * share.channels, space.data());
        }
        after(part, sample);
      }
    });
    for (size_t i = 0; i < shares.size(); ++i) {
      gradients.push_back(total(dw[i]).t().contiguous().view_as(shares[i].weight));
      gradients.push_back(total(db[i]).clone());
    }
    return gradients;
  }
};

}  // namespace native
