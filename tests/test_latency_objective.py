"""Latency as an objective: measured once for each target, before its trials, and read back ever after."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest
from fake_sweep import FakeSweep, complete, work

from analysis.frame import variant_frame
from db import TrialState
from experiments.latencies import Latencies
from experiments.latency_objective import LatencyConfig, latency_caution, latency_settings
from experiments.objectives import read_objectives
from space.typed import read_dataclass
from transxnet.arch import ArchConfig
from transxnet.cost import Latency, LatencySettings

SETTINGS = LatencySettings("cpu", "a processor", 1, "float32", "pytorch", 1, "2.15")
OBJECTIVES = ("accuracy", "latency")


def milliseconds_of(arch: ArchConfig) -> float:
    return int(arch.id[:4], 16) / 1000


@dataclass
class Clock:
    """Measures by the architecture's name, and tells what it was asked for."""

    settings: LatencySettings = SETTINGS
    asked: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def measure(self, arch: ArchConfig) -> Latency:
        self.asked.append(arch.id)
        middle = milliseconds_of(arch)
        return Latency(middle * 0.9, middle, middle * 1.1, 20, self.settings)

    def driver(self, sweep: FakeSweep, **options):
        store = sweep.store()
        latencies = Latencies(store, sweep.recorder(store), self.settings, self.measure, self.lines.append)
        return sweep.driver(latencies=latencies, **options)


@pytest.fixture
def sweep(tmp_path):
    return FakeSweep(tmp_path, objectives=OBJECTIVES, latency=SETTINGS.to_dict())


def ids_of(sweep):
    return {sweep.space.build(point).id for point in sweep.space.points()}


def test_a_grid_is_measured_before_anything_is_trained_each_network_once(sweep):
    clock = Clock()
    driver = clock.driver(sweep)
    assert clock.asked[0] == sweep.space.base.id
    assert sorted(clock.asked) == sorted(ids_of(sweep))
    assert sweep.trials == []
    work(driver)
    assert len(clock.asked) == 6
    assert clock.lines[0] == (
        "measuring the latency of 6 networks: a processor, 1 thread, batch 1, float32, pytorch kernels"
    )
    assert [line.split()[0] for line in clock.lines[1:]] == [f"{place}/6" for place in range(1, 7)]


def test_later_runs_and_studies_read_what_was_measured(sweep):
    work(Clock().driver(sweep, seeds=1), most=2)
    again = Clock()
    work(again.driver(sweep, seeds=2))
    assert (again.asked, again.lines) == ([], [])
    other = Clock()
    work(other.driver(sweep.named("another")))
    assert other.asked == []


def test_other_settings_are_measured_anew(sweep):
    work(Clock().driver(sweep, seeds=1))
    batched = dataclasses.replace(SETTINGS, batch=8)
    clock = Clock(batched)
    work(clock.driver(dataclasses.replace(sweep, name="batched", latency=batched.to_dict()), seeds=1))
    assert len(clock.asked) == 6


def test_what_was_measured_before_an_interruption_is_kept(sweep):
    class Interrupted(Clock):
        def measure(self, arch):
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().measure(arch)

    first, second = Interrupted(), Clock()
    with pytest.raises(KeyboardInterrupt):
        first.driver(sweep)
    second.driver(sweep)
    assert len(second.asked) == 3
    assert {*first.asked, *second.asked} == ids_of(sweep)


@pytest.mark.parametrize("search", ["random", "tpe", "nsga2"])
def test_a_search_weighs_latency_and_measures_what_it_proposes(sweep, search):
    clock = Clock()
    driver = clock.driver(sweep, seeds=1, variants=4, search=search)
    work(driver)
    assert sorted(clock.asked) == sorted({trial.arch_id for trial in sweep.trials})
    shown = [trial for trial in sweep.shown() if trial.values]
    by_id = {arch.id: milliseconds_of(arch) for arch in map(sweep.space.build, sweep.space.points())}
    assert {trial.user_attrs["arch_id"]: trial.values[1] for trial in shown} == {
        arch_id: by_id[arch_id] for arch_id in clock.asked
    }


def test_the_frame_of_a_study_has_its_latencies(sweep):
    work(Clock().driver(sweep, seeds=1))
    store = sweep.store()
    frame = variant_frame(store.study(sweep.name), store.trials(sweep.name), store.architectures(sweep.name))
    assert frame["latency_ms"].notna().all()
    assert set(sweep.states()) == {TrialState.COMPLETE}


def test_without_the_objective_nothing_is_measured(tmp_path):
    sweep = FakeSweep(tmp_path)
    driver = sweep.driver(seeds=1, variants=1)
    complete(driver, driver.next_job())
    assert sweep.store().find_latency(sweep.space.base.id, SETTINGS.key) is None


def test_settings_are_those_of_this_machine_where_latency_is_an_objective():
    config = LatencyConfig(device="cpu", batch=2, kernels="reference")
    assert latency_settings(config, read_objectives(("accuracy", "gmacs"))) is None
    found = latency_settings(config, read_objectives(OBJECTIVES))
    assert found is not None
    assert (found.device, found.batch, found.kernels, found.threads) == ("cpu", 2, "reference", 1)


def test_a_search_that_measures_beside_trials_says_so():
    assert latency_caution(None, "tpe") is None
    assert latency_caution(SETTINGS, "grid") is None
    assert "resources.max_concurrent" in (latency_caution(SETTINGS, "tpe") or "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"device": "gpu"}, r"latency\.device must be cpu, cuda or cuda:INDEX, got 'gpu'"),
        ({"dtype": "int8"}, r"latency\.dtype must be one of float32, bfloat16, float16, got 'int8'"),
        ({"device": "cpu", "dtype": "float16"}, r"latency\.dtype float16 needs a GPU"),
        ({"batch": 0}, r"latency\.batch must be a whole number of at least 1, got 0"),
        ({"threads": 0}, r"latency\.threads must be a whole number of at least 1, got 0"),
        ({"kernels": "fast"}, r"latency\.kernels must be one of auto"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        read_dataclass(words, LatencyConfig, "latency")
