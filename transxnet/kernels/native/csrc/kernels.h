// What an instruction set provides: the loops over pixels and channels that a block is made of, as a table of functions.
//
// T is float or double. A map of a sample is `rows` pixels of C channels; `ld` is the distance from a pixel to the next,
// so that a share of the channels of a map is a map too. None of these functions allocates or starts threads.
#pragma once

#include <cstdint>

namespace native {

/// A depthwise convolution of one sample, stride 1, the size kept: K x K taps around each pixel.
struct Window {
  int64_t height, width, channels, kernel;
};

/// A strided depthwise convolution of one sample: OSRA's reduction. Places outside of the map are zero.
struct Reduction {
  int64_t height, width, channels, kernel, stride, padding, out_height, out_width;
};

/// The pixels, in one direction, of a cell of adaptive pooling: from `first` up to `last` - 1.
struct Span {
  int64_t first, last;
};

/// The cells that a map is pooled to: each of `rows` with each of `columns`, in that order.
struct Cells {
  const Span *rows, *columns;
  int64_t row_count, column_count;
};

/// Taps that can meet the map: the place of each in K * K, and the pooled cell that votes on it.
struct TapList {
  int64_t count;
  const int64_t *place, *cell;
};

/// One head's attention: `queries` and `keys` of `width` numbers each, with the distances from one to the next.
struct Heads {
  int64_t queries, keys, width, ld_queries, ld_keys, ld_out;
  double scale;
};

/// Where a kernel's taps stand: w[c * channel_step + tap * tap_step].
template <typename T>
struct Taps {
  const T* data;
  int64_t channel_step, tap_step;
};

template <typename T>
struct Kernels {
  const char* name;

  /// Numbers of scratch that depthwise and depthwise_backward need.
  int64_t (*scratch_size)(Window window);

  /// Bring taps into the order that depthwise reads, `flipped` for the gradient of the input.
  void (*pack)(Window window, Taps<T> taps, bool flipped, T* packed);
  int64_t (*packed_size)(Window window);

  /// out = bias + conv(a) (+ a if residual), a = x * scale + shift by channel (null: x itself). bias may be null.
  void (*depthwise)(Window window, const T* x, int64_t ldx, const T* scale, const T* shift, const T* packed,
                    const T* bias, bool residual, T* out, int64_t ldo, T* scratch);

  /// dx = conv of dy with flipped taps (+ dy if residual), and adds to dw [K*K, C] and db [C] their share.
  void (*depthwise_backward)(Window window, const T* x, int64_t ldx, const T* scale, const T* shift, const T* dy,
                             int64_t ldy, const T* packed_flipped, bool residual, T* dx, int64_t ldd, T* dw, T* db,
                             T* scratch);

  /// out [out_height * out_width, C]; taps w [K*K, C].
  void (*reduce)(Reduction shape, const T* x, int64_t ldx, const T* w, T* out);
  /// Adds to dx and to dw [K*K, C].
  void (*reduce_backward)(Reduction shape, const T* x, int64_t ldx, const T* w, const T* dy, T* dx, int64_t ldd, T* dw);

  /// y = x * scale + shift (+ y's own value if add).
  void (*affine)(int64_t rows, int64_t channels, const T* x, int64_t ldx, const T* scale, const T* shift, bool add, T* y,
                 int64_t ldy);
  /// g = gelu(y) and slope = gelu'(y) of y = x * scale + shift (null: y = x); slope may take the place of x.
  void (*gelu)(int64_t rows, int64_t channels, const T* x, const T* scale, const T* shift, T* g, T* slope);
  /// out = slope * (a e + b g + c) by channel, and adds the column sums of out to sums, if given. a null is 1, b and c
  /// null are 0.
  void (*gelu_backward)(int64_t rows, int64_t channels, const T* slope, const T* e, const T* g, const T* a, const T* b,
                        const T* c, T* out, T* sums);
  /// Mean and sum of squared distances from it, by channel.
  void (*moments)(int64_t rows, int64_t channels, const T* x, int64_t ldx, T* mean, T* squares);
  /// Adds factor * sum(d) and factor * sum(d * (x - center)) by channel.
  void (*sums)(int64_t rows, int64_t channels, const T* d, int64_t ldd, const T* x, int64_t ldx, const T* center,
               T factor, T* sum_d, T* sum_dx);
  /// out = res + a d + b x + c by channel; res may be null.
  void (*combine)(int64_t rows, int64_t channels, const T* res, const T* d, const T* x, const T* a, const T* b,
                  const T* c, T* out, int64_t ldo);

  /// Numbers of scratch that attention and attention_backward need.
  int64_t (*attention_scratch)(Heads heads);
  /// shares [queries, keys] = softmax(scale q k^T + table [queries, keys]), out = shares v.
  void (*attention)(Heads heads, const T* q, const T* k, const T* v, const T* table, T* shares, T* out, T* scratch);
  /// Writes dq, adds to dk, dv (strides as q and k) and dtable.
  void (*attention_backward)(Heads heads, const T* q, const T* k, const T* v, const T* shares, const T* dout, T* dq,
                             T* dk, T* dv, T* dtable, T* scratch);

  /// Pool a map to cells [rows * columns, C] and to its mean [C].
  void (*pool)(Window window, Cells cells, const T* x, int64_t ldx, T* pooled, T* mean);
  /// Adds to dx.
  void (*pool_backward)(Window window, Cells cells, const T* dpooled, const T* dmean, T* dx, int64_t ldd);

  /// Softmax over G of each row [G, C] in place, and its backward pass from dshares to dlogits in place.
  void (*softmax)(int64_t rows, int64_t groups, int64_t channels, T* logits);
  void (*softmax_backward)(int64_t rows, int64_t groups, int64_t channels, const T* shares, T* dshares);
  /// out[place] = sum over g of shares[cell][g] * bank[g][place], each of C channels; bank_step is from g to the next.
  void (*mix)(TapList taps, int64_t groups, int64_t channels, const T* shares, const T* bank, int64_t bank_step, T* out);
  /// Adds to dshares and dbank.
  void (*mix_backward)(TapList taps, int64_t groups, int64_t channels, const T* shares, const T* dout, const T* bank,
                       int64_t bank_step, T* dshares, T* dbank);
};

/// The table of the best instruction set that this machine has.
template <typename T>
const Kernels<T>& kernels();

}  // namespace native
