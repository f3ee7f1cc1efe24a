// Batch norm and group norm as coefficients by channel: y = x * scale + shift forward, dx = a dy + b x + c backward.
#pragma once

#include <cmath>
#include <numeric>

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
    const T *w = ptr<T>(weight), *b = ptr<T>(bias), *middle = mean(), *inv = inverse();
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] = w[c] * inv[c];
      shift[c] = b[c] - middle[c] * scale[c];
    }
  }

  /// From the sums over all rows of dy and of dy * (x - mean).
  Slope<T> slope(const T* sum_d, const T* sum_dx) const {
    const size_t channels = scale.size();
    Slope<T> s{std::vector<T>(channels), std::vector<T>(channels), std::vector<T>(channels),
               at::empty_like(weight), at::empty_like(weight)};
    const T *middle = mean(), *inv = inverse(), share = training ? T(1) / static_cast<T>(rows) : T(0);
    T *dweight = ptr<T>(s.dweight), *dbias = ptr<T>(s.dbias);
    for (size_t c = 0; c < channels; ++c) {
      dweight[c] = sum_dx[c] * inv[c];
      dbias[c] = sum_d[c];
      s.a[c] = scale[c];
      s.b[c] = -scale[c] * inv[c] * dweight[c] * share;
      s.c[c] = -scale[c] * sum_d[c] * share - s.b[c] * middle[c];
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

/// The same where row i counts times[i % times.size()] times.
template <typename T>
void weighted_moments(const Tensor& x, const std::vector<int64_t>& times, std::vector<double>& mean,
                      std::vector<double>& variance) {
  const int64_t rows = x.size(0), channels = x.size(1), period = times.size();
  const T* from = ptr<T>(x);
  double count = 0;
  mean.assign(channels, 0);
  variance.assign(channels, 0);
  for (int64_t i = 0; i < rows; ++i, from += channels) {  // Welford's update
    const double weight = times[i % period];
    count += weight;
    for (int64_t c = 0; c < channels; ++c) {
      const double distance = from[c] - mean[c];
      mean[c] += distance * weight / count;
      variance[c] += weight * distance * (from[c] - mean[c]);
    }
  }
  for (double& value : variance) value /= count;
}

/// Normalise x [rows, C] by its own moments in training, which move the running ones, otherwise by the running ones.
/// Row i stands for times[i % times.size()] equal rows.
template <typename T>
BatchNorm<T> batch_norm(const Tensor& x, const NormParams& params, const Settings& settings, Tape& tape,
                        const std::vector<int64_t>& times = {1}) {
  const int64_t period = times.size(), all = std::accumulate(times.begin(), times.end(), int64_t{0});
  const int64_t rows = x.size(0) / period * all, channels = x.size(1);
  Tensor saved = at::empty({2, channels}, x.options());
  T *running_mean = ptr<T>(params.running_mean), *running_var = ptr<T>(params.running_var);
  std::vector<double> mean(running_mean, running_mean + channels), variance(running_var, running_var + channels);
  if (settings.training) {
    if (all == period)
      batch_moments<T>(x, mean, variance);
    else
      weighted_moments<T>(x, times, mean, variance);
    const double keep = 1 - settings.momentum, unbias = static_cast<double>(rows) / (rows - 1);
    for (int64_t c = 0; c < channels; ++c) {
      running_mean[c] = static_cast<T>(keep * running_mean[c] + settings.momentum * mean[c]);
      running_var[c] = static_cast<T>(keep * running_var[c] + settings.momentum * variance[c] * unbias);
    }
    ++*params.batches.data_ptr<int64_t>();
  }
  T* to = ptr<T>(saved);
  for (int64_t c = 0; c < channels; ++c) {
    to[c] = static_cast<T>(mean[c]);
    to[channels + c] = static_cast<T>(1 / std::sqrt(variance[c] + settings.eps));
  }
  return {tape.keep(saved), params.weight, params.bias, settings.training, rows};
}

/// Sums for BatchNorm::slope from maps d and x [rows, C].
template <typename T>
Slope<T> batch_slope(const BatchNorm<T>& norm, const Tensor& d, const Tensor& x) {
  const Grid grid{x.size(0), 1, 1};
  const int64_t channels = x.size(1);
  Tensor sums = at::zeros({parts_of(grid), 2, channels}, x.options());
  for_parts(grid, [&](int64_t part, int64_t first, int64_t last) {
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
    const T *w = ptr<T>(weight), *b = ptr<T>(bias), middle = mean(sample), inv = inverse(sample);
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = w[c] * inv;
      shift[c] = b[c] - middle * scale[c];
    }
    kernels<T>().affine(grid.pixels(), channels, x, channels, scale.data(), shift.data(), false, y, channels);
  }

  /// The whole map, normalised.
  Tensor apply(const Tensor& x) const {
    Tensor y = at::empty_like(x);
    for_samples(grid, [&](int64_t b) {
      const int64_t at = b * grid.pixels() * channels;
      apply(b, ptr<T>(x) + at, ptr<T>(y) + at);
    });
    return y;
  }

  /// res + the gradient of x; dweight and dbias receive those of the parameters.
  Tensor backward(const Tensor& res, const Tensor& d, const Tensor& x, Tensor& dweight, Tensor& dbias) const {
    Tensor dx = at::empty_like(x), sums = at::zeros({parts_of(grid), 2, channels}, x.options());
    const double count = static_cast<double>(channels) * grid.pixels();
    for_parts(grid, [&](int64_t part, int64_t first, int64_t last) {
      std::vector<T> center(channels), own(2 * channels), a(channels), b(channels), c(channels);
      T* to = ptr<T>(sums) + part * 2 * channels;
      const T* w = ptr<T>(weight);
      for (int64_t sample = first; sample < last; ++sample) {
        const int64_t at = sample * grid.pixels() * channels;
        const T middle = mean(sample), scale = inverse(sample);
        std::fill(center.begin(), center.end(), middle);
        std::fill(own.begin(), own.end(), T(0));
        kernels<T>().sums(grid.pixels(), channels, ptr<T>(d) + at, channels, ptr<T>(x) + at, channels, center.data(),
                          T(1), own.data(), own.data() + channels);
        double sum_d = 0, sum_dx = 0;
        for (int64_t i = 0; i < channels; ++i) {
          sum_d += w[i] * own[i];
          sum_dx += w[i] * own[channels + i] * scale;
          to[i] += own[channels + i] * scale;
          to[channels + i] += own[i];
        }
        const T slope = static_cast<T>(-scale * scale * sum_dx / count);
        for (int64_t i = 0; i < channels; ++i) {
          a[i] = w[i] * scale;
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
