// Vectors of channels: a pack of V numbers that the compiler keeps in registers of whatever width the machine has.
//
// Maps are [rows, C] with the channels of a pixel side by side, so every kernel here runs over chunks of V channels; the
// last chunk of a map may hold fewer. Each instruction set compiles these files once, in a namespace of its own (ISA).
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if !defined(ISA)
#error "define ISA, the namespace of this instruction set"
#endif

namespace ISA {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#else
constexpr int kBytes = 32;
#endif

/// Numbers of type T in a full register.
template <typename T>
constexpr int kLanes = kBytes / sizeof(T);

template <typename T, int V>
struct PackOf {
  typedef T type __attribute__((vector_size(V * sizeof(T)), aligned(sizeof(T)), may_alias));
};
template <typename T, int V>
using Pack = typename PackOf<T, V>::type;

template <typename T, int V>
inline Pack<T, V> load(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}

template <typename T, int V>
inline void store(T* to, Pack<T, V> pack) {
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

/// The first n of V numbers, zeros behind them; nothing beyond them is read.
template <typename T, int V>
inline Pack<T, V> load_part(const T* from, int n) {
  if (n == V) return load<T, V>(from);
#if defined(__AVX512F__) && defined(__AVX512VL__)
  if constexpr (sizeof(T) == 4 && V == 16) return (Pack<T, V>)_mm512_maskz_loadu_ps((1u << n) - 1, from);
  if constexpr (sizeof(T) == 4 && V == 8) return (Pack<T, V>)_mm256_maskz_loadu_ps((1u << n) - 1, from);
#endif
  Pack<T, V> pack = {};
  for (int i = 0; i < n; ++i) pack[i] = from[i];
  return pack;
}

/// Writes the first n of V numbers.
template <typename T, int V>
inline void store_part(T* to, Pack<T, V> pack, int n) {
  if (n == V) return store<T, V>(to, pack);
#if defined(__AVX512F__) && defined(__AVX512VL__)
  if constexpr (sizeof(T) == 4 && V == 16) return _mm512_mask_storeu_ps(to, (1u << n) - 1, (__m512)pack);
  if constexpr (sizeof(T) == 4 && V == 8) return _mm256_mask_storeu_ps(to, (1u << n) - 1, (__m256)pack);
#endif
  for (int i = 0; i < n; ++i) to[i] = pack[i];
}

template <typename T, int V>
inline Pack<T, V> broadcast(T value) {
  return value - Pack<T, V>{};
}

/// Calls body(first channel, channels in the chunk) with V as a constant: full chunks, then one of half or full width.
template <typename T, typename Body>
inline void for_chunks(int64_t channels, Body&& body) {
  constexpr int V = kLanes<T>;
  int64_t c = 0;
  for (; channels - c > V / 2; c += V) {
    const int n = channels - c < V ? static_cast<int>(channels - c) : V;
    body.template operator()<V>(c, n);
    if (n < V) return;
  }
  if (c < channels) body.template operator()<V / 2>(c, static_cast<int>(channels - c));
}

}  // namespace ISA
