// Batch norm and group norm as coefficients by channel: y = x * scale + shift forward, dx = a dy + b x + c backward.
#pragma once

#include <cmath>

#include "map.h"

namespace native {

struct NormParams {
  Tensor weight, bias, running_mean, running_var, batches;
};

struct Settings {
  bool training;
  double momentum, eps;
};

/// Coefficients of the gradient of a norm's input, and the gradients of its parameters.
template <typename T>
struct Slope {
  std::vector<T> a, b, c;
  Tensor dweight, dbias;
};

template <typename T>
struct BatchNorm {
  Tensor saved;  // [2, C]: mean, 1 / standard deviation
  std::vector<T> scale, shift;
  Tensor weight;
  bool training;
  int64_t rows;

  const T* mean() const { return ptr<T>(saved); }
  const T* inverse() const { return ptr<T>(saved) + saved.size(1); }

  BatchNorm(const Tensor& saved, const Tensor& weight, const Tensor& bias, bool training, int64_t rows)
      : saved(saved), scale(saved.size(1)), shift(saved.size(1)), weight(weight), training(training), rows(rows) {
    const T *w = ptr<T>(weight), *b = ptr<T>(bias);
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] = w[c] * inverse()[c];
      shift[c] = b[c] - mean()[c] * scale[c];
    }
  }

  /// From the sums over all rows of dy and of dy * (x - mean).
  Slope<T> slope(const T* sum_d, const T* sum_dx) const {
    const size_t channels = scale.size();
    Slope<T> s{std::vector<T>(channels), std::vector<T>(channels), std::vector<T>(channels),
               at::empty_like(weight), at::empty_like(weight)};
    for (size_t c = 0; c < channels; ++c) {
      const T dweight = sum_dx[c] * inverse()[c];
      ptr<T>(s.dweight)[c] = dweight;
      ptr<T>(s.dbias)[c] = sum_d[c];
      s.a[c] = scale[c];
      s.b[c] = training ? -scale[c] * inverse()[c] * dweight / static_cast<T>(rows) : T(0);
      s.c[c] = training ? -scale[c] * sum_d[c] / static_cast<T>(rows) - s.b[c] * mean()[c] : T(0);
    }
    return s;
  }
};

/// Mean and variance by channel of x [rows, C]: by stretches of rows in T, merged in double.
template <typename T>
void batch_moments(const Tensor& x, std::vector<double>& mean, std::vector<double>& variance) {
  constexpr int64_t kStretch = 256;
  const int64_t rows = x.size(0), channels = x.size(1), stretches = (rows + kStretch - 1) / kStretch;
  std::vector<T> means(stretches * channels), squares(stretches * channels);
  at::parallel_for(0, stretches, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels<T>().moments(std::min(kStretch, rows - i * kStretch), channels, ptr<T>(x) + i * kStretch * channels,
                           channels, &means[i * channels], &squares[i * channels]);
  });
  mean.assign(channels, 0);
  variance.assign(channels, 0);
  for (int64_t i = 0; i < stretches; ++i) {
    const double count = std::min(kStretch, rows - i * kStretch), before = i * kStretch, share = count / (before + count);
    for (int64_t c = 0; c < channels; ++c) {
      const double distance = means[i * channels + c] - mean[c];
      mean[c] += distance * share;
      variance[c] += squares[i * channels + c] + distance * distance * before * share;
    }
  }
  for (double& value : variance) value /= rows;
}

/// Normalise x [rows, C] by its own moments in training, which move the running ones, otherwise by the running ones.
template <typename T>
BatchNorm<T> batch_norm(const Tensor& x, const NormParams& params, const Settings& settings, Tape& tape) {
  const int64_t rows = x.size(0), channels = x.size(1);
  Tensor saved = at::empty({2, channels}, x.options());
  T *running_mean = ptr<T>(params.running_mean), *running_var = ptr<T>(params.running_var);
  std::vector<double> mean(running_mean, running_mean + channels), variance(running_var, running_var + channels);
  if (settings.training) {
    batch_moments<T>(x, mean, variance);
    const double keep = 1 - settings.momentum, unbias = static_cast<double>(rows) / (rows - 1);
    for (int64_t c = 0; c < channels; ++c) {
      running_mean[c] = static_cast<T>(keep * running_mean[c] + settings.momentum * mean[c]);
      running_var[c] = static_cast<T>(keep * running_var[c] + settings.momentum * variance[c] * unbias);
    }
    ++*params.batches.data_ptr<int64_t>();
  }
  for (int64_t c = 0; c < channels; ++c) {
    ptr<T>(saved)[c] = static_cast<T>(mean[c]);
    ptr<T>(saved)[channels + c] = static_cast<T>(1 / std::sqrt(variance[c] + settings.eps));
  }
  return {tape.keep(saved), params.weight, params.bias, settings.training, rows};
}

