// OSRA: attention to a reduced map.
#pragma once

#include "layers.h"
#include "params.h"

namespace native {

/// Tensors that the reduction keeps on the tape.
constexpr int kReduceSaved = 7;
/// And OSRA itself.
constexpr int kOsraSaved = 4;

/// The reduced map, [B * m, Cg] with its size.
struct Reduced {
  Tensor map;
  int64_t ld;
  Grid grid;
};

inline Reduction reduction_of(const Layout& l) {
  const int64_t kernel = l.stride + l.overlap, padding = l.overlap ? kernel / 2 : 0;
  const auto places = [&](int64_t size) { return (size + l.stride - 1) / l.stride; };
  return {l.grid.height, l.grid.width, l.global(), kernel, l.stride, padding, places(l.grid.height), places(l.grid.width)};
}

inline Tensor taps_first(const Tensor& weight) { return matrix(weight).t().contiguous(); }  // [K*K, C]

template <typename T>
Reduced reduce_forward(const Layout& l, const T* far, const Tensor& like, const Params& p, const Settings& settings,
                       Tape& tape) {
  const auto& k = kernels<T>();
  const Reduction shape = reduction_of(l);
  const Grid grid{l.grid.batch, shape.out_height, shape.out_width};
  const int64_t channels = l.global();
  const Tensor taps = taps_first(p[kTail + kSpatial]);
  Tensor spatial = tape.keep(at::empty({grid.rows(), channels}, like.options()));
  for_samples(grid, [&](int64_t b) {
    k.reduce(shape, far + b * l.grid.pixels() * l.channels, l.channels, ptr<T>(taps),
             ptr<T>(spatial) + b * grid.pixels() * channels);
  });
  const auto norm1 = batch_norm<T>(spatial, p.norm(kTail + kSpatialNormWeight, kSpatialNorm), settings, tape);
  const Tensor active = tape.keep(at::empty_like(spatial)), slope = tape.keep(at::empty_like(spatial));
  k.gelu(grid.rows(), channels, ptr<T>(spatial), norm1.scale.data(), norm1.shift.data(), ptr<T>(active),
         ptr<T>(slope));
  const Tensor scaled = tape.keep(active * p[kTail + kPointwise].view({1, -1}));
  const auto norm2 = batch_norm<T>(scaled, p.norm(kTail + kPointNormWeight, kPointNorm), settings, tape);
  Tensor map = tape.keep(at::empty_like(scaled));
  k.affine(grid.rows(), channels, ptr<T>(scaled), channels, norm2.scale.data(), norm2.shift.data(), false, ptr<T>(map),
           channels);
  return {map, channels, grid};
}

/// Adds the gradient of the far share to dx; `d` is that of the reduced map.
template <typename T>
void reduce_backward(const Layout& l, const T* far, const Tensor& d, const Params& p, const Settings& settings,
                     const std::vector<Tensor>& saved, T* dx, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  const Reduction shape = reduction_of(l);
  const int64_t rows = d.size(0), channels = l.global(), pixels = shape.out_height * shape.out_width;
  const Tensor &spatial = saved[0], &active = saved[2], &slope = saved[3], &scaled = saved[4];
  const BatchNorm<T> norm1(saved[1], p[kTail + kSpatialNormWeight], p[kTail + kSpatialNormBias], settings.training, rows);
  const BatchNorm<T> norm2(saved[5], p[kTail + kPointNormWeight], p[kTail + kPointNormBias], settings.training, rows);
  const Slope<T> slope2 = batch_slope<T>(norm2, d, scaled);
  Tensor step = at::empty_like(d);
  k.combine(rows, channels, nullptr, ptr<T>(d), ptr<T>(scaled), slope2.a.data(), slope2.b.data(), slope2.c.data(),
            ptr<T>(step), channels);
  const Tensor weight = p[kTail + kPointwise];
  grads[kTail + kPointwise] = (step * active).sum(0).view_as(weight);
  step.mul_(weight.view({1, -1}));
  k.gelu_backward(rows, channels, ptr<T>(slope), ptr<T>(step), nullptr, nullptr, nullptr, nullptr, ptr<T>(step),
                  nullptr);
  const Slope<T> slope1 = batch_slope<T>(norm1, step, spatial);
  k.combine(rows, channels, nullptr, ptr<T>(step), ptr<T>(spatial), slope1.a.data(), slope1.b.data(), slope1.c.data(),
            ptr<T>(step), channels);
  const Tensor taps = taps_first(p[kTail + kSpatial]);
  Tensor dtaps = at::zeros({parts_of(l.grid), taps.size(0), channels}, d.options());
  for_parts(l.grid, [&](int64_t part, int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t at = b * l.grid.pixels() * l.channels;
      k.reduce_backward(shape, far + at, l.channels, ptr<T>(taps), ptr<T>(step) + b * pixels * channels, dx + at,
                        l.channels, ptr<T>(dtaps) + part * taps.numel());
    }
  });
  grads[kTail + kSpatial] = total(dtaps).t().contiguous().view_as(p[kTail + kSpatial]);
  grads[kTail + kSpatialNormWeight] = slope1.dweight;
  grads[kTail + kSpatialNormBias] = slope1.dbias;
  grads[kTail + kPointNormWeight] = slope2.dweight;
  grads[kTail + kPointNormBias] = slope2.dbias;
}

