// IDConv: kernels mixed from the bank by the pooled map, then a depthwise convolution of each sample with its own.
//
// A map smaller than the kernel is pooled to K x K cells of which many are the same, and most taps meet only padding.
// The projection runs on the different cells alone, each with the number of times that it stands in the K x K (which
// its batch norm must know), and kernels are mixed for the taps that can meet the map.
#pragma once

#include "params.h"

namespace native {

/// The different cells in one direction of adaptive pooling of `size` pixels to `count` cells.
struct Axis {
  std::vector<Span> spans;
  std::vector<int64_t> times, cell_of;  // how often a span stands there; which span a tap's cell is

  Axis(int64_t count, int64_t size) {
    for (int64_t i = 0; i < count; ++i) {
      const Span span{i * size / count, ((i + 1) * size + count - 1) / count};
      if (spans.empty() || spans.back().first != span.first || spans.back().last != span.last) {
        spans.push_back(span);
        times.push_back(0);
      }
      ++times.back();
      cell_of.push_back(spans.size() - 1);
    }
  }
};

/// Which cells there are, and which taps they vote on.
struct Plan {
  Axis rows, columns;
  std::vector<int64_t> times, place, cell;

  explicit Plan(const Layout& l) : rows(l.idconv_kernel, l.grid.height), columns(l.idconv_kernel, l.grid.width) {
    for (int64_t y : rows.times)
      for (int64_t x : columns.times) times.push_back(y * x);
    const int64_t k = l.idconv_kernel, high = std::min(k / 2, l.grid.height - 1), wide = std::min(k / 2, l.grid.width - 1);
    for (int64_t y = k / 2 - high; y <= k / 2 + high; ++y)
      for (int64_t x = k / 2 - wide; x <= k / 2 + wide; ++x) {
        place.push_back(y * k + x);
        cell.push_back(rows.cell_of[y] * columns.spans.size() + columns.cell_of[x]);
      }
  }

