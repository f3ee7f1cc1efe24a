// The operators that Python sees, for float and double maps on a CPU.
#include <ATen/core/grad_mode.h>
#include <torch/library.h>

#include "block.h"

namespace native {
namespace {

/// Products run as they are written: no autograd of their own, and no autocast.
struct Bare {
  at::AutoDispatchBelowAutograd no_autograd;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

/// Every tensor contiguous: kernels walk them by pointer. The bank is read through bank_of, whatever its strides.
std::vector<Tensor> contiguous(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> all;
  for (size_t i = 0; i < tensors.size(); ++i) all.push_back(i == kBank ? tensors[i] : tensors[i].contiguous());
  return all;
}

/// run.operator()<T>() with the map's type.
template <typename Run>
auto with_type(const Tensor& map, Run&& run) {
  return map.scalar_type() == at::kDouble ? run.template operator()<double>() : run.template operator()<float>();
}

Layout layout_of(const Tensor& x, at::IntArrayRef config) {
  return {{x.size(0), x.size(2), x.size(3)}, x.size(1), config[0], config[1], config[2], config[3], config[4], config[5]};
}

std::vector<Tensor> block_forward(const Tensor& x, const Tensor& table, const std::vector<Tensor>& params,
                                  const std::vector<Tensor>& buffers, at::IntArrayRef config, bool training,
                                  double momentum, double eps, const std::optional<Tensor>& drop1,
                                  const std::optional<Tensor>& drop2) {
  const Bare bare;
  const std::vector<Tensor> list = contiguous(params);
  const Params p{list, buffers};
  const Drops drops{drop1.value_or(Tensor()), drop2.value_or(Tensor())};
  return with_type(x, [&]<typename T>() {
    return forward<T>(x, table, p, layout_of(x, config), {training, momentum, eps}, drops);
  });
}

std::vector<Tensor> block_backward(const Tensor& grad, const std::vector<Tensor>& saved,
                                   const std::vector<Tensor>& params, at::IntArrayRef config, bool training,
                                   const std::optional<Tensor>& drop1, const std::optional<Tensor>& drop2) {
  const Bare bare;
  const std::vector<Tensor> list = contiguous(params), none;
  const Params p{list, none};
  const Drops drops{drop1.value_or(Tensor()), drop2.value_or(Tensor())};
  return with_type(grad, [&]<typename T>() {
    return backward<T>(grad, saved, p, layout_of(grad, config), {training, 0, 0}, drops);
  });
}

std::string instruction_set() { return kernels<float>().name; }

}  // namespace
}  // namespace native

TORCH_LIBRARY(transxnet, library) {
  library.def(
      "block_forward(Tensor x, Tensor table, Tensor[] params, Tensor(a!)[] buffers, int[] config, bool training, "
      "float momentum, float eps, Tensor? drop1, Tensor? drop2) -> Tensor[]");
  library.def(
      "block_backward(Tensor grad, Tensor[] saved, Tensor[] params, int[] config, bool training, Tensor? drop1, "
      "Tensor? drop2) -> Tensor[]");
  library.def("instruction_set() -> str", native::instruction_set);
  library.impl("block_forward", at::DispatchKey::CPU, native::block_forward);
  library.impl("block_backward", at::DispatchKey::CPU, native::block_backward);
}