template <typename T>
Depthwise<T> local_layer(const Layout& l, const Grid& grid, const Params& p) {
  return {grid, {{0, l.global(), 3, p[kLocalWeight], p[kLocalBias]}}};
}

/// What the attention of each head sees; keys and values lie side by side in `kv`, [B * m, 2 Cg].
inline Heads heads_of(const Layout& l, const Grid& reduced) {
  const int64_t width = l.global() / l.heads;
  return {l.grid.pixels(), reduced.pixels(), width, l.global(), 2 * l.global(), l.channels,
          1 / std::sqrt(static_cast<double>(width))};
}

/// x and out are maps [rows, channels] of which the channels behind `local` are OSRA's.
template <typename T>
void osra_forward(const Layout& l, const Tensor& x, const Tensor& table, const Params& p, const Settings& settings,
                  Tape& tape, Tensor& out) {
  const auto& k = kernels<T>();
  const Tensor far = x.narrow(1, l.local, l.global());
  const Reduced reduced = l.stride > 1 ? reduce_forward<T>(l, ptr<T>(x) + l.local, x, p, settings, tape)
                                       : Reduced{far, l.channels, l.grid};
  const Tensor refined = tape.keep(at::empty({reduced.grid.rows(), l.global()}, x.options()));
  local_layer<T>(l, reduced.grid, p)
      .forward(ptr<T>(reduced.map), reduced.ld, nullptr, nullptr, true, ptr<T>(refined), l.global(),
               [](int64_t, int64_t) {});
  const Tensor q = tape.keep(product(far, matrix(p[kQWeight]), p[kQBias]));
  const Tensor kv = tape.keep(product(refined, matrix(p[kKvWeight]), p[kKvBias]));
  const Heads heads = heads_of(l, reduced.grid);
  const int64_t pixels = heads.queries, keys = heads.keys;
  const Tensor shares = tape.keep(at::empty({l.grid.batch, l.heads, pixels, keys}, x.options())), dense = table.contiguous();
  const T *from_q = ptr<T>(q), *from_kv = ptr<T>(kv), *bias = ptr<T>(dense);
  T *to_shares = ptr<T>(shares), *to = ptr<T>(out) + l.local;
  for_parts(l.grid, [&](int64_t, int64_t first, int64_t last) {
    std::vector<T> scratch(k.attention_scratch(heads));
    for (int64_t b = first; b < last; ++b)
      for (int64_t h = 0; h < l.heads; ++h) {
        const T *own = from_kv + b * keys * heads.ld_keys + h * heads.width, *values = own + l.global();
        k.attention(heads, from_q + b * pixels * l.global() + h * heads.width, own, values, bias + h * pixels * keys,
                    to_shares + (b * l.heads + h) * pixels * keys, to + b * pixels * l.channels + h * heads.width,
                    scratch.data());
      }
  });
}

