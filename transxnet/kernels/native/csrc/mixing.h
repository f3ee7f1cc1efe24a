// What makes IDConv's kernels: the pooled map, and the softmax over attention groups that mixes the learned bank.
#pragma once

#include "gelu.h"
#include "kernels.h"
#include "simd.h"

namespace ISA {

using native::Cells;
using native::Span;
using native::TapList;
using native::Window;

template <typename T, typename Body>
inline void for_cells(const Cells& cells, Body&& body) {
  int64_t index = 0;
  for (int64_t i = 0; i < cells.row_count; ++i)
    for (int64_t j = 0; j < cells.column_count; ++j, ++index) {
      const Span y = cells.rows[i], x = cells.columns[j];
      body(index, y, x, static_cast<T>((y.last - y.first) * (x.last - x.first)));
    }
}

template <typename T>
void pool(Window w, Cells cells, const T* x, int64_t ldx, T* pooled, T* mean) {
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    for_cells<T>(cells, [&](int64_t cell, Span rows, Span columns, T count) {
      Pack<T, V> sum = {};
      for (int64_t i = rows.first; i < rows.last; ++i)
        for (int64_t j = columns.first; j < columns.last; ++j)
          sum += load_part<T, V>(x + (i * w.width + j) * ldx + c, n);
      store_part<T, V>(pooled + cell * w.channels + c, sum / count, n);
    });
    Pack<T, V> sum = {};
    for (int64_t i = 0; i < w.height * w.width; ++i) sum += load_part<T, V>(x + i * ldx + c, n);
    store_part<T, V>(mean + c, sum / static_cast<T>(w.height * w.width), n);
  });
}

template <typename T>
void pool_backward(Window w, Cells cells, const T* dpooled, const T* dmean, T* dx, int64_t ldd) {
  for_chunks<T>(w.channels, [&]<int V>(int64_t c, int n) {
    const auto add = [&](int64_t pixel, Pack<T, V> value) {
      T* to = dx + pixel * ldd + c;
      store_part<T, V>(to, load_part<T, V>(to, n) + value, n);
    };
    const Pack<T, V> everywhere = load_part<T, V>(dmean + c, n) / static_cast<T>(w.height * w.width);
    for (int64_t i = 0; i < w.height * w.width; ++i) add(i, everywhere);
    for_cells<T>(cells, [&](int64_t cell, Span rows, Span columns, T count) {
      const Pack<T, V> share = load_part<T, V>(dpooled + cell * w.channels + c, n) / count;
      for (int64_t i = rows.first; i < rows.last; ++i)
        for (int64_t j = columns.first; j < columns.last; ++j) add(i * w.width + j, share);
    });
  });
}

template <typename T>
void softmax(int64_t rows, int64_t groups, int64_t channels, T* logits) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    for (T* row = logits + c; row < logits + c + rows * groups * channels; row += groups * channels) {
      Pack<T, V> highest = load_part<T, V>(row, n), total = {};
      for (int64_t g = 1; g < groups; ++g) {
        const Pack<T, V> value = load_part<T, V>(row + g * channels, n);
        highest = value > highest ? value : highest;
      }
      for (int64_t g = 0; g < groups; ++g) {
        const Pack<T, V> share = exp_pack<T, V>(load_part<T, V>(row + g * channels, n) - highest);
        total += share;
        store_part<T, V>(row + g * channels, share, n);
      }
      const Pack<T, V> part = T(1) / total;
      for (int64_t g = 0; g < groups; ++g)
        store_part<T, V>(row + g * channels, load_part<T, V>(row + g * channels, n) * part, n);
    }
  });
}

template <typename T>
void softmax_backward(int64_t rows, int64_t groups, int64_t channels, const T* shares, T* dshares) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    for (int64_t row = c; row < c + rows * groups * channels; row += groups * channels) {
      Pack<T, V> expected = {};
      for (int64_t at = row; at < row + groups * channels; at += channels)
        expected += load_part<T, V>(shares + at, n) * load_part<T, V>(dshares + at, n);
      for (int64_t at = row; at < row + groups * channels; at += channels)
        store_part<T, V>(dshares + at, load_part<T, V>(shares + at, n) * (load_part<T, V>(dshares + at, n) - expected), n);
    }
  });
}

template <typename T>
void mix(TapList taps, int64_t groups, int64_t channels, const T* shares, const T* bank, int64_t bank_step, T* out) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    for (int64_t i = 0; i < taps.count; ++i) {
      const T *from = shares + taps.cell[i] * groups * channels + c, *learned = bank + taps.place[i] * channels + c;
      Pack<T, V> sum = {};
      for (int64_t g = 0; g < groups; ++g, from += channels, learned += bank_step)
        sum += load_part<T, V>(from, n) * load_part<T, V>(learned, n);
      store_part<T, V>(out + taps.place[i] * channels + c, sum, n);
    }
  });
}

template <typename T>
void mix_backward(TapList taps, int64_t groups, int64_t channels, const T* shares, const T* dout, const T* bank,
                  int64_t bank_step, T* dshares, T* dbank) {
  for_chunks<T>(channels, [&]<int V>(int64_t c, int n) {
    for (int64_t i = 0; i < taps.count; ++i) {
      const Pack<T, V> slope = load_part<T, V>(dout + taps.place[i] * channels + c, n);
      int64_t cell = taps.cell[i] * groups * channels + c, place = taps.place[i] * channels + c;
      for (int64_t g = 0; g < groups; ++g, cell += channels, place += bank_step) {
        const Pack<T, V> dshare = load_part<T, V>(dshares + cell, n) + slope * load_part<T, V>(bank + place, n);
        const Pack<T, V> dlearned = load_part<T, V>(dbank + place, n) + slope * load_part<T, V>(shares + cell, n);
        store_part<T, V>(dshares + cell, dshare, n);
        store_part<T, V>(dbank + place, dlearned, n);
      }
    }
  });
}

}  // namespace ISA
