// Picks the best instruction set that this machine has, when the library is loaded.
#include "kernels.h"

#include <cstdlib>
#include <cstring>

// isa.cpp, compiled for each of these; the build names them.
#define DECLARE(name)                   \
  namespace name {                      \
  template <typename T>                 \
  const native::Kernels<T>& table();    \
  extern template const native::Kernels<float>& table<float>();   \
  extern template const native::Kernels<double>& table<double>(); \
  }
#if defined(__x86_64__)
DECLARE(avx512)
DECLARE(avx2)
#endif
DECLARE(plain)

namespace native {

template <typename T>
const Kernels<T>& kernels() {
  static const Kernels<T>& best = []() -> const Kernels<T>& {
#if defined(__x86_64__)
    const char* most = std::getenv("TRANSXNET_NATIVE_ISA");  // for tests: at most this one
    const bool only_plain = most && !std::strcmp(most, "plain"), only_avx2 = most && !std::strcmp(most, "avx2");
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (has_avx512 && !only_plain && !only_avx2) return avx512::table<T>();
    if (has_avx2 && !only_plain) return avx2::table<T>();
#endif
    return plain::table<T>();
  }();
  return best;
}

template const Kernels<float>& kernels<float>();
template const Kernels<double>& kernels<double>();

}  // namespace native
