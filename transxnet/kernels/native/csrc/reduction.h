// OSRA's strided depthwise convolution, one sample: few outputs, so plain loops over the taps that meet the map.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace ISA {

using native::Reduction;

/// Calls body(output pixel, input pixel, tap) for each tap of each output that meets the map, by outputs.
template <typename Body>
inline void for_taps(const Reduction& s, int64_t oy, int64_t ox, Body&& body) {
  for (int64_t ky = 0; ky < s.kernel; ++ky) {
    const int64_t y = oy * s.stride - s.padding + ky;
    if (y < 0 || y >= s.height) continue;
    for (int64_t kx = 0; kx < s.kernel; ++kx) {
      const int64_t x = ox * s.stride - s.padding + kx;
      if (x >= 0 && x < s.width) body(y * s.width + x, ky * s.kernel + kx);
    }
  }
}

template <typename T>
void reduce(Reduction s, const T* x, int64_t ldx, const T* w, T* out) {
  for_chunks<T>(s.channels, [&]<int V>(int64_t c, int n) {
    for (int64_t oy = 0; oy < s.out_height; ++oy)
      for (int64_t ox = 0; ox < s.out_width; ++ox) {
        Pack<T, V> sum = {};
        for_taps(s, oy, ox, [&](int64_t pixel, int64_t tap) {
          sum += load_part<T, V>(x + pixel * ldx + c, n) * load_part<T, V>(w + tap * s.channels + c, n);
        });
        store_part<T, V>(out + (oy * s.out_width + ox) * s.channels + c, sum, n);
      }
  });
}

template <typename T>
void reduce_backward(Reduction s, const T* x, int64_t ldx, const T* w, const T* dy, T* dx, int64_t ldd, T* dw) {
  for_chunks<T>(s.channels, [&]<int V>(int64_t c, int n) {
    for (int64_t oy = 0; oy < s.out_height; ++oy)
      for (int64_t ox = 0; ox < s.out_width; ++ox) {
        const Pack<T, V> slope = load_part<T, V>(dy + (oy * s.out_width + ox) * s.channels + c, n);
        for_taps(s, oy, ox, [&](int64_t pixel, int64_t tap) {
          T *to_x = dx + pixel * ldd + c, *to_w = dw + tap * s.channels + c;
          const Pack<T, V> value = load_part<T, V>(x + pixel * ldx + c, n);
          const Pack<T, V> weight = load_part<T, V>(w + tap * s.channels + c, n);
          store_part<T, V>(to_x, load_part<T, V>(to_x, n) + slope * weight, n);
          store_part<T, V>(to_w, load_part<T, V>(to_w, n) + slope * value, n);
        });
      }
  });
}

}  // namespace ISA
