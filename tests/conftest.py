"""What all tests share: one thread for torch, one Ray, and a small architecture."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fake_sweep import FakeSweep
    from postgres import PostgresServer
    from zygote import Zygote

    from db import Store

# Where Python keeps no bytecode, each of the hundreds of processes that tests start would compile torch and Ray anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Before torch comes: two processes of the suite must not fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What experiments/sweep.py sets: Ray reads it when it is imported, perhaps before the sweep is.
os.environ |= {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

import workers

from transxnet.arch import ArchConfig, StageConfig


def pytest_configure() -> None:
    # A shell starts what runs in its background with Ctrl-C ignored, and the programs that tests interrupt inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return workers.workers_for(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return workers.scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if workers.is_one_of_several(config):
        workers.longest_first(items)


@pytest.fixture(scope="session")
def small_arch() -> ArchConfig:
    """A network of some 50,000 parameters for 32 px images."""
    columns = zip([1, 1, 2, 1], [8, 16, 16, 32], [1, 2, 2, 4], [8, 4, 2, 1], strict=True)
    stages = tuple(StageConfig(depth=d, width=w, heads=h, osr_stride=s) for d, w, h, s in columns)
    return ArchConfig(stages=stages, image_size=(32, 32), num_classes=5)


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """Ray with two CPUs, started once for all tests that run sweeps in this process."""
    import ray
    from lean_ray import start_lean_rays

    start_lean_rays()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process."""
    from postgres import running_server

    with running_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """The server, running, also where the test before left it stopped."""
    postgres_server.start()
    return postgres_server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs' / 'record.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url("record")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store of each kind, with the study `groups`."""
    from db_examples import with_study

    from db import Store

    with Store.open(url) as opened:
        yield with_study(opened)


@pytest.fixture
def sweep(tmp_path: Path) -> FakeSweep:
    """A sweep that neither trains nor needs Ray."""
    from fake_sweep import FakeSweep

    return FakeSweep(tmp_path)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """What starts sweeps in processes of their own; it imports for ten seconds, once."""
    from zygote import running_zygote

    with running_zygote() as started:
        yield started


@pytest.fixture(scope="session")
def native_kernels(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The native kernels, built once for all processes unless they are there; from then on `auto` uses them."""
    import shutil

    from transxnet.kernels.native import library

    if library.load():
        return
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no C++ compiler for the native kernels")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if workers.is_one_of_several(pytestconfig) else base) / "native"
    folder.mkdir(exist_ok=True)
    os.environ[library.FOLDER_VARIABLE] = str(folder)  # workers of sweeps find them there too
    library.load.cache_clear()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.library_file().is_file():
            library.build(folder)
    assert library.load()