  int64_t count() const { return times.size(); }
  Cells cells() const {
    return {rows.spans.data(), columns.spans.data(), static_cast<int64_t>(rows.spans.size()),
            static_cast<int64_t>(columns.spans.size())};
  }
  TapList taps() const { return {static_cast<int64_t>(place.size()), place.data(), cell.data()}; }
};

/// Tensors that IDConv keeps on the tape: six for each projection, and the kernels.
constexpr int kIdconvSaved = 13;

constexpr int64_t kFirst = 0;
constexpr TapList kOnlyTap{1, &kFirst, &kFirst};  // of the bias: one cell, the mean

/// The projection that votes on the bank's kernels: shares [R, G * C] of pooled rows [R, C].
template <typename T>
struct Votes {
  Tensor pooled, squeezed, active, slope, shares;
  BatchNorm<T> norm;
};

template <typename T>
Votes<T> read_votes(const Params& p, const Settings& settings, int64_t rows, Tape& tape) {
  Tensor pooled = tape.read(), squeezed = tape.read(), saved = tape.read(), active = tape.read();
  Tensor slope = tape.read(), shares = tape.read();
  return {pooled, squeezed, active, slope, shares,
          {saved, p[kSqueezeNormWeight], p[kSqueezeNormBias], settings.training, rows}};
}

/// The shares that pooled rows vote for; `times` tells how often each row of a sample counts.
template <typename T>
Tensor vote(const Layout& l, const Tensor& pooled, const std::vector<int64_t>& times, const Params& p,
            const Settings& settings, Tape& tape) {
  tape.keep(pooled);
  const Tensor squeezed = tape.keep(product(pooled, matrix(p[kSqueezeWeight])));
  const BatchNorm<T> norm = batch_norm<T>(squeezed, p.norm(kSqueezeNormWeight, kSqueezeNorm), settings, tape, times);
  const Tensor active = tape.keep(at::empty_like(squeezed)), slope = tape.keep(at::empty_like(squeezed));
  kernels<T>().gelu(squeezed.size(0), squeezed.size(1), ptr<T>(squeezed), norm.scale.data(), norm.shift.data(),
                    ptr<T>(active), ptr<T>(slope));
  const Tensor shares = tape.keep(product(active, matrix(p[kExpandWeight]), p[kExpandBias]));
  kernels<T>().softmax(shares.size(0), l.groups, l.local, ptr<T>(shares));
  return shares;
}

/// The gradient of `pooled`, from that of the shares; adds to the gradients of the projection.
template <typename T>
Tensor vote_backward(const Layout& l, const Votes<T>& votes, const std::vector<int64_t>& times, const Tensor& dshares,
                     const Params& p, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  const auto add = [&](int64_t index, const Tensor& gradient) {
    const Tensor shaped = gradient.view_as(p[index]);
    grads[index] = grads[index].defined() ? grads[index].add_(shaped) : shaped;
  };
  k.softmax_backward(dshares.size(0), l.groups, l.local, ptr<T>(votes.shares), ptr<T>(dshares));
  add(kExpandWeight, at::mm(dshares.t(), votes.active));
  add(kExpandBias, dshares.sum(0));
  const Tensor d = at::mm(dshares, matrix(p[kExpandWeight]));
  const auto& norm = votes.norm;
  const int64_t rows = d.size(0), channels = d.size(1);
  k.gelu_backward(rows, channels, ptr<T>(votes.slope), ptr<T>(d), nullptr, nullptr, nullptr, nullptr, ptr<T>(d),
                  nullptr);
  const Slope<T> slope = batch_slope<T>(norm, d, votes.squeezed);
  T* to = ptr<T>(d);
  const T* x = ptr<T>(votes.squeezed);
  for (int64_t row = 0; row < rows; ++row) {
    const T count = static_cast<T>(times[row % times.size()]);
    for (int64_t i = 0; i < channels; ++i, ++to, ++x) *to = slope.a[i] * *to + count * (slope.b[i] * *x + slope.c[i]);
  }
  add(kSqueezeNormWeight, slope.dweight);
  add(kSqueezeNormBias, slope.dbias);
  add(kSqueezeWeight, at::mm(d.t(), votes.pooled));
  return at::mm(d, matrix(p[kSqueezeWeight]));
}

/// The bank with the channels of a tap side by side, [G, K, K, C].
inline Tensor bank_of(const Params& p) { return p[kBank].permute({0, 2, 3, 1}).contiguous(); }

template <typename T>
void idconv_forward(const Layout& l, const Tensor& x, const Params& p, const Settings& settings, Tape& tape,
                    Tensor& out) {
  const auto& k = kernels<T>();
  const Plan plan(l);
  const int64_t batch = l.grid.batch, stretch = l.grid.pixels() * l.channels, area = l.idconv_kernel * l.idconv_kernel;
  const int64_t cells = plan.count(), group_size = l.groups * l.local;
  const Window window{l.grid.height, l.grid.width, l.local, l.idconv_kernel};
  Tensor pooled = at::empty({batch * cells, l.local}, x.options()), mean = at::empty({batch, l.local}, x.options());
  const T* from = ptr<T>(x);
  T *to_cells = ptr<T>(pooled), *to_mean = ptr<T>(mean), *to = ptr<T>(out);
  for_samples(l.grid, [&](int64_t b) {
    k.pool(window, plan.cells(), from + b * stretch, l.channels, to_cells + b * cells * l.local, to_mean + b * l.local);
  });
  // The order matters in training: the projection's batch norm sees the pooled map first, then the mean.
  const Tensor shares = vote<T>(l, pooled, plan.times, p, settings, tape);
  const Tensor bias_shares = vote<T>(l, mean, {1}, p, settings, tape);
  const Tensor bank = bank_of(p), taps = tape.keep(at::empty({batch, area, l.local}, x.options()));
  const T *learned = ptr<T>(bank), *learned_bias = ptr<T>(p[kBiasBank]), *share = ptr<T>(shares);
  const T* bias_share = ptr<T>(bias_shares);
  T* mixed = ptr<T>(taps);
  for_parts(l.grid, [&](int64_t, int64_t first, int64_t last) {
    std::vector<T> scratch(k.scratch_size(window)), packed(k.packed_size(window)), bias(l.local);
    for (int64_t b = first; b < last; ++b) {
      T* own = mixed + b * area * l.local;
      k.mix(plan.taps(), l.groups, l.local, share + b * cells * group_size, learned, area * l.local, own);
      k.mix(kOnlyTap, l.groups, l.local, bias_share + b * group_size, learned_bias, l.local, bias.data());
      k.pack(window, {own, 1, l.local}, false, packed.data());
      k.depthwise(window, from + b * stretch, l.channels, nullptr, nullptr, packed.data(), bias.data(), false,
                  to + b * stretch, l.channels, scratch.data());
    }
  });
}

/// dout and dx are maps [rows, channels] of which the first `local` channels are IDConv's; dx is written.
template <typename T>
void idconv_backward(const Layout& l, const Tensor& x, const Tensor& dout, const Params& p, const Settings& settings,
                     Tape& tape, Tensor& dx, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  const Plan plan(l);
  const int64_t batch = l.grid.batch, stretch = l.grid.pixels() * l.channels, area = l.idconv_kernel * l.idconv_kernel;
  const int64_t cells = plan.count(), group_size = l.groups * l.local, parts = parts_of(l.grid);
  const Window window{l.grid.height, l.grid.width, l.local, l.idconv_kernel};
  const Votes<T> votes = read_votes<T>(p, settings, batch * area, tape);
  const Votes<T> bias_votes = read_votes<T>(p, settings, batch, tape);
  const Tensor taps = tape.read(), bank = bank_of(p);
  Tensor dbank = at::zeros({parts, l.groups, l.idconv_kernel, l.idconv_kernel, l.local}, x.options());
  Tensor dbias_bank = at::zeros({parts, l.groups, l.local}, x.options());
  Tensor dshares = at::zeros_like(votes.shares), dbias_shares = at::zeros_like(bias_votes.shares);
  const T *from = ptr<T>(x), *slope = ptr<T>(dout), *mixed = ptr<T>(taps), *learned = ptr<T>(bank);
  const T *learned_bias = ptr<T>(p[kBiasBank]), *share = ptr<T>(votes.shares), *bias_share = ptr<T>(bias_votes.shares);
  T *to = ptr<T>(dx), *to_bank = ptr<T>(dbank), *to_bias = ptr<T>(dbias_bank);
  T *to_shares = ptr<T>(dshares), *to_bias_shares = ptr<T>(dbias_shares);
  for_parts(l.grid, [&](int64_t part, int64_t first, int64_t last) {
    std::vector<T> scratch(k.scratch_size(window)), packed(k.packed_size(window)), dtaps(area * l.local), dbias(l.local);
    for (int64_t b = first; b < last; ++b) {
      std::fill(dtaps.begin(), dtaps.end(), T(0));
      std::fill(dbias.begin(), dbias.end(), T(0));
      k.pack(window, {mixed + b * area * l.local, 1, l.local}, true, packed.data());
      k.depthwise_backward(window, from + b * stretch, l.channels, nullptr, nullptr, slope + b * stretch, l.channels,
                           packed.data(), false, to + b * stretch, l.channels, dtaps.data(), dbias.data(),
                           scratch.data());
      k.mix_backward(plan.taps(), l.groups, l.local, share + b * cells * group_size, dtaps.data(), learned,
                     area * l.local, to_shares + b * cells * group_size, to_bank + part * area * group_size);
      k.mix_backward(kOnlyTap, l.groups, l.local, bias_share + b * group_size, dbias.data(), learned_bias, l.local,
                     to_bias_shares + b * group_size, to_bias + part * group_size);
    }
  });
  grads[kBank] = total(dbank).permute({0, 3, 1, 2});
  grads[kBiasBank] = total(dbias_bank);
  const Tensor dpooled = vote_backward<T>(l, votes, plan.times, dshares, p, grads);
  const Tensor dmean = vote_backward<T>(l, bias_votes, {1}, dbias_shares, p, grads);
  const T *from_cells = ptr<T>(dpooled), *from_mean = ptr<T>(dmean);
  for_samples(l.grid, [&](int64_t b) {
    k.pool_backward(window, plan.cells(), from_cells + b * cells * l.local, from_mean + b * l.local, to + b * stretch,
                    l.channels);
  });
}

}  // namespace native
