// Passes over the pixels of a map: norms, GELU and their gradients, each channel by its own coefficients.
#pragma once

#include "gelu.h"
#include "kernels.h"
#include "simd.h"

namespace ISA {

template <typename T>
void affine(int64_t rows, int64_t channels, const T* x, int64_t ldx, const T* scale, const T* shift, bool add, T* y,
            int64_t ldy) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    const Pack<T, V> a = load_part<T, V>(scale + c, n), b = load_part<T, V>(shift + c, n);
    for (int64_t i = 0; i < rows; ++i) {
      Pack<T, V> value = load_part<T, V>(x + i * ldx + c, n) * a + b;
      if (add) value += load_part<T, V>(y + i * ldy + c, n);
      store_part<T, V>(y + i * ldy + c, value, n);
    }
  });
}

template <typename T>
void gelu_rows(int64_t rows, int64_t channels, const T* x, const T* scale, const T* shift, T* g, T* slope) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    const Pack<T, V> a = scale ? load_part<T, V>(scale + c, n) : broadcast<T, V>(1);
    const Pack<T, V> b = scale ? load_part<T, V>(shift + c, n) : Pack<T, V>{};
    for (int64_t i = c; i < rows * channels; i += channels) {
      const Gelu<T, V> both = gelu<T, V>(load_part<T, V>(x + i, n) * a + b);
      store_part<T, V>(g + i, both.value, n);
      store_part<T, V>(slope + i, both.slope, n);
    }
  });
}

template <typename T>
void gelu_backward(int64_t rows, int64_t channels, const T* slope, const T* e, const T* g, const T* a, const T* b,
                   const T* c, T* out, T* sums) {
  for_chunks<T>(channels, [&]<int V>(int64_t first, int n) {
    const auto part = [&](const T* from, T otherwise) {
      return from ? load_part<T, V>(from + first, n) : broadcast<T, V>(otherwise);
    };
    const Pack<T, V> ca = part(a, 1), cb = part(b, 0), cc = part(c, 0);
    Pack<T, V> sum = part(sums, 0);
    for (int64_t i = first; i < rows * channels; i += channels) {
      Pack<T, V> d = ca * load_part<T, V>(e + i, n) + cc;
      if (b) d += cb * load_part<T, V>(g + i, n);
      d *= load_part<T, V>(slope + i, n);
      sum += d;
      store_part<T, V>(out + i, d, n);
    }
    if (sums) store_part<T, V>(sums + first, sum, n);
  });
}

template <typename T>
void moments(int64_t rows, int64_t channels, const T* x, int64_t ldx, T* mean, T* squares) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    // Distances from the first pixel instead of from zero, and squares of distances from the mean in a second pass over
    // what is still in the cache: nothing is lost where the mean is far from zero or the deviation small.
    const Pack<T, V> origin = load_part<T, V>(x + c, n);
    Pack<T, V> sum = {}, square = {};
    for (int64_t i = 1; i < rows; ++i) sum += load_part<T, V>(x + i * ldx + c, n) - origin;
    const Pack<T, V> offset = sum / static_cast<T>(rows);
    for (int64_t i = 0; i < rows; ++i) {
      const Pack<T, V> distance = load_part<T, V>(x + i * ldx + c, n) - origin - offset;
      square += distance * distance;
    }
    store_part<T, V>(mean + c, origin + offset, n);
    store_part<T, V>(squares + c, square, n);
  });
}

template <typename T>
void sums(int64_t rows, int64_t channels, const T* d, int64_t ldd, const T* x, int64_t ldx, const T* center, T factor,
          T* sum_d, T* sum_dx) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    const Pack<T, V> middle = load_part<T, V>(center + c, n);
    Pack<T, V> first = {}, second = {};
    for (int64_t i = 0; i < rows; ++i) {
      const Pack<T, V> slope = load_part<T, V>(d + i * ldd + c, n);
      first += slope;
      second += slope * (load_part<T, V>(x + i * ldx + c, n) - middle);
    }
    store_part<T, V>(sum_d + c, load_part<T, V>(sum_d + c, n) + first * factor, n);
    store_part<T, V>(sum_dx + c, load_part<T, V>(sum_dx + c, n) + second * factor, n);
  });
}

template <typename T>
void combine(int64_t rows, int64_t channels, const T* res, const T* d, const T* x, const T* a, const T* b, const T* c,
             T* out, int64_t ldo) {
  for_chunks<T>(channels, [&]<int V>(int64_t first, int n) {
    const Pack<T, V> ca = load_part<T, V>(a + first, n), cb = load_part<T, V>(b + first, n);
    const Pack<T, V> cc = load_part<T, V>(c + first, n);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = i * channels + first;
      Pack<T, V> value = ca * load_part<T, V>(d + at, n) + cb * load_part<T, V>(x + at, n) + cc;
      if (res) value += load_part<T, V>(res + at, n);
      store_part<T, V>(out + i * ldo + first, value, n);
    }
  });
}

}  // namespace ISA
