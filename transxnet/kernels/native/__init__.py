"""Native CPU kernels: a block as two calls of C++ (csrc/block.h), once `python -m transxnet.kernels.build` was run."""
