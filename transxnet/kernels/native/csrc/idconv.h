// IDConv: kernels mixed from the bank by the pooled map, then a depthwise convolution of each sample with its own.
#pragma once

#include "params.h"

namespace native {

/// The projection that votes on the bank's kernels: shares [R, G * C] of pooled rows [R, C].
template <typename T>
struct Votes {
  Tensor pooled, squeezed, active, shares;
  BatchNorm<T> norm;
};

template <typename T>
Votes<T> read_votes(const Params& p, const Settings& settings, Tape& tape) {
  Tensor pooled = tape.read(), squeezed = tape.read(), saved = tape.read(), active = tape.read(), shares = tape.read();
  return {pooled, squeezed, active, shares,
          {saved, p[kSqueezeNormWeight], p[kSqueezeNormBias], settings.training, pooled.size(0)}};
}

/// The logits of the votes, which `mix` turns into shares in place.
template <typename T>
Tensor vote(const Tensor& pooled, const Params& p, const Settings& settings, Tape& tape) {
  tape.keep(pooled);
  const Tensor squeezed = tape.keep(product(pooled, matrix(p[kSqueezeWeight])));
  const BatchNorm<T> norm = batch_norm<T>(squeezed, p.norm(kSqueezeNormWeight, kSqueezeNorm), settings, tape);
  const Tensor active = tape.keep(at::empty_like(squeezed));
  kernels<T>().gelu(squeezed.size(0), squeezed.size(1), ptr<T>(squeezed), norm.scale.data(), norm.shift.data(),
                    ptr<T>(active));
  return tape.keep(product(active, matrix(p[kExpandWeight]), p[kExpandBias]));
}

/// The gradient of `pooled`; adds to the gradients of the projection.
template <typename T>
Tensor vote_backward(const Votes<T>& votes, const Tensor& dlogits, const Params& p, std::vector<Tensor>& grads) {
  const auto add = [&](int64_t index, const Tensor& gradient) {
    const Tensor shaped = gradient.view_as(p[index]);
    grads[index] = grads[index].defined() ? grads[index].add_(shaped) : shaped;
  };
  add(kExpandWeight, at::mm(dlogits.t(), votes.active));
  add(kExpandBias, dlogits.sum(0));
  Tensor d = at::mm(dlogits, matrix(p[kExpandWeight]));
  const auto& norm = votes.norm;
  kernels<T>().gelu_backward(d.size(0), d.size(1), ptr<T>(votes.squeezed), norm.scale.data(), norm.shift.data(),
                             ptr<T>(d), nullptr, nullptr, nullptr, nullptr, ptr<T>(d), nullptr);
  const Slope<T> slope = batch_slope<T>(norm, d, votes.squeezed);
  kernels<T>().combine(d.size(0), d.size(1), nullptr, ptr<T>(d), ptr<T>(votes.squeezed), slope.a.data(),
                       slope.b.data(), slope.c.data(), ptr<T>(d), d.size(1));
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
  const int64_t batch = l.grid.batch, pixels = l.grid.pixels(), area = l.idconv_kernel * l.idconv_kernel;
  const Window window{l.grid.height, l.grid.width, l.local, l.idconv_kernel};
  Tensor cells = at::empty({batch * area, l.local}, x.options()), mean = at::empty({batch, l.local}, x.options());
  for_samples(batch, [&](int64_t b) {
    k.pool(window, ptr<T>(x) + b * pixels * l.channels, l.channels, ptr<T>(cells) + b * area * l.local,
           ptr<T>(mean) + b * l.local);
  });
  // The order matters in training: the projection's batch norm sees the pooled map first, then the mean.
  const Tensor shares = vote<T>(cells, p, settings, tape), bias_shares = vote<T>(mean, p, settings, tape);
  const Tensor bank = bank_of(p), taps = tape.keep(at::empty({batch, area, l.local}, x.options()));
  Tensor biases = at::empty({batch, l.local}, x.options());
  for_samples(batch, [&](int64_t b) {
    for (int64_t tap = 0; tap < area; ++tap) {
      const int64_t row = b * area + tap;
      k.mix(l.groups, l.local, ptr<T>(shares) + row * l.groups * l.local, ptr<T>(bank) + tap * l.local, area * l.local,
            ptr<T>(taps) + row * l.local);
    }
    k.mix(l.groups, l.local, ptr<T>(bias_shares) + b * l.groups * l.local, ptr<T>(p[kBiasBank]), l.local,
          ptr<T>(biases) + b * l.local);
  });
  for_parts(batch, [&](int64_t, int64_t first, int64_t last) {
    std::vector<T> scratch(k.scratch_size(window)), packed(k.packed_size(window));
    for (int64_t b = first; b < last; ++b) {
      k.pack(window, {ptr<T>(taps) + b * area * l.local, 1, l.local}, false, packed.data());
      k.depthwise(window, ptr<T>(x) + b * pixels * l.channels, l.channels, nullptr, nullptr, packed.data(),
                  ptr<T>(biases) + b * l.local, false, ptr<T>(out) + b * pixels * l.channels, l.channels,
                  scratch.data());
    }
  });
}

/// dout and dx are maps [rows, channels] of which the first `local` channels are IDConv's; dx is written.
template <typename T>
void idconv_backward(const Layout& l, const Tensor& x, const Tensor& dout, const Params& p, const Settings& settings,
                     Tape& tape, Tensor& dx, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  const int64_t batch = l.grid.batch, pixels = l.grid.pixels(), area = l.idconv_kernel * l.idconv_kernel;
  const Window window{l.grid.height, l.grid.width, l.local, l.idconv_kernel};
  const Votes<T> votes = read_votes<T>(p, settings, tape), bias_votes = read_votes<T>(p, settings, tape);
  const Tensor taps = tape.read(), bank = bank_of(p);
  Tensor dtaps = at::zeros_like(taps), dbiases = at::zeros({batch, l.local}, x.options());
  for_parts(batch, [&](int64_t, int64_t first, int64_t last) {
    std::vector<T> scratch(k.scratch_size(window)), packed(k.packed_size(window));
    for (int64_t b = first; b < last; ++b) {
      const int64_t at = b * pixels * l.channels;
      k.pack(window, {ptr<T>(taps) + b * area * l.local, 1, l.local}, true, packed.data());
      k.depthwise_backward(window, ptr<T>(x) + at, l.channels, nullptr, nullptr, ptr<T>(dout) + at, l.channels,
                           packed.data(), false, ptr<T>(dx) + at, l.channels, ptr<T>(dtaps) + b * area * l.local,
                           ptr<T>(dbiases) + b * l.local, scratch.data());
    }
  });
  Tensor dbank = at::zeros_like(bank), dbias_bank = at::zeros_like(p[kBiasBank]);
  Tensor dlogits = at::empty_like(votes.shares), dbias_logits = at::empty_like(bias_votes.shares);
  const int64_t row_size = l.groups * l.local;
  at::parallel_for(0, area, 1, [&](int64_t begin, int64_t end) {  // by tap: each has its own place in the bank
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t tap = begin; tap < end; ++tap) {
        const int64_t row = b * area + tap;
        k.mix_backward(l.groups, l.local, ptr<T>(votes.shares) + row * row_size, ptr<T>(dtaps) + row * l.local,
                       ptr<T>(bank) + tap * l.local, area * l.local, ptr<T>(dlogits) + row * row_size,
                       ptr<T>(dbank) + tap * l.local);
      }
  });
  for (int64_t b = 0; b < batch; ++b)
    k.mix_backward(l.groups, l.local, ptr<T>(bias_votes.shares) + b * row_size, ptr<T>(dbiases) + b * l.local,
                   ptr<T>(p[kBiasBank]), l.local, ptr<T>(dbias_logits) + b * row_size, ptr<T>(dbias_bank));
  grads[kBank] = dbank.permute({0, 3, 1, 2});
  grads[kBiasBank] = dbias_bank;
  const Tensor dcells = vote_backward<T>(votes, dlogits, p, grads);
  const Tensor dmean = vote_backward<T>(bias_votes, dbias_logits, p, grads);
  for_samples(batch, [&](int64_t b) {
    k.pool_backward(window, ptr<T>(dcells) + b * area * l.local, ptr<T>(dmean) + b * l.local,
                    ptr<T>(dx) + b * pixels * l.channels, l.channels);
  });
}

}  // namespace native
