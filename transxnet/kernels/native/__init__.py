"""Native CPU kernels: a block as two calls of C++ (csrc/block.h), where `python -m transxnet.kernels.build` built them."""
