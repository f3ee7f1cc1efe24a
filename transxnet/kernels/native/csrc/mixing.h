// What makes IDConv's kernels: the pooled map, and the softmax over attention groups that mixes the learned bank.
#pragma once

#include "gelu.h"
#include "kernels.h"
#include "simd.h"

namespace ISA {

using native::Window;

/// The pixels of a cell of adaptive pooling: from `first` up to `last` - 1.
struct Span {
  int64_t first, last;
};
inline Span cell_span(int64_t cell, int64_t cells, int64_t size) {
  return {cell * size / cells, ((cell + 1) * size + cells - 1) / cells};
}

template <typename T>
void pool(Window w, const T* x, int64_t ldx, T* cells, T* mean) {
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    for (int64_t i = 0; i < w.kernel; ++i)
      for (int64_t j = 0; j < w.kernel; ++j) {
        const Span rows = cell_span(i, w.kernel, w.height), columns = cell_span(j, w.kernel, w.width);
        Pack<T, V> sum = {};
        for (int64_t y = rows.first; y < rows.last; ++y)
          for (int64_t z = columns.first; z < columns.last; ++z) sum += load_part<T, V>(x + (y * w.width + z) * ldx + c, n);
        const T count = static_cast<T>((rows.last - rows.first) * (columns.last - columns.first));
        store_part<T, V>(cells + (i * w.kernel + j) * w.channels + c, sum / count, n);
      }
    Pack<T, V> sum = {};
    for (int64_t i = 0; i < w.height * w.width; ++i) sum += load_part<T, V>(x + i * ldx + c, n);
    store_part<T, V>(mean + c, sum / static_cast<T>(w.height * w.width), n);
  });
}

template <typename T>
void pool_backward(Window w, const T* dcells, const T* dmean, T* dx, int64_t ldd) {
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    const Pack<T, V> everywhere = load_part<T, V>(dmean + c, n) / static_cast<T>(w.height * w.width);
    for (int64_t i = 0; i < w.height * w.width; ++i)
      store_part<T, V>(dx + i * ldd + c, load_part<T, V>(dx + i * ldd + c, n) + everywhere, n);
    for (int64_t i = 0; i < w.kernel; ++i)
      for (int64_t j = 0; j < w.kernel; ++j) {
        const Span rows = cell_span(i, w.kernel, w.height), columns = cell_span(j, w.kernel, w.width);
        const T count = static_cast<T>((rows.last - rows.first) * (columns.last - columns.first));
        const Pack<T, V> share = load_part<T, V>(dcells + (i * w.kernel + j) * w.channels + c, n) / count;
        for (int64_t y = rows.first; y < rows.last; ++y)
          for (int64_t z = columns.first; z < columns.last; ++z) {
            T* to = dx + (y * w.width + z) * ldd + c;
            store_part<T, V>(to, load_part<T, V>(to, n) + share, n);
          }
      }
  });
}

template <typename T>
void mix(int64_t groups, int64_t channels, T* logits, const T* bank, int64_t bank_step, T* out) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    Pack<T, V> highest = load_part<T, V>(logits + c, n);
    for (int64_t g = 1; g < groups; ++g) {
      const Pack<T, V> value = load_part<T, V>(logits + g * channels + c, n);
      highest = value > highest ? value : highest;
    }
    Pack<T, V> total = {}, sum = {};
    for (int64_t g = 0; g < groups; ++g) {
      T* at = logits + g * channels + c;
      const Pack<T, V> share = exp_pack<T, V>(load_part<T, V>(at, n) - highest);
      total += share;
      sum += share * load_part<T, V>(bank + g * bank_step + c, n);
      store_part<T, V>(at, share, n);
    }
    for (int64_t g = 0; g < groups; ++g) {
      T* at = logits + g * channels + c;
      store_part<T, V>(at, load_part<T, V>(at, n) / total, n);
    }
    store_part<T, V>(out + c, sum / total, n);
  });
}

template <typename T>
void mix_backward(int64_t groups, int64_t channels, const T* shares, const T* dout, const T* bank, int64_t bank_step,
                  T* dlogits, T* dbank) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    const Pack<T, V> slope = load_part<T, V>(dout + c, n);
    Pack<T, V> expected = {};
    for (int64_t g = 0; g < groups; ++g) {
      const Pack<T, V> share = load_part<T, V>(shares + g * channels + c, n);
      T* to = dbank + g * bank_step + c;
      store_part<T, V>(to, load_part<T, V>(to, n) + share * slope, n);
      expected += share * load_part<T, V>(bank + g * bank_step + c, n);
    }
    for (int64_t g = 0; g < groups; ++g) {
      const Pack<T, V> share = load_part<T, V>(shares + g * channels + c, n);
      const Pack<T, V> learned = load_part<T, V>(bank + g * bank_step + c, n);
      store_part<T, V>(dlogits + g * channels + c, share * slope * (learned - expected), n);
    }
  });
}

}  // namespace ISA
