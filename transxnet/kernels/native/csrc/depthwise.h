// Depthwise convolution, stride 1, forward and backward, one sample at a time.
//
// A chunk of V channels of the map is copied to a plane [H, W + 2r, V] with zero columns at both sides. Then a tile of
// pixels of a row is held in registers while all its taps pass: each load of the plane serves up to K products. Rows
// outside of the map are skipped, and taps that could only meet padding (maps smaller than the kernel) are never packed.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace ISA {

using native::Taps;
using native::Window;

struct Reach {
  int rows, columns;  // furthest taps that can meet the map
};

inline Reach reach(const Window& w) {
  const int radius = static_cast<int>(w.kernel / 2);
  return {static_cast<int>(radius < w.height - 1 ? radius : w.height - 1),
          static_cast<int>(radius < w.width - 1 ? radius : w.width - 1)};
}

template <typename T>
int64_t packed_size(Window w) {
  const Reach r = reach(w);
  return (2 * r.rows + 1) * (2 * r.columns + 1) * (w.channels + kLanes<T>);
}

template <typename T>
int64_t scratch_size(Window w) {
  const int64_t plane = w.height * (w.width + 2 * reach(w).columns) * kLanes<T>;
  return 2 * plane + packed_size<T>(w);
}

template <typename T>
void pack(Window w, Taps<T> taps, bool flipped, T* packed) {
  const Reach r = reach(w);
  const int64_t count = (2 * r.rows + 1) * (2 * r.columns + 1), last = w.kernel * w.kernel - 1;
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    T* to = packed + c * count;
    for (int64_t y = w.kernel / 2 - r.rows; y <= w.kernel / 2 + r.rows; ++y)
      for (int64_t x = w.kernel / 2 - r.columns; x <= w.kernel / 2 + r.columns; ++x, to += V) {
        const int64_t tap = y * w.kernel + x;
        const T* from = taps.data + c * taps.channel_step + (flipped ? last - tap : tap) * taps.tap_step;
        for (int i = 0; i < V; ++i) to[i] = i < n ? from[i * taps.channel_step] : T(0);
      }
  });
}

/// The chunk's plane: x * scale + shift inside, zeros in the columns at both sides.
template <typename T, int V>
inline void fill_plane(const Window& w, int columns, const T* x, int64_t ldx, const T* scale, const T* shift, int n,
                       T* plane) {
  const Pack<T, V> zero = {};
  const Pack<T, V> a = scale ? load_part<T, V>(scale, n) : zero, b = scale ? load_part<T, V>(shift, n) : zero;
  for (int64_t y = 0; y < w.height; ++y) {
    for (int i = 0; i < columns; ++i, plane += V) store<T, V>(plane, zero);
    for (int64_t i = 0; i < w.width; ++i, plane += V, x += ldx) {
      const Pack<T, V> value = load_part<T, V>(x, n);
      store<T, V>(plane, scale ? value * a + b : value);
    }
    for (int i = 0; i < columns; ++i, plane += V) store<T, V>(plane, zero);
  }
}

/// P neighbouring pixels of a row. K is the number of tap columns, or 0 if it is only known at run time.
template <typename T, int V, int K, int P>
inline void tile(const T* plane, int64_t plane_row, const T* taps, int tap_rows, int columns, Pack<T, V> bias,
                 const T* self, T* out, int64_t ldo, int n) {
  Pack<T, V> sum[P];
  for (int p = 0; p < P; ++p) sum[p] = self ? bias + load<T, V>(self + p * V) : bias;
  for (int y = 0; y < tap_rows; ++y, plane += plane_row) {
    if constexpr (K > 0) {
      Pack<T, V> seen[P + K - 1];
      for (int i = 0; i < P + K - 1; ++i) seen[i] = load<T, V>(plane + i * V);
      for (int k = 0; k < K; ++k, taps += V) {
        const Pack<T, V> weight = load<T, V>(taps);
        for (int p = 0; p < P; ++p) sum[p] += weight * seen[p + k];
      }
    } else {
      for (int k = 0; k < columns; ++k, taps += V) {
        const Pack<T, V> weight = load<T, V>(taps);
        for (int p = 0; p < P; ++p) sum[p] += weight * load<T, V>(plane + (p + k) * V);
      }
    }
  }
  for (int p = 0; p < P; ++p) store_part<T, V>(out + p * ldo, sum[p], n);
}

template <typename T, int V, int K>
void convolve(const Window& w, Reach r, const T* plane, const T* taps, Pack<T, V> bias, bool residual, T* out,
              int64_t ldo, int n) {
  const int columns = 2 * r.columns + 1, height = static_cast<int>(w.height), width = static_cast<int>(w.width);
  const int64_t plane_row = (w.width + 2 * r.columns) * V;
  constexpr int kTile = kBytes == 64 ? 8 : 4;
  for (int y = 0; y < height; ++y) {
    const int first = y < r.rows ? r.rows - y : 0;
    const int last = y + r.rows < height ? 2 * r.rows : height - 1 - y + r.rows;
    const T* rows = plane + (y + first - r.rows) * plane_row;
    const T* row_taps = taps + first * columns * V;
    const T* self = plane + y * plane_row + r.columns * V;
    T* to = out + y * w.width * ldo;
    const auto run = [&]<int P>(int x) {
      tile<T, V, K, P>(rows + x * V, plane_row, row_taps, last - first + 1, columns, bias,
                       residual ? self + x * V : nullptr, to + x * ldo, ldo, n);
    };
    int x = 0;
    for (; x + kTile <= width; x += kTile) run.template operator()<kTile>(x);
    if (kTile > 4 && x + 4 <= width) run.template operator()<4>(x), x += 4;
    if (x + 2 <= width) run.template operator()<2>(x), x += 2;
    if (x < width) run.template operator()<1>(x);
  }
}