/// dx's far share is written. Returns the gradient of the position table.
template <typename T>
Tensor osra_backward(const Layout& l, const Tensor& x, const Tensor& dout, const Params& p, const Settings& settings,
                     Tape& tape, Tensor& dx, std::vector<Tensor>& grads) {
  const auto& k = kernels<T>();
  std::vector<Tensor> saved;
  if (l.stride > 1)
    for (int i = 0; i < kReduceSaved; ++i) saved.push_back(tape.read());
  const Tensor refined = tape.read(), q = tape.read(), kv = tape.read(), shares = tape.read();
  const Tensor far = x.narrow(1, l.local, l.global());
  const Reduction shape = reduction_of(l);
  const Grid grid = l.stride > 1 ? Grid{l.grid.batch, shape.out_height, shape.out_width} : l.grid;
  const Heads heads = heads_of(l, grid);
  const int64_t pixels = heads.queries, keys = heads.keys;
  const Tensor dq = at::empty_like(q), dkv = at::zeros_like(kv);
  const Tensor dtables = at::zeros({parts_of(l.grid), 1, l.heads, pixels, keys}, x.options());
  const T *from_q = ptr<T>(q), *from_kv = ptr<T>(kv), *from_shares = ptr<T>(shares), *slope = ptr<T>(dout) + l.local;
  T *to_q = ptr<T>(dq), *to_kv = ptr<T>(dkv), *to_table = ptr<T>(dtables);
  for_parts(l.grid, [&](int64_t part, int64_t first, int64_t last) {
    std::vector<T> scratch(k.attention_scratch(heads));
    for (int64_t b = first; b < last; ++b)
      for (int64_t h = 0; h < l.heads; ++h) {
        const int64_t query = b * pixels * l.global() + h * heads.width, key = b * keys * heads.ld_keys + h * heads.width;
        k.attention_backward(heads, from_q + query, from_kv + key, from_kv + key + l.global(),
                             from_shares + (b * l.heads + h) * pixels * keys,
                             slope + b * pixels * l.channels + h * heads.width, to_q + query, to_kv + key,
                             to_kv + key + l.global(), to_table + (part * l.heads + h) * pixels * keys, scratch.data());
      }
  });

  grads[kQWeight] = at::mm(dq.t(), far).view_as(p[kQWeight]);
  grads[kQBias] = dq.sum(0);
  grads[kKvWeight] = at::mm(dkv.t(), refined).view_as(p[kKvWeight]);
  grads[kKvBias] = dkv.sum(0);
  Tensor dfar = dx.narrow(1, l.local, l.global());
  dfar.copy_(product(dq, matrix(p[kQWeight]).t()));
  const Tensor drefined = product(dkv, matrix(p[kKvWeight]).t());

  const T* map = l.stride > 1 ? ptr<T>(saved.back()) : ptr<T>(x) + l.local;
  const int64_t ld = l.stride > 1 ? l.global() : l.channels;
  const Tensor dmap = at::empty({grid.rows(), l.global()}, x.options());
  const auto local = local_layer<T>(l, grid, p).backward(map, ld, nullptr, nullptr, ptr<T>(drefined), l.global(), true,
                                                         ptr<T>(dmap), l.global(), [](int64_t, int64_t, int64_t) {});
  grads[kLocalWeight] = local[0];
  grads[kLocalBias] = local[1];
  if (l.stride > 1)
    reduce_backward<T>(l, ptr<T>(x) + l.local, dmap, p, settings, saved, ptr<T>(dx) + l.local, grads);
  else
    dfar.add_(dmap);
  return total(dtables);
}

}  // namespace native
