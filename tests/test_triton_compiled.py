"""The Triton kernels are compiled for GPUs that are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton", reason="triton is not installed")

from triton_cases import INTERPRETED, Case, group_of, group_tensors, own_tensors, run  # noqa: E402

from transxnet.kernels.triton import check  # noqa: E402
from transxnet.kernels.triton.ops import depthwise_group, per_sample  # noqa: E402


class NoGpu:
    """A driver of a GPU that is not there: triton compiles for it and binds arguments, and nothing is launched."""

    def __init__(self, capability: int) -> None:
        self.capability = capability
        self.launches: list[str] = []
        self.utils = self
        self.launcher_cls = self._launcher

    def get_current_target(self) -> Any:
        return triton.backends.compiler.GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return self.capability  # triton keeps what it compiled by device

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 96 * 1024, "warpSize": 32}

    def load_binary(self, name: str, kernel: bytes, shared: int, device: int) -> tuple[None, None, int, int, int]:
        assert kernel
        return None, None, 32, 0, 1024

    def _launcher(self, source: Any, metadata: Any) -> Callable[..., None]:
        return lambda *args, **kwargs: self.launches.append(source.fn.__name__)


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("capability", [80, 90])
def test_kernels_compile_for_gpus(capability: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from transxnet.kernels.triton import convolve

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(check, "require_device", lambda x: None)
    monkeypatch.setattr(convolve._tuned, "_do_bench", lambda call, quantiles: call() or (1.0, 1.0, 1.0))
    driver = NoGpu(capability)
    active = triton.runtime.driver
    before = active._active
    active.set_active(driver)
    try:
        # Where a number is 1, triton compiles another kernel: so one pixel and one unit of channels as well.
        for widths, kernels, size in (((16, 8), (1, 3), 4), ((16,), (7,), 1), ((3,), (3,), 2)):
            tensors = group_tensors(Case((size, size), kernels, widths), torch.bfloat16)
            run(group_of(Case((size, size), kernels, widths), depthwise_group), tensors)
            run(per_sample, own_tensors(Case((size, size), kernels, widths), torch.float32))
    finally:
        active._active = before
    assert set(driver.launches) == {"_pack", "_convolve", "_correlate", "_add_chunks"}
