"""The Triton kernels against conv2d: on a GPU where there is one, otherwise in Triton's interpreter, a process apart.

The interpreter must be chosen before triton is imported, and for a whole process. So without a GPU this file runs
itself again under TRITON_INTERPRET=1.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed")

from triton_cases import (
    CASES,
    DEVICE,
    INTERPRETED,
    RUNS_HERE,
    Case,
    assert_as_exact,
    error,
    group_of,
    group_tensors,
    own_tensors,
    plain_group,
    plain_per_sample,
    run,
)  # fmt: skip

from transxnet.arch import ArchConfig
from transxnet.block import Block
from transxnet.kernels.triton import ops
from transxnet.kernels.triton.block import block
from transxnet.kernels.triton.layout import Shares, as_pixels
from transxnet.kernels.triton.ops import depthwise_group, per_sample
from transxnet.network import position_table_shape

BLOCKS: dict[str, tuple[dict[str, Any], bool]] = {
    "the_papers": ({}, True),
    "the_papers_in_evaluation": ({}, False),
    "dyconv": ({"local_mixer": "dyconv"}, True),
    "d_dwconv": ({"local_mixer": "d_dwconv", "ffn": "inverted_residual"}, True),
    "dwconv_and_plain_ffn": ({"local_mixer": "dwconv", "ffn": "plain"}, True),
    "series": ({"mixing": "series", "global_mixer": "sra", "token_enhancer": "conv1x1"}, True),
    "few_parts": (
        {"local_mixer": "none", "global_mixer": "none", "token_enhancer": "none", "dpe": False, "layer_scale": False},
        True,
    ),
}
"""Fields of a stage that depart from the paper's, and whether the block trains."""
ALL_CASES = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


