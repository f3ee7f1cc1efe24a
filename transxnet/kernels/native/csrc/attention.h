// OSRA's attention, one head of one sample: a few queries at a time against all keys, which stay in the cache.
#pragma once

#include <algorithm>

#include "gelu.h"
#include "kernels.h"
#include "simd.h"

namespace ISA {

using native::Heads;

template <typename T, int V, typename Join>
inline T reduce_lanes(Pack<T, V> pack, Join&& join) {
  T lanes[V];
  store<T, V>(lanes, pack);
  for (int half = V / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = join(lanes[i], lanes[i + half]);
  return lanes[0];
}

/// Keys (or values) [m, d] as [d, padded m], times a factor; zeros behind the last key.
template <typename T>
inline void transpose(const Heads& h, const T* from, int64_t ld, T factor, int64_t padded, T* to) {
  std::fill(to, to + h.width * padded, T(0));
  for (int64_t j = 0; j < h.keys; ++j)
    for (int64_t i = 0; i < h.width; ++i) to[i * padded + j] = from[j * ld + i] * factor;
}

/// Q vectors of numbers, from one to the next `ld`.
template <typename T>
struct Rows {
  T* data;
  int64_t ld;
};

/// rows [Q, padded] += vectors [Q, d] times matrix [d, padded].
template <typename T, int V, int Q>
inline void times_matrix(const Heads& h, Rows<const T> vectors, const T* matrix, int64_t padded, Rows<T> rows) {
  for (int64_t c = 0; c < padded; c += V) {
    Pack<T, V> sum[Q];
    for (int q = 0; q < Q; ++q) sum[q] = load<T, V>(rows.data + q * rows.ld + c);
    for (int64_t i = 0; i < h.width; ++i) {
      const Pack<T, V> column = load<T, V>(matrix + i * padded + c);
      for (int q = 0; q < Q; ++q) sum[q] += vectors.data[q * vectors.ld + i] * column;
    }
    for (int q = 0; q < Q; ++q) store<T, V>(rows.data + q * rows.ld + c, sum[q]);
  }
}

/// out [Q, d] = factor * weights [Q, m] times matrix [m, d].
template <typename T, int Q>
inline void weigh_rows(const Heads& h, Rows<const T> weights, const T* matrix, int64_t ld, T factor, Rows<T> out) {
  for_chunks<T>(h.width, [&]<int V>(int64_t c, int n) {
    Pack<T, V> sum[Q] = {};
    for (int64_t j = 0; j < h.keys; ++j) {
      const Pack<T, V> row = load_part<T, V>(matrix + j * ld + c, n);
      for (int q = 0; q < Q; ++q) sum[q] += weights.data[q * weights.ld + j] * row;
    }
    for (int q = 0; q < Q; ++q) store_part<T, V>(out.data + q * out.ld + c, sum[q] * factor, n);
  });
}

/// matrix [m, d] += factor * weights [Q, m] transposed times vectors [Q, d].
template <typename T, int Q>
inline void add_outer(const Heads& h, Rows<const T> weights, Rows<const T> vectors, T factor, T* matrix, int64_t ld) {
  for_chunks<T>(h.width, [&]<int V>(int64_t c, int n) {
    Pack<T, V> scaled[Q];
    for (int q = 0; q < Q; ++q) scaled[q] = load_part<T, V>(vectors.data + q * vectors.ld + c, n) * factor;
    for (int64_t j = 0; j < h.keys; ++j) {
      T* to = matrix + j * ld + c;
      Pack<T, V> sum = load_part<T, V>(to, n);
      for (int q = 0; q < Q; ++q) sum += weights.data[q * weights.ld + j] * scaled[q];
      store_part<T, V>(to, sum, n);
    }
  });
}

/// body.operator()<Q>(first query) for all queries, several at a time: what is loaded of the keys serves all of them.
template <typename Body>
inline void for_queries(int64_t queries, Body&& body) {
  constexpr int kAtOnce = 4;
  int64_t i = 0;
  for (; i + kAtOnce <= queries; i += kAtOnce) body.template operator()<kAtOnce>(i);
  for (; i < queries; ++i) body.template operator()<1>(i);
}

template <int V>
inline int64_t padded_keys(const Heads& h) {
  return (h.keys + V - 1) / V * V;
}

template <typename T>
int64_t attention_scratch(Heads h) {
  return (h.width + 8) * padded_keys<kLanes<T>>(h);  // keys or values, and two rows for each of the queries at once
}

/// row [padded] becomes its softmax; what stands behind the last key must be very low.
template <typename T, int V>
inline void softmax_row(int64_t padded, T* row) {
  Pack<T, V> highest = load<T, V>(row), total = {};
  for (int64_t c = V; c < padded; c += V) {
    const Pack<T, V> value = load<T, V>(row + c);
    highest = value > highest ? value : highest;
  }
  const T top = reduce_lanes<T, V>(highest, [](T a, T b) { return a > b ? a : b; });
  for (int64_t c = 0; c < padded; c += V) {
    const Pack<T, V> share = exp_pack<T, V>(load<T, V>(row + c) - top);
    total += share;
    store<T, V>(row + c, share);
  }
  const T part = T(1) / reduce_lanes<T, V>(total, [](T a, T b) { return a + b; });
  for (int64_t c = 0; c < padded; c += V) store<T, V>(row + c, load<T, V>(row + c) * part);
}

template <typename T>
void attention(Heads h, const T* q, const T* k, const T* v, const T* table, T* shares, T* out, T* scratch) {
  constexpr int V = kLanes<T>;
  const int64_t padded = padded_keys<V>(h);
  T *keys = scratch, *rows = scratch + h.width * padded;
  transpose<T>(h, k, h.ld_keys, static_cast<T>(h.scale), padded, keys);
  for_queries(h.queries, [&]<int Q>(int64_t i) {
    for (int u = 0; u < Q; ++u) {
      std::copy_n(table + (i + u) * h.keys, h.keys, rows + u * padded);
      std::fill(rows + u * padded + h.keys, rows + (u + 1) * padded, T(-1e30));
    }
    times_matrix<T, V, Q>(h, {q + i * h.ld_queries, h.ld_queries}, keys, padded, {rows, padded});
    for (int u = 0; u < Q; ++u) {
      softmax_row<T, V>(padded, rows + u * padded);
      std::copy_n(rows + u * padded, h.keys, shares + (i + u) * h.keys);
    }
    weigh_rows<T, Q>(h, {rows, padded}, v, h.ld_keys, T(1), {out + i * h.ld_out, h.ld_out});
  });
}

template <typename T>
void attention_backward(Heads h, const T* q, const T* k, const T* v, const T* shares, const T* dout, T* dq, T* dk, T* dv,
                        T* dtable, T* scratch) {
  constexpr int V = kLanes<T>;
  const int64_t padded = padded_keys<V>(h);
  const T scale = static_cast<T>(h.scale);
  T *values = scratch, *rows = scratch + h.width * padded, *known = rows + 4 * padded;
  transpose<T>(h, v, h.ld_keys, T(1), padded, values);
  std::fill(known, known + 4 * padded, T(0));
  for_queries(h.queries, [&]<int Q>(int64_t i) {
    const Rows<const T> slopes{dout + i * h.ld_out, h.ld_out}, queries{q + i * h.ld_queries, h.ld_queries};
    std::fill(rows, rows + Q * padded, T(0));
    times_matrix<T, V, Q>(h, slopes, values, padded, {rows, padded});
    for (int u = 0; u < Q; ++u) {
      T *row = rows + u * padded, *share = known + u * padded, *to = dtable + (i + u) * h.keys;
      std::copy_n(shares + (i + u) * h.keys, h.keys, share);
      Pack<T, V> sum = {};
      for (int64_t c = 0; c < padded; c += V) sum += load<T, V>(share + c) * load<T, V>(row + c);
      const T expected = reduce_lanes<T, V>(sum, [](T a, T b) { return a + b; });
      for (int64_t c = 0; c < padded; c += V)
        store<T, V>(row + c, load<T, V>(share + c) * (load<T, V>(row + c) - expected));
      for (int64_t j = 0; j < h.keys; ++j) to[j] += row[j];
    }
    weigh_rows<T, Q>(h, {rows, padded}, k, h.ld_keys, scale, {dq + i * h.ld_queries, h.ld_queries});
    add_outer<T, Q>(h, {rows, padded}, queries, scale, dk, h.ld_keys);
    add_outer<T, Q>(h, {known, padded}, slopes, T(1), dv, h.ld_keys);
  });
}

}  // namespace ISA
