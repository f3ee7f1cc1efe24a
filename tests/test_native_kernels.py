"""The native kernels: built by command, one library for several instruction sets, and what happens without them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from forks import Forks, forking
from kernel_parity import a_block, assert_same, block_step

from transxnet.arch import ArchConfig
from transxnet.kernels.choice import IMPLEMENTATIONS, implementation
from transxnet.kernels.native import library
from transxnet.network import TransXNet

ROOT = Path(__file__).parent.parent


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, *arguments], env=env, cwd=ROOT, capture_output=True, text=True)


PARITY = """
import os, sys, pytest, torch
os.environ["TRANSXNET_NATIVE_ISA"] = {instruction_set!r}
chosen = "native and (of_any_settings or on_any_map or rounding_errors)"
code = pytest.main(["-q", "-p", "no:cacheprovider", *{files!r}, "-k", chosen])
print(torch.ops.transxnet.instruction_set())
sys.exit(code)
"""


@pytest.mark.parametrize("instruction_set", ["avx2", "plain"])
def test_lesser_instruction_sets_compute_the_same(forks: Forks, instruction_set: str, tmp_path: Path) -> None:
    files = [str(ROOT / "tests" / name) for name in ("test_kernels.py", "test_kernel_networks.py")]
    code = PARITY.format(instruction_set=instruction_set, files=files)
    ended = forks.wait(forks.start("forks:execute", code, said=tmp_path / "said"))
    said = (tmp_path / "said").read_text()
    assert ended == 0, said
    assert " passed" in said
    assert said.splitlines()[-1] in (instruction_set, "plain")  # plain where the machine has no more


@pytest.fixture(scope="module")
def forks(native_kernels: None) -> Iterator[Forks]:
    """Processes that have imported all but the kernels' library."""
    with forking("pytest", "transxnet.network", "torch.utils.flop_counter") as started:
        yield started


def test_sums_do_not_depend_on_the_threads(native_kernels: None) -> None:
    case = a_block((16, 16))
    case = (case[0], torch.cat([case[1]] * 8), case[2])  # a map that is split into parts
    alone = block_step("native", *case)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_same(block_step("native", *case), alone, tolerance=1e-13)
    finally:
        torch.set_num_threads(threads)


def test_without_a_compiler_the_command_says_so(tmp_path: Path) -> None:
    done = run("-m", "transxnet.kernels.build", "--folder", str(tmp_path / "native"), CXX="no-such-compiler")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: the native kernels need a C++20 compiler, got none as 'no-such-compiler'; install g++ or name another "
        "in CXX (without them blocks are computed by PyTorch alone)"
    ]
    assert not (tmp_path / "native").exists()


def test_a_compiler_that_fails_leaves_no_library(tmp_path: Path) -> None:
    done = run("-m", "transxnet.kernels.build", "--folder", str(tmp_path), CXX="false")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the native kernels must compile, got from false:")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(library.FOLDER_VARIABLE, str(tmp_path))
    library.load.cache_clear()
    yield
    library.load.cache_clear()


def test_where_they_are_not_built_pytorch_stands_in_and_says_so(not_built: None, small_arch: ArchConfig) -> None:
    block, x, _ = a_block((4, 4))
    assert implementation("auto", block, x) is IMPLEMENTATIONS["pytorch"]
    assert implementation("native", block, x) is IMPLEMENTATIONS["pytorch"]
    with pytest.warns(UserWarning, match=r"not built .*run python -m transxnet\.kernels\.build"):
        TransXNet(small_arch, kernels="native")


def test_a_library_for_another_torch_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    here = library.library_file()
    monkeypatch.setattr(torch, "__version__", "0.0")
    library._key.cache_clear()
    try:
        assert library.library_file() != here
    finally:
        monkeypatch.undo()
        library._key.cache_clear()


def test_a_library_that_cannot_be_loaded_is_passed_over(not_built: None) -> None:
    library.library_file().write_bytes(b"not a library")
    block, x, _ = a_block((4, 4))
    with pytest.warns(UserWarning, match=r"cannot be loaded.*run python -m transxnet\.kernels\.build again"):
        assert implementation("auto", block, x) is IMPLEMENTATIONS["pytorch"]


def test_a_wheel_carries_the_sources() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    kinds = {f"*{source.suffix}" for source in library.SOURCES.iterdir()}
    assert kinds <= set(settings)
    assert (library.SOURCES.parent / "__init__.py").is_file()  # files of folders that are no packages stay behind
