"""What all tests share: one thread for torch, and a small architecture."""

from __future__ import annotations

import os

import pytest

# Before torch comes: two processes of the suite must not fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"

from transxnet.arch import ArchConfig, StageConfig


@pytest.fixture(scope="session")
def small_arch() -> ArchConfig:
    """A network of some 50,000 parameters for 32 px images."""
    columns = zip([1, 1, 2, 1], [8, 16, 16, 32], [1, 2, 2, 4], [8, 4, 2, 1], strict=True)
    stages = tuple(StageConfig(depth=d, width=w, heads=h, osr_stride=s) for d, w, h, s in columns)
    return ArchConfig(stages=stages, image_size=(32, 32), num_classes=5)
