// The exact GELU and its derivative on packs of channels.
#pragma once

#include <cmath>

#include "simd.h"

namespace ISA {

/// exp of a pack; for float an own polynomial that the compiler can keep in vectors (relative error 2e-7).
template <typename T, int V>
inline Pack<T, V> exp_pack(Pack<T, V> x) {
  if constexpr (sizeof(T) == 4) {
    typedef int32_t Ints __attribute__((vector_size(V * 4)));
    const Pack<T, V> low = broadcast<T, V>(-87.0f), high = broadcast<T, V>(88.0f);
    x = x < low ? low : x;
    x = x > high ? high : x;
    // x = n ln 2 + r with |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to a whole number, which stands in the low bits.
    const float magic = 12582912.0f;
    Pack<T, V> shifted = x * 1.44269504088896341f + magic;
    Pack<T, V> n = shifted - magic;
    Pack<T, V> r = x - n * 0.693359375f;
    r = r + n * 2.12194440054690583e-4f;
    Pack<T, V> p = broadcast<T, V>(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    Ints exponent = ((Ints)shifted << 23) + 0x3f800000;
    return p * (Pack<T, V>)exponent;
  } else {
    for (int i = 0; i < V; ++i) x[i] = std::exp(x[i]);
    return x;
  }
}

template <typename T, int V>
struct Gelu {
  Pack<T, V> value;  // x Phi(x)
  Pack<T, V> slope;  // Phi(x) + x phi(x)
};

template <typename T, int V>
inline Gelu<T, V> gelu(Pack<T, V> x) {
  const T inverse_root_2pi = static_cast<T>(0.39894228040143267794);
  const Pack<T, V> density = exp_pack<T, V>(x * x * static_cast<T>(-0.5));  // exp(-x^2 / 2)
  Pack<T, V> cdf;
  if constexpr (sizeof(T) == 4) {
    // erfc(z) = exp(-z^2) Q(1 / (1 + 0.39 z)), z = |x| / sqrt(2): Q fitted for the least largest error, 8e-9.
    const Pack<T, V> z = (x < 0 ? -x : x) * 0.70710678118654752f;
    const Pack<T, V> t = 1.0f / (1.0f + 0.39f * z);
    Pack<T, V> q = broadcast<T, V>(-0.22753712513292035f);
    q = q * t + 0.8866643698682914f;
    q = q * t - 0.6354002786920758f;
    q = q * t + 0.6495593986190203f;
    q = q * t + 0.09138841455496438f;
    q = q * t + 0.23532521908399964f;
    const Pack<T, V> tail = 0.5f * q * t * density;
    cdf = x < 0 ? tail : 1.0f - tail;
  } else {
    for (int i = 0; i < V; ++i) cdf[i] = 0.5 * std::erfc(-x[i] * 0.70710678118654752440);
  }
  return {x * cdf, cdf + x * density * inverse_root_2pi};
}

}  // namespace ISA
