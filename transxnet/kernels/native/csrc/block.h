// A whole block, forward and backward, as one call each: what Python's autograd sees is a single function.
//
// The graph is that of transxnet/block.py on maps [batch * height * width, C]. Two things are rearranged, neither changes
// the function: a batch norm in front of a 1x1 convolution is folded into its weight, and the last norm of a branch, its
// layer scale and its drop path become one multiply-add on the residual.
#pragma once

#include "ffn.h"
#include "idconv.h"
#include "osra.h"
#include "ste.h"

namespace native {

/// What drop path multiplies each sample of the two branches with, [B]; undefined where nothing is dropped.
struct Drops {
  Tensor mixer, ffn;
};

template <typename T>
T factor_of(const Tensor& drop, int64_t sample) {
  return drop.defined() ? ptr<T>(drop)[sample] : T(1);
}

template <typename T>
Depthwise<T> dpe_layer(const Layout& l, const Params& p) {
  return {l.grid, {{0, l.channels, p[kDpeWeight].size(-1), p[kDpeWeight], p[kDpeBias]}}};
}

/// x + drop * (weight * (self + bn(branch)) + bias), where self may be undefined.
template <typename T>
Tensor add_branch(const Layout& l, const Tensor& x, const Tensor& self, const Tensor& branch, const BatchNorm<T>& norm,
                  const Tensor& weight, const Tensor& bias, const Tensor& drop) {
  Tensor out = at::empty_like(x);
  for_parts(l.grid, [&](int64_t, int64_t first, int64_t last) {
    std::vector<T> a(l.channels), b(l.channels), c(l.channels);
    const T *w = ptr<T>(weight), *offset = ptr<T>(bias), of_self = self.defined() ? T(1) : T(0);
    for (int64_t sample = first; sample < last; ++sample) {
      const T factor = factor_of<T>(drop, sample);
      for (int64_t i = 0; i < l.channels; ++i) {
        const T scale = factor * w[i];
        a[i] = of_self * scale;
        b[i] = scale * norm.scale[i];
        c[i] = scale * norm.shift[i] + factor * offset[i];
      }
      const int64_t at = sample * l.grid.pixels() * l.channels;
      kernels<T>().combine(l.grid.pixels(), l.channels, ptr<T>(x) + at, ptr<T>(self.defined() ? self : branch) + at,
                           ptr<T>(branch) + at, a.data(), b.data(), c.data(), ptr<T>(out) + at, l.channels);
    }
  });
  return out;
}

/// Gradients of add_branch: of the branch and its column sums, of the norm and of the layer scale. `self`, if defined,
/// adds to the gradient of the scale; its own gradient is left to the caller.
template <typename T>
struct BranchGradient {
  Tensor d, sum_d, dnorm_weight, dnorm_bias, dweight, dbias;
};

template <typename T>
BranchGradient<T> branch_backward(const Layout& l, const Tensor& dout, const Tensor& self, const Tensor& branch,
                                  const BatchNorm<T>& norm, const Tensor& norm_bias, const Tensor& weight,
                                  const Tensor& drop) {
  const auto& k = kernels<T>();
  const int64_t channels = l.channels, stretch = l.grid.pixels() * channels;
  Tensor sums = at::zeros({parts_of(l.grid), 4, channels}, dout.options());
  const std::vector<T> origin(channels, 0);
  for_parts(l.grid, [&](int64_t part, int64_t first, int64_t last) {
    T* to = ptr<T>(sums) + part * 4 * channels;
    for (int64_t b = first; b < last; ++b) {
      const T factor = factor_of<T>(drop, b);
      k.sums(l.grid.pixels(), channels, ptr<T>(dout) + b * stretch, channels, ptr<T>(branch) + b * stretch, channels,
             norm.mean(), factor, to, to + channels);
      if (self.defined())
        k.sums(l.grid.pixels(), channels, ptr<T>(dout) + b * stretch, channels, ptr<T>(self) + b * stretch, channels,
               origin.data(), factor, to + 2 * channels, to + 3 * channels);
    }
  });
  const Tensor all = total(sums);
  const T *sum_d = ptr<T>(all), *sum_dx = sum_d + channels, *sum_self = sum_d + 3 * channels;
  BranchGradient<T> g{at::empty_like(branch), at::empty({channels}, dout.options()), {}, {},
                      at::empty({channels}, dout.options()), at::empty({channels}, dout.options())};
  std::vector<T> scaled(channels), scaled_x(channels);
  const T *w = ptr<T>(weight), *offset = ptr<T>(norm_bias);
  T *dweight = ptr<T>(g.dweight), *dbias = ptr<T>(g.dbias), *columns = ptr<T>(g.sum_d);
  for (int64_t i = 0; i < channels; ++i) {
    dbias[i] = sum_d[i];
    dweight[i] = norm.scale[i] * sum_dx[i] + offset[i] * sum_d[i] + sum_self[i];
    scaled[i] = w[i] * sum_d[i];
    scaled_x[i] = w[i] * sum_dx[i];
  }
  const Slope<T> slope = norm.slope(scaled.data(), scaled_x.data());
  g.dnorm_weight = slope.dweight;
  g.dnorm_bias = slope.dbias;
  // Behind a norm by a batch's own moments a gradient sums to zero over the batch.
  for (int64_t i = 0; i < channels; ++i) columns[i] = norm.training ? T(0) : slope.a[i] * scaled[i];
  for_parts(l.grid, [&](int64_t, int64_t first, int64_t last) {
    std::vector<T> a(channels);
    for (int64_t b = first; b < last; ++b) {
      const T factor = factor_of<T>(drop, b);
      for (int64_t i = 0; i < channels; ++i) a[i] = slope.a[i] * factor * w[i];
      k.combine(l.grid.pixels(), channels, nullptr, ptr<T>(dout) + b * stretch, ptr<T>(branch) + b * stretch, a.data(),
                slope.b.data(), slope.c.data(), ptr<T>(g.d) + b * stretch, channels);
    }
  });
  return g;
}

template <typename T>
std::vector<Tensor> forward(const Tensor& map, const Tensor& table, const Params& p, const Layout& l,
                            const Settings& settings, const Drops& drops) {
  Tape tape;
  const Tensor x = tape.keep(rows_of(map)), embedded = tape.keep(at::empty_like(x)), normal = at::empty_like(x);
  GroupNorm<T> norm1{p[kNorm1Weight], p[kNorm1Bias], tape.keep(at::empty({l.grid.batch, 2}, x.options())), l.grid,
                     l.channels};
  const Depthwise<T> dpe = dpe_layer<T>(l, p);
  T *to = ptr<T>(embedded), *to_normal = ptr<T>(normal);
  dpe.forward(ptr<T>(x), l.channels, nullptr, nullptr, true, to, l.channels, [&](int64_t row, int64_t rows) {
    for (int64_t b = row / l.grid.pixels(); b < (row + rows) / l.grid.pixels(); ++b) {
      const int64_t at = b * l.grid.pixels() * l.channels;
      norm1.observe(b, to + at, settings.eps);
      norm1.apply(b, to + at, to_normal + at);
    }
  });
  Tensor mixed = tape.keep(at::empty_like(x));
  idconv_forward<T>(l, normal, p, settings, tape, mixed);
  osra_forward<T>(l, normal, table, p, settings, tape, mixed);
  const auto [enhanced, ste_norm] = ste_forward<T>(l, mixed, p, settings, tape);
  const Tensor middle = tape.keep(add_branch<T>(l, embedded, mixed, enhanced, ste_norm, p[kScale1Weight], p[kScale1Bias], drops.mixer));

  GroupNorm<T> norm2{p[kNorm2Weight], p[kNorm2Bias], tape.keep(at::empty({l.grid.batch, 2}, x.options())), l.grid,
                     l.channels};
  for_samples(l.grid, [&](int64_t b) {
    const int64_t at = b * l.grid.pixels() * l.channels;
    norm2.observe(b, ptr<T>(middle) + at, settings.eps);
    norm2.apply(b, ptr<T>(middle) + at, ptr<T>(normal) + at);
  });
  const auto [narrow, ffn_norm] = ffn_forward<T>(l, normal, p, settings, tape);
  const Tensor out = add_branch<T>(l, middle, {}, narrow, ffn_norm, p[kScale2Weight], p[kScale2Bias], drops.ffn);
  std::vector<Tensor> result{map_of(out, l.grid)};
  result.insert(result.end(), tape.tensors.begin(), tape.tensors.end());
  return result;
}

template <typename T>
std::vector<Tensor> backward(const Tensor& grad, const std::vector<Tensor>& saved, const Params& p, const Layout& l,
                             const Settings& settings, const Drops& drops) {
  Tape tape{saved};
  const Tensor dout = rows_of(grad), x = tape.read(), embedded = tape.read(), moments1 = tape.read(), mixed = tape.read();
  const GroupNorm<T> norm1{p[kNorm1Weight], p[kNorm1Bias], moments1, l.grid, l.channels};
  Tape mixer = tape;  // read behind the branch that comes after it
  tape.next += kIdconvSaved + (l.stride > 1 ? kReduceSaved : 0) + kOsraSaved;
  const SteSaved<T> ste = read_ste<T>(l, p, settings, tape);
  const Tensor middle = tape.read(), moments2 = tape.read();
  const GroupNorm<T> norm2{p[kNorm2Weight], p[kNorm2Bias], moments2, l.grid, l.channels};
  const FfnSaved<T> ffn = read_ffn<T>(l, p, settings, tape);
  std::vector<Tensor> grads(p.list.size());
  const auto keep = [&](const BranchGradient<T>& g, Index scale, Index norm) {
    grads[scale] = g.dweight.view_as(p[scale]);
    grads[scale + 1] = g.dbias;
    grads[norm] = g.dnorm_weight;
    grads[norm + 1] = g.dnorm_bias;
  };

  const auto second = branch_backward<T>(l, dout, {}, ffn.narrow, ffn.norm3, p[kFfnNorm3Bias], p[kScale2Weight], drops.ffn);
  keep(second, kScale2Weight, kFfnNorm3Weight);
  const Tensor dnormal2 = ffn_backward<T>(l, norm2.apply(middle), second.d, second.sum_d, ffn, p, grads);
  const Tensor dmiddle = norm2.backward(dout, dnormal2, middle, grads[kNorm2Weight], grads[kNorm2Bias]);

  const auto first =
      branch_backward<T>(l, dmiddle, mixed, ste.expanded, ste.norm3, p[kSteNorm3Bias], p[kScale1Weight], drops.mixer);
  keep(first, kScale1Weight, kSteNorm3Weight);
  const Tensor dmixed = ste_backward<T>(l, mixed, first.d, first.sum_d, ste, p, grads);
  const std::vector<T> nothing(l.channels, 0);
  for_parts(l.grid, [&](int64_t, int64_t begin, int64_t end) {
    std::vector<T> scale(l.channels);
    const T* weight = ptr<T>(p[kScale1Weight]);
    for (int64_t b = begin; b < end; ++b) {
      const T factor = factor_of<T>(drops.mixer, b);
      for (int64_t i = 0; i < l.channels; ++i) scale[i] = factor * weight[i];
      const int64_t at = b * l.grid.pixels() * l.channels;
      kernels<T>().affine(l.grid.pixels(), l.channels, ptr<T>(dmiddle) + at, l.channels, scale.data(), nothing.data(),
                          true, ptr<T>(dmixed) + at, l.channels);
    }
  });
  const Tensor normal1 = norm1.apply(embedded);
  Tensor dnormal1 = at::empty_like(normal1);
  idconv_backward<T>(l, normal1, dmixed, p, settings, mixer, dnormal1, grads);
  const Tensor dtable = osra_backward<T>(l, normal1, dmixed, p, settings, mixer, dnormal1, grads);
  const Tensor dembedded = norm1.backward(dmiddle, dnormal1, embedded, grads[kNorm1Weight], grads[kNorm1Bias]);
  const Tensor dx = at::empty_like(x);
  const auto dpe = dpe_layer<T>(l, p).backward(ptr<T>(x), l.channels, nullptr, nullptr, ptr<T>(dembedded), l.channels,
                                               true, ptr<T>(dx), l.channels, [](int64_t, int64_t, int64_t) {});
  grads[kDpeWeight] = dpe[0];
  grads[kDpeBias] = dpe[1];
  grads.insert(grads.begin(), {map_of(dx, l.grid), dtable});
  return grads;
}

}  // namespace native