/// Sums for BatchNorm::slope from maps d and x [rows, C].
template <typename T>
Slope<T> batch_slope(const BatchNorm<T>& norm, const Tensor& d, const Tensor& x) {
  const int64_t rows = x.size(0), channels = x.size(1);
  Tensor sums = at::zeros({parts_of(rows), 2, channels}, x.options());
  for_parts(rows, [&](int64_t part, int64_t first, int64_t last) {
    T* to = ptr<T>(sums) + part * 2 * channels;
    kernels<T>().sums(last - first, channels, ptr<T>(d) + first * channels, channels, ptr<T>(x) + first * channels,
                      channels, norm.mean(), T(1), to, to + channels);
  });
  const Tensor all = total(sums);
  return norm.slope(ptr<T>(all), ptr<T>(all) + channels);
}

/// Group norm with one group: a mean and a deviation for each sample.
template <typename T>
struct GroupNorm {
  Tensor weight, bias, saved;  // saved [B, 2]: mean, 1 / standard deviation
  Grid grid;
  int64_t channels;

  T mean(int64_t sample) const { return ptr<T>(saved)[2 * sample]; }
  T inverse(int64_t sample) const { return ptr<T>(saved)[2 * sample + 1]; }

  /// Take the moments of a sample's map.
  void observe(int64_t sample, const T* x, double eps) {
    std::vector<T> means(channels), squares(channels);
    kernels<T>().moments(grid.pixels(), channels, x, channels, means.data(), squares.data());
    double sum = 0, square = 0;
    for (int64_t c = 0; c < channels; ++c) sum += means[c];
    const double middle = sum / channels;
    for (int64_t c = 0; c < channels; ++c)
      square += squares[c] + grid.pixels() * (means[c] - middle) * (means[c] - middle);
    ptr<T>(saved)[2 * sample] = static_cast<T>(middle);
    ptr<T>(saved)[2 * sample + 1] = static_cast<T>(1 / std::sqrt(square / (channels * grid.pixels()) + eps));
  }

  void apply(int64_t sample, const T* x, T* y) const {
    std::vector<T> scale(channels), shift(channels);
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = ptr<T>(weight)[c] * inverse(sample);
      shift[c] = ptr<T>(bias)[c] - mean(sample) * scale[c];
    }
    kernels<T>().affine(grid.pixels(), channels, x, channels, scale.data(), shift.data(), false, y, channels);
  }

  /// The whole map, normalised.
  Tensor apply(const Tensor& x) const {
    Tensor y = at::empty_like(x);
    for_samples(grid.batch, [&](int64_t b) {
      const int64_t at = b * grid.pixels() * channels;
      apply(b, ptr<T>(x) + at, ptr<T>(y) + at);
    });
    return y;
  }

  /// res + the gradient of x; dweight and dbias receive those of the parameters.
  Tensor backward(const Tensor& res, const Tensor& d, const Tensor& x, Tensor& dweight, Tensor& dbias) const {
    Tensor dx = at::empty_like(x), sums = at::zeros({parts_of(grid.batch), 2, channels}, x.options());
    const double count = static_cast<double>(channels) * grid.pixels();
    for_parts(grid.batch, [&](int64_t part, int64_t first, int64_t last) {
      std::vector<T> center(channels), own(2 * channels), a(channels), b(channels), c(channels);
      T* to = ptr<T>(sums) + part * 2 * channels;
      for (int64_t sample = first; sample < last; ++sample) {
        const int64_t at = sample * grid.pixels() * channels;
        const T middle = mean(sample), scale = inverse(sample);
        std::fill(center.begin(), center.end(), middle);
        std::fill(own.begin(), own.end(), T(0));
        kernels<T>().sums(grid.pixels(), channels, ptr<T>(d) + at, channels, ptr<T>(x) + at, channels, center.data(),
                          T(1), own.data(), own.data() + channels);
        double sum_d = 0, sum_dx = 0;
        for (int64_t i = 0; i < channels; ++i) {
          sum_d += ptr<T>(weight)[i] * own[i];
          sum_dx += ptr<T>(weight)[i] * own[channels + i] * scale;
          to[i] += own[channels + i] * scale;
          to[channels + i] += own[i];
        }
        const T slope = static_cast<T>(-scale * scale * sum_dx / count);
        for (int64_t i = 0; i < channels; ++i) {
          a[i] = ptr<T>(weight)[i] * scale;
          b[i] = slope;
          c[i] = static_cast<T>(-scale * sum_d / count - slope * middle);
        }
        kernels<T>().combine(grid.pixels(), channels, ptr<T>(res) + at, ptr<T>(d) + at, ptr<T>(x) + at, a.data(),
                             b.data(), c.data(), ptr<T>(dx) + at, channels);
      }
    });
    const Tensor all = total(sums);
    dweight = all[0].clone();
    dbias = all[1].clone();
    return dx;
  }
};

}  // namespace native
