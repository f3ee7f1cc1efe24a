"""A network's latency: what is measured, by which settings, and what is left as it was."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
import torch

from transxnet.arch import ArchConfig
from transxnet.cost import Effort, Latency, LatencySettings, latency
from transxnet.cost import timed as clock
from transxnet.kernels.choice import IMPLEMENTATIONS

BRIEF = Effort(warmup_runs=1, warmup_seconds=0, repeats=4, seconds=0)
SETTINGS = LatencySettings("cpu", "a processor", 2, "float32", "pytorch", 1, "2.15", (32, 64))


@pytest.mark.parametrize(("dtype", "kernels"), [("float32", "auto"), ("float32", "reference"), ("bfloat16", "pytorch")])
def test_a_network_is_timed_by_the_settings_that_it_tells(small_arch: ArchConfig, dtype: str, kernels: str) -> None:
    found = latency(small_arch, batch=2, dtype=dtype, kernels=kernels, threads=1, image_size=48, effort=BRIEF)
    assert 0 < found.p10_ms <= found.p50_ms <= found.p90_ms
    assert found.repeats == 4
    told = found.settings
    assert (told.device, told.batch, told.dtype, told.threads) == ("cpu", 2, dtype, 1)
    assert told.image_size == (48, 48)
    assert told.kernels in ({"pytorch", "native"} if kernels == "auto" else {kernels})
    assert told.torch == torch.__version__
    assert told.device_name


def test_what_stands_in_for_kernels_is_told(small_arch: ArchConfig) -> None:
    # Native kernels compute in full precision alone.
    found = latency(small_arch, dtype="bfloat16", threads=1, effort=BRIEF)
    assert found.settings.kernels == "pytorch"


def test_threads_random_state_and_gradients_stay_as_they_were(small_arch: ArchConfig) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    latency(small_arch, threads=threads + 1, effort=BRIEF)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_network_is_made_for_the_image_size_asked_for(small_arch: ArchConfig) -> None:
    settings = clock.settings_here(threads=1, image_size=(64, 32))
    with clock.conditions(settings):
        logits = clock.network_step(small_arch, settings)()
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (1, small_arch.num_classes)
    own = clock.settings_here(threads=1)
    assert own.image_size is None


def test_percentiles_are_those_of_the_runs_after_the_warm_up(
    small_arch: ArchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.chain([1000.0] * 5, map(float, range(11)))
    monkeypatch.setattr(clock, "run_ms", lambda step, settings: next(times))
    found = latency(small_arch, threads=1, effort=Effort(warmup_runs=5, warmup_seconds=0, repeats=11, seconds=0))
    assert (found.p10_ms, found.p50_ms, found.p90_ms, found.repeats) == (1, 5, 9, 11)


def test_warming_up_and_measuring_take_their_time(small_arch: ArchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(0.0, 0.25)
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(now))
    runs: list[float] = []
    monkeypatch.setattr(clock, "run_ms", lambda step, settings: runs.append(1.0) or 1.0)
    effort = Effort(warmup_runs=1, warmup_seconds=1, repeats=2, seconds=2)
    assert latency(small_arch, threads=1, effort=effort).repeats == 2 + 7
    assert len(runs) == (1 + 3) + (2 + 7)


def test_json_gives_a_latency_back_whole() -> None:
    found = Latency(1.25, 1.5, 2.0, 20, SETTINGS)
    assert Latency.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    plain = dataclasses.replace(SETTINGS, image_size=None)
    assert LatencySettings.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain


def test_a_key_is_that_of_equal_settings_alone() -> None:
    others = [
        dataclasses.replace(SETTINGS, **{name: value})
        for name, value in {
            "device_name": "another", "batch": 1, "dtype": "bfloat16", "kernels": "native", "threads": 2,
            "torch": "2.16", "image_size": None,
        }.items()
    ]  # fmt: skip
    assert len({SETTINGS.key, *(other.key for other in others)}) == len(others) + 1
    assert dataclasses.replace(SETTINGS).key == SETTINGS.key


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dtype": "float16"}, "dtype float16 needs a GPU, got device cpu; write bfloat16 or float32"),
        ({"dtype": "int8"}, "dtype must be one of float32, bfloat16, float16, got 'int8'"),
        ({"device": "gpu"}, "device must be cpu, cuda or cuda:INDEX, got 'gpu'"),
        ({"device": "cuda:99"}, "device must be there, got cuda:99 where torch finds"),
        ({"batch": 0}, "batch must be a whole number of at least 1, got 0"),
        ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ({"image_size": (1, 2, 3)}, "image_size must be one number or height and width"),
        ({"kernels": "fast"}, f"kernels must be one of auto, {', '.join(IMPLEMENTATIONS)}, got 'fast'"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(small_arch: ArchConfig, asked: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match="^" + said.replace("(", r"\(")) as caught:
        latency(small_arch, **asked, effort=BRIEF)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_effort_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="repeats must be a whole number of at least 2, got 1"):
        Effort(repeats=1)
    with pytest.raises(ValueError, match="seconds must be 0 or above, got nan"):
        Effort(seconds=float("nan"))


def test_settings_of_another_machine_are_refused(small_arch: ArchConfig) -> None:
    with pytest.raises(ValueError, match=r"measured where its settings are from, got settings of a processor"):
        clock.measure_latency(small_arch, SETTINGS, BRIEF)


@pytest.mark.parametrize("wrong", [{}, {"p50_ms": 1.0}])
def test_json_of_something_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a latency must have the keys p10_ms, p50_ms"):
        Latency.from_dict(wrong)