/// Adds to dw [rows, columns, V]; the gradient of a row of taps is held in registers over the whole map.
template <typename T, int V, int K>
void correlate(const Window& w, Reach r, const T* plane, const T* dplane, T* dw) {
  const int columns = 2 * r.columns + 1, height = static_cast<int>(w.height), width = static_cast<int>(w.width);
  const int64_t plane_row = (w.width + 2 * r.columns) * V;
  for (int t = 0; t <= 2 * r.rows; ++t) {
    const int first = t < r.rows ? r.rows - t : 0, last = t > r.rows ? height - 1 - (t - r.rows) : height - 1;
    T* to = dw + t * columns * V;
    if constexpr (K > 0) {
      Pack<T, V> sum[K];
      for (int k = 0; k < K; ++k) sum[k] = load<T, V>(to + k * V);
      for (int y = first; y <= last; ++y) {
        const T* seen = plane + (y + t - r.rows) * plane_row;
        const T* d = dplane + y * plane_row + r.columns * V;
        int x = 0;
        for (; x + 4 <= width; x += 4, seen += 4 * V, d += 4 * V) {
          Pack<T, V> window[K + 3];
          for (int i = 0; i < K + 3; ++i) window[i] = load<T, V>(seen + i * V);
          for (int p = 0; p < 4; ++p) {
            const Pack<T, V> slope = load<T, V>(d + p * V);
            for (int k = 0; k < K; ++k) sum[k] += slope * window[p + k];
          }
        }
        for (; x < width; ++x, seen += V, d += V) {
          const Pack<T, V> slope = load<T, V>(d);
          for (int k = 0; k < K; ++k) sum[k] += slope * load<T, V>(seen + k * V);
        }
      }
      for (int k = 0; k < K; ++k) store<T, V>(to + k * V, sum[k]);
    } else {
      for (int y = first; y <= last; ++y)
        for (int x = 0; x < width; ++x)
          for (int k = 0; k < columns; ++k) {
            const Pack<T, V> slope = load<T, V>(dplane + y * plane_row + (x + r.columns) * V);
            const Pack<T, V> value = load<T, V>(plane + (y + t - r.rows) * plane_row + (x + k) * V);
            store<T, V>(to + k * V, load<T, V>(to + k * V) + slope * value);
          }
    }
  }
}

/// Calls body with the number of tap columns as a constant where that is one of the usual.
template <typename Body>
inline void for_columns(int columns, Body&& body) {
  switch (columns) {
    case 1: return body.template operator()<1>();
    case 3: return body.template operator()<3>();
    case 5: return body.template operator()<5>();
    case 7: return body.template operator()<7>();
    case 9: return body.template operator()<9>();
    default: return body.template operator()<0>();
  }
}

template <typename T>
void depthwise(Window w, const T* x, int64_t ldx, const T* scale, const T* shift, const T* packed, const T* bias,
               bool residual, T* out, int64_t ldo, T* scratch) {
  const Reach r = reach(w);
  const int64_t count = (2 * r.rows + 1) * (2 * r.columns + 1);
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    fill_plane<T, V>(w, r.columns, x + c, ldx, scale ? scale + c : nullptr, scale ? shift + c : nullptr, n, scratch);
    const Pack<T, V> offset = bias ? load_part<T, V>(bias + c, n) : Pack<T, V>{};
    for_columns(2 * r.columns + 1, [&]<int K>() {
      convolve<T, V, K>(w, r, scratch, packed + c * count, offset, residual, out + c, ldo, n);
    });
  });
}

template <typename T>
void depthwise_backward(Window w, const T* x, int64_t ldx, const T* scale, const T* shift, const T* dy, int64_t ldy,
                        const T* packed_flipped, bool residual, T* dx, int64_t ldd, T* dw, T* db, T* scratch) {
  const Reach r = reach(w);
  const int columns = 2 * r.columns + 1;
  const int64_t count = (2 * r.rows + 1) * columns, size = w.height * (w.width + 2 * r.columns) * kLanes<T>;
  T *plane = scratch, *dplane = scratch + size, *sums = scratch + 2 * size;
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    fill_plane<T, V>(w, r.columns, dy + c, ldy, nullptr, nullptr, n, dplane);
    fill_plane<T, V>(w, r.columns, x + c, ldx, scale ? scale + c : nullptr, scale ? shift + c : nullptr, n, plane);
    std::memset(sums, 0, count * V * sizeof(T));
    for_columns(columns, [&]<int K>() {
      correlate<T, V, K>(w, r, plane, dplane, sums);
      if (dx) convolve<T, V, K>(w, r, dplane, packed_flipped + c * count, Pack<T, V>{}, residual, dx + c, ldd, n);
    });
    for (int y = 0; y <= 2 * r.rows; ++y)
      for (int k = 0; k < columns; ++k) {
        const int64_t tap = (y + w.kernel / 2 - r.rows) * w.kernel + k + w.kernel / 2 - r.columns;
        T* to = dw + tap * w.channels + c;
        store_part<T, V>(to, load_part<T, V>(to, n) + load<T, V>(sums + (y * columns + k) * V), n);
      }
    Pack<T, V> sum = load_part<T, V>(db + c, n);
    for (int64_t y = 0; y < w.height; ++y)
      for (int64_t i = 0; i < w.width; ++i)
        sum += load<T, V>(dplane + (y * (w.width + 2 * r.columns) + r.columns + i) * V);
    store_part<T, V>(db + c, sum, n);
  });
}

}  // namespace ISA