class TestKernels:
    """What the kernels compute, on the device where they can run."""

    __test__ = RUNS_HERE

    @ALL_CASES
    def test_depthwise_group_is_the_convolutions_and_their_gradients(self, case: Case) -> None:
        functions = group_of(case, depthwise_group), group_of(case, plain_group)
        assert_as_exact(*functions, lambda dtype: group_tensors(case, dtype))

    @ALL_CASES
    def test_per_sample_is_the_grouped_convolution_and_its_gradients(self, case: Case) -> None:
        assert_as_exact(per_sample, plain_per_sample, lambda dtype: own_tensors(case, dtype))

    def test_gradients_agree_with_finite_differences(self) -> None:
        case = Case((3, 2), (1, 3), (2, 1))
        *inputs, _ = group_tensors(case, torch.float64)
        inputs = [tensor.requires_grad_() for tensor in inputs]
        assert torch.autograd.gradcheck(group_of(case, depthwise_group), inputs, fast_mode=True)
        *inputs, _ = own_tensors(Case((2, 3), (3,), (2,)), torch.float64)
        inputs = [tensor.requires_grad_() for tensor in inputs]
        assert torch.autograd.gradcheck(per_sample, inputs, fast_mode=True)

    def test_runs_repeat_bit_for_bit(self) -> None:
        case = CASES["several_tiles_and_chunks"]
        group, own = group_tensors(case, torch.float32), own_tensors(case, torch.float32)
        for function, tensors in ((group_of(case, depthwise_group), group), (per_sample, own)):
            for first, second in zip(run(function, tensors), run(function, tensors), strict=True):
                assert torch.equal(first, second)

    def test_under_autocast_the_map_is_cast_and_weights_keep_their_type(self) -> None:
        case = replace(CASES["ms_ffn_with_odd_shares"], residual=False)
        tensors = group_tensors(case, torch.float32)
        with torch.autocast(DEVICE, torch.bfloat16):
            found = run(group_of(case, depthwise_group), tensors)
            own = run(group_of(case, plain_group), tensors)
        exact = run(group_of(case, plain_group), group_tensors(case, torch.float64))
        assert [tensor.dtype for tensor in found] == [torch.bfloat16] + [torch.float32] * (len(found) - 1)
        for mine, reference, true in zip(found, own, exact, strict=True):
            # Triton's interpreter truncates to bfloat16, a GPU rounds.
            assert error(mine, true) <= (3 if INTERPRETED else 1.5) * error(reference, true)

    def test_float16_maps_meet_float32_weights(self) -> None:
        x, kernels, biases, _ = own_tensors(Case((3, 3), (3,), (8,)), torch.float32)
        out = per_sample(x.half(), kernels, biases)
        assert out.dtype == torch.float16
        torch.testing.assert_close(out.float(), plain_per_sample(x, kernels, biases), rtol=2e-3, atol=2e-3)

    @pytest.mark.parametrize("lay", [Tensor.contiguous, lambda x: x.transpose(2, 3).contiguous().transpose(2, 3)])
    def test_any_layout_of_the_map_gives_the_same_channels_last_result(self, lay: Callable[[Tensor], Tensor]) -> None:
        case = Case((4, 3), (3,), (8,))
        x, weight, bias, grad = group_tensors(case, torch.float32)
        for found, expected in zip(
            run(group_of(case, depthwise_group), [lay(x), weight, bias, lay(grad)]),
            run(group_of(case, depthwise_group), [x, weight, bias, grad]),
            strict=True,
        ):
            assert torch.equal(found, expected)
        assert depthwise_group(lay(x), (weight,), (bias,), residual=True).is_contiguous(
            memory_format=torch.channels_last
        )

    def test_a_slice_of_the_channels_gives_the_same_result(self) -> None:
        case = Case((4, 3), (3,), (8,))
        x, weight, bias, grad = group_tensors(case, torch.float32)
        wide = torch.cat([torch.zeros_like(x), x], dim=1).contiguous(memory_format=torch.channels_last)
        plain = run(group_of(case, depthwise_group), [x, weight, bias, grad])
        for found, expected in zip(
            run(group_of(case, depthwise_group), [wide[:, 8:], weight, bias, grad]), plain, strict=True
        ):
            assert torch.equal(found, expected)

    def test_gradients_are_laid_out_as_what_they_belong_to(self) -> None:
        case = CASES["ms_ffn_with_odd_shares"]
        _, grad_x, *grads = run(group_of(case, depthwise_group), group_tensors(case, torch.float32))
        assert grad_x.is_contiguous(memory_format=torch.channels_last)
        assert all(grad.is_contiguous() for grad in grads)
        _, grad_x, kernels, biases = run(per_sample, own_tensors(case, torch.float32))
        assert grad_x.is_contiguous(memory_format=torch.channels_last)
        assert kernels.permute(0, 2, 3, 1).is_contiguous()
        assert biases.is_contiguous()

    def test_permuted_kernels_give_the_same_result(self) -> None:
        x, kernels, biases, _ = own_tensors(Case((4, 3), (3,), (8,)), torch.float32)
        permuted = kernels.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        assert torch.equal(per_sample(x, permuted, biases), per_sample(x, kernels, biases))

    def test_weights_alone_can_be_trained(self) -> None:
        case = Case((3, 3), (3,), (8,))
        x, weight, bias, _ = group_tensors(case, torch.float32)
        depthwise_group(x, (weight.requires_grad_(),), (bias,), residual=True).sum().backward()
        assert weight.grad is not None
        assert x.grad is None
        assert bias.grad is None

    def test_operators_pass_torchs_own_checks(self) -> None:
        case = Case((3, 2), (1, 3), (2, 3))
        x, w1, w3, b1, b3, grad = group_tensors(case, torch.float32)
        inputs = [tensor.requires_grad_() for tensor in (x, w1, w3, b1, b3)]
        out, packed = ops._group(x.detach(), [w1.detach(), w3.detach()], [b1.detach(), b3.detach()], True)
        assert out.shape == x.shape
        torch.library.opcheck(ops._group_op, (inputs[0], inputs[1:3], inputs[3:], True))
        torch.library.opcheck(ops._group_grad_input_op, (grad, packed, [1, 3], [2, 3], True))
        torch.library.opcheck(ops._group_grad_weights_op, (grad, x.detach(), [1, 3], [2, 3], torch.float32))

    def test_operators_of_per_sample_pass_torchs_own_checks(self) -> None:
        x, kernels, biases, grad = own_tensors(Case((3, 2), (3,), (4,)), torch.float32)
        inputs = [tensor.clone().requires_grad_() for tensor in (x, kernels, biases)]
        torch.library.opcheck(ops._own_op, tuple(inputs))
        torch.library.opcheck(ops._own_grad_input_op, (grad, kernels))
        torch.library.opcheck(ops._own_grad_kernels_op, (grad, x, 3, torch.float32))

    @pytest.mark.parametrize(("words", "training"), BLOCKS.values(), ids=BLOCKS)
    def test_a_block_of_them_is_the_reference_block(
        self, small_arch: ArchConfig, words: dict[str, Any], training: bool
    ) -> None:
        torch.manual_seed(0)
        stage = replace(small_arch.stages[1], **words)
        plain = Block(stage, drop_path=0.0).to(DEVICE, torch.float64).train(training)
        for scale in (plain.layer_scale1, plain.layer_scale2):
            if stage.layer_scale:
                torch.nn.init.ones_(scale.weight)  # as it is made, 1e-5, it would hide what it scales
        fast = copy.deepcopy(plain)
        x, grad = torch.randn(2, 2, stage.width, 4, 4, dtype=torch.float64, device=DEVICE)
        table = None
        if stage.has_table:
            table = torch.randn(position_table_shape(stage, (4, 4)), dtype=torch.float64, device=DEVICE)
        expected, found = plain(x, table), block(fast, x, table)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        expected.backward(grad)
        found.backward(grad)
        for (name, mine), (_, true) in zip(fast.named_parameters(), plain.named_parameters(), strict=True):
            torch.testing.assert_close(mine.grad, true.grad, rtol=1e-9, atol=1e-10, msg=name)
        for (name, mine), (_, true) in zip(fast.named_buffers(), plain.named_buffers(), strict=True):
            torch.testing.assert_close(mine, true, msg=name)

    def test_torch_compile_takes_them_without_a_graph_break(self) -> None:
        case = Case((3, 2), (3,), (4,))
        x, weight, bias, grad = group_tensors(case, torch.float32)
        _, kernels, biases, _ = own_tensors(case, torch.float32)

        def both(x: Tensor, weight: Tensor, bias: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
            return per_sample(depthwise_group(x, (weight,), (bias,), residual=True), kernels, biases)

        tensors = [x, weight, bias, kernels, biases, grad]
        compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
        for found, expected in zip(run(compiled, tensors), run(both, tensors), strict=True):
            torch.testing.assert_close(found, expected)
            assert found.stride() == expected.stride()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"x": torch.zeros(4, 3, 3)}, r"x must be a map \[B, C, H, W\].*got \(4, 3, 3\)"),
            ({"x": torch.zeros(2, 4, 0, 3)}, "that is not empty, got"),
            ({"x": torch.zeros(2, 4, 3, 3, dtype=torch.int32)}, "floating-point type, got torch.int32"),
            ({"x": torch.zeros(2, 5, 3, 3)}, r"share out the map's 5 channels, got \[4\]"),
            ({"weights": ()}, "as many, at least one each, got 0 and 1"),
            ({"weights": (torch.zeros(4, 1, 2, 2),)}, r"odd K_i, got \(4, 1, 2, 2\)"),
            ({"weights": (torch.zeros(4, 4, 3, 3),)}, r"\[C_i, 1, K_i, K_i\] with odd K_i, got"),
            ({"weights": (torch.zeros(4, 1, 3, 3).double(),)}, "weights and biases must be of one type, got"),
            ({"biases": (torch.zeros(3),)}, r"must have the shape \[4\], got \(3,\)"),
        ],
    )
    def test_bad_arguments_of_a_group_are_one_clear_line(self, change: dict[str, Any], message: str) -> None:
        given: dict[str, Any] = {
            "x": torch.zeros(2, 4, 3, 3),
            "weights": (torch.zeros(4, 1, 3, 3),),
            "biases": (torch.zeros(4),),
        }
        given = {name: on_device(value) for name, value in (given | change).items()}
        with pytest.raises(ValueError, match=message) as caught:
            depthwise_group(given["x"], given["weights"], given["biases"], residual=False)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("kernels", "biases", "message"),
        [
            ((2, 4, 3, 5), (2, 4), r"kernels must have the shape \[2, 4, K, K\] with odd K, got \(2, 4, 3, 5\)"),
            ((1, 4, 3, 3), (2, 4), "kernels must have the shape"),
            ((2, 4, 3, 3), (4,), r"biases must have the shape \[2, 4\], got \(4,\)"),
        ],
    )
    def test_bad_arguments_of_per_sample_are_one_clear_line(
        self, kernels: tuple[int, ...], biases: tuple[int, ...], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            per_sample(*(torch.zeros(shape, device=DEVICE) for shape in ((2, 4, 3, 3), kernels, biases)))


def on_device(value: Any) -> Any:
    return tuple(part.to(DEVICE) for part in value) if isinstance(value, tuple) else value.to(DEVICE)


def test_slices_and_channels_last_maps_are_read_in_place() -> None:
    x = torch.randn(2, 8, 3, 3).to(memory_format=torch.channels_last)
    assert as_pixels(x).rows.data_ptr() == x.data_ptr()
    half = as_pixels(x[:, 4:])
    assert (half.rows.data_ptr(), half.stride) == (x[:, 4:].data_ptr(), 8)
    copied = as_pixels(x.contiguous())
    assert copied.rows.data_ptr() != x.data_ptr()
    assert copied.stride == 8


@pytest.mark.parametrize(("widths", "channels"), [((48,), 64), ((224,), 64), ((24,), 32), ((96,), 32), ((8, 8), 16)])
def test_channel_blocks_are_wide_where_few_lanes_stay_idle(widths: tuple[int, ...], channels: int) -> None:
    shares = Shares((3,) * len(widths), widths)
    assert shares.block == channels
    assert shares.block_rows == 3 * sum(-(-width // channels) for width in widths)


@pytest.mark.skipif(RUNS_HERE, reason="the kernels run here")
def test_without_a_gpu_the_error_names_the_remedy() -> None:
    with pytest.raises(ValueError, match='need tensors on a GPU, got one on cpu; use kernels="pytorch"'):
        per_sample(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), torch.zeros(1, 2))


@pytest.mark.skipif(RUNS_HERE, reason="the kernels run here")
def test_kernels_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__))]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
