// One instruction set's table of kernels; compiled once for each, with -DISA=its name and its flags.
#include "attention.h"
#include "depthwise.h"
#include "mixing.h"
#include "reduction.h"
#include "rows.h"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

namespace ISA {

template <typename T>
const native::Kernels<T>& table() {
  static const native::Kernels<T> kernels = {
      TEXT(ISA),
      scratch_size<T>,
      pack<T>,
      packed_size<T>,
      depthwise<T>,
      depthwise_backward<T>,
      reduce<T>,
      reduce_backward<T>,
      affine<T>,
      gelu_rows<T>,
      gelu_backward<T>,
      moments<T>,
      sums<T>,
      combine<T>,
      attention_scratch<T>,
      attention<T>,
      attention_backward<T>,
      pool<T>,
      pool_backward<T>,
      softmax<T>,
      softmax_backward<T>,
      mix<T>,
      mix_backward<T>,
  };
  return kernels;
}

template const native::Kernels<float>& table<float>();
template const native::Kernels<double>& table<double>();

}  // namespace ISA
