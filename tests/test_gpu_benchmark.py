"""The GPU benchmark without a GPU: its cases, measurements on a CPU, table, JSON, and what it says here."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are run from the checkout, not installed

from benchmarks import gpu
from benchmarks.chosen import chosen
from benchmarks.on_gpu import cases, report
from benchmarks.on_gpu.clock import interleaved_ms
from benchmarks.on_gpu.measure import Effort, Measurement, measure_case
from benchmarks.on_gpu.parity import parity_error
from benchmarks.on_gpu.sharing import Sharing, Trial, run_trial, trials_an_hour
from benchmarks.on_gpu.variants import MODES, Variant, draw_batch, make_step, variants_of
from experiments.graphed_step import GraphedStep, Snapshot
from transxnet.arch import ArchConfig

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny(small_arch: ArchConfig) -> cases.Case:
    arch = small_arch.replace(image_size=(32, 32))
    case = cases.transxnet_case("tiny", arch, 4)
    return dataclasses.replace(case, implementations=(cases.REFERENCE, cases.CHANNELS_LAST))


def test_cases_cover_the_proxies_the_target_and_timms_networks() -> None:
    found = {case.name: case for case in cases.all_cases()}
    assert list(found) == ["small_32", "proxy_cifar", "proxy_gpu", "transxnet_t_224", *cases.TIMM_NETWORKS]
    assert found["transxnet_t_224"].gmacs == pytest.approx(1.8456, abs=1e-4)
    assert [found[name].image_size for name in ("small_32", "proxy_cifar", "proxy_gpu")] == [32, 32, 64]
    assert [stage.depth for stage in cases.small_arch().stages] == [1, 1, 2, 1]
    assert [stage.width for stage in cases.small_arch().stages] == [24, 48, 112, 224]


def test_timms_networks_are_counted_as_published() -> None:
    assert cases.counted_gmacs("convnext_atto", 224) == pytest.approx(0.55, abs=0.01)
    assert cases.counted_gmacs("swin_tiny_patch4_window7_224", 224) == pytest.approx(4.5, abs=0.1)


def test_a_name_that_is_no_cases_is_refused_with_the_names() -> None:
    with pytest.raises(ValueError, match=r"a case must be one of small_32, .*, got 'resnet'"):
        chosen(cases.all_cases(), ["resnet"])


def test_every_implementation_meets_every_mode_and_the_baseline_comes_first(tiny: cases.Case) -> None:
    found = variants_of(tiny, ["graph", "eager"])
    assert found[0] == Variant("reference", "eager")
    assert len(found) == len(set(found)) == 4
    assert len(variants_of(cases.all_cases()[0], list(MODES))) == 16
    with pytest.raises(ValueError, match=r"a mode must be one of eager, graph, compile, compile\+graph, got 'fast'"):
        variants_of(tiny, ["fast"])


def test_a_case_is_measured_and_what_fails_does_not_stop_the_rest(tiny: cases.Case) -> None:
    found = list(measure_case(tiny, ["eager", "graph"], CPU, Effort(rounds=1, repeats=1)))
    assert [(m.implementation, m.mode) for m in found if m.error is None] == [
        ("reference", "eager"),
        ("channels_last", "eager"),
    ]
    for measured in found[:1]:
        assert measured.step_ms is not None
        assert measured.step_ms > 0
        assert measured.parity == pytest.approx(1)
    failed = [m.error for m in found if m.mode == "graph"]
    assert failed == ["ValueError: a step is recorded on a GPU, got images on cpu; call the step itself"] * 2


def test_a_step_trains(tiny: cases.Case) -> None:
    step = make_step(tiny, Variant("reference", "eager"), draw_batch(tiny, 4, CPU))
    losses = [step().item() for _ in range(8)]
    assert losses[-1] < losses[0]


def test_parity_tells_a_worse_implementation(tiny: cases.Case) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny.make("reference")

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.inner(images)
            return logits * 1.2

    noisy = dataclasses.replace(tiny, make=lambda name: Noisy() if name == "noisy" else tiny.make("reference"))
    assert parity_error(noisy, "reference", CPU) == pytest.approx(1)
    assert parity_error(noisy, "noisy", CPU) > 3


def test_steps_take_turns_and_the_median_counts() -> None:
    order: list[str] = []
    times = interleaved_ms([lambda: order.append("a"), lambda: order.append("b")], CPU, rounds=3, repeats=2)
    assert len(times) == 2
    assert "".join(order[-12:]) == "aabb" * 3


def test_the_table_shows_numbers_and_reasons() -> None:
    good = Measurement("t", "triton", "graph", 128, 1.8, 12.345, 4.0, 53.6, 10.0, 1.1)
    bad = Measurement("t", "triton", "compile", 128, 1.8, error="OutOfMemoryError: no memory for this and that")
    text = report.table(report.STEP_COLUMNS, report.step_rows([good, bad]))
    header, rule, first, second = text.splitlines()
    assert header.split()[:3] == ["case", "kernels", "mode"]
    assert set(rule) == {"-", " "}
    assert first.split() == ["t", "triton", "graph", "12.35", "4.00", "53.6", "10.00", "1.10"]
    assert second.endswith("failed:  OutOfMemoryError: no memory for this and that")


def test_json_holds_the_machine_and_every_number(tmp_path: Path) -> None:
    measurement = Measurement("t", "triton", "graph", 128, 1.8, 12.5)
    sharing = Sharing("cifar", "triton", "graph", 2, 120.0)
    report.write_json(tmp_path / "deep" / "gpu.json", CPU, [measurement], [sharing])
    content = json.loads((tmp_path / "deep" / "gpu.json").read_text())
    assert torch.__version__.startswith(content["machine"]["torch"])
    assert content["steps"] == [dataclasses.asdict(measurement)]
    assert content["sharing"] == [dataclasses.asdict(sharing)]
    assert {"host", "processor", "cores", "device"} <= content["machine"].keys()
    assert content["date"]
    assert content["code"]


def test_a_baseline_that_cannot_be_made_is_told_for_every_variant(tiny: cases.Case) -> None:
    def fails(implementation: str) -> nn.Module:
        raise torch.OutOfMemoryError("no memory left\nat all")

    found = list(measure_case(dataclasses.replace(tiny, make=fails), ["eager"], CPU, Effort(rounds=1, repeats=1)))
    assert [m.error for m in found] == ["the baseline: OutOfMemoryError: no memory left"] * 2


def test_processes_that_fail_are_told_and_do_not_stop_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(trial: Trial, processes: int, device: str) -> Sharing:
        if processes == 2:
            raise RuntimeError("2 processes: a trial failed")
        return Sharing(trial.proxy, trial.variant.implementation, trial.variant.mode, processes, 60.0)

    monkeypatch.setattr(gpu, "trials_an_hour", fails)
    out = tmp_path / "gpu.json"
    options = gpu._parser().parse_args(["--only", "sharing", "--processes", "2", "1", "--out", str(out)])
    gpu.run(options, CPU)
    printed = capsys.readouterr().out
    assert printed.count("failed: RuntimeError: 2 processes: a trial failed") == 2 * 3, "as it comes, and in the table"
    told = [(one["processes"], one["trials_an_hour"], one["error"]) for one in json.loads(out.read_text())["sharing"]]
    assert told == [(2, None, "RuntimeError: 2 processes: a trial failed")] * 3 + [(1, 60.0, None)] * 3


def test_trials_share_a_device() -> None:
    trial = Trial("quick", Variant("reference", "eager"), batch=2, steps=1)
    assert run_trial(trial, CPU) > 0
    found = trials_an_hour(trial, 2, "cpu", trials_each=1)
    assert (found.processes, found.proxy, found.implementation) == (2, "quick", "reference")
    assert found.trials_an_hour > 0


def test_a_run_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: cases.Case) -> None:
    options = gpu._parser().parse_args(["--only", "steps", "--rounds", "1", "--repeats", "1", "--modes", "eager"])
    options = argparse.Namespace(**vars(options) | {"out": tmp_path / "gpu.json"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "all_cases", lambda batch: [tiny])
        gpu.run(options, CPU)
    printed = capsys.readouterr().out
    assert "us/image/GMAC" in printed
    assert str(tmp_path / "gpu.json") in printed
    assert len(json.loads((tmp_path / "gpu.json").read_text())["steps"]) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "needs a GPU" in captured.err


def test_a_snapshot_takes_steps_back() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    snapshot = Snapshot(network, optimizer)
    network(torch.randn(3, 2)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(network[0].weight, before["0.weight"])
    snapshot.restore()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(not value.any() for state in optimizer.state.values() for value in state.values())


def test_a_step_that_cannot_be_recorded_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    before = network.weight.detach().clone()

    def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        assert not torch.equal(network.weight, before)
        raise RuntimeError("this operation is not permitted")

    monkeypatch.setattr("experiments.graphed_step._require_recordable", lambda optimizer, images: None)
    monkeypatch.setattr("experiments.graphed_step._warm_up", lambda step, images, labels: step(images, labels))
    with pytest.raises(RuntimeError, match="not permitted"):
        GraphedStep(step, network, optimizer, torch.randn(3, 2), torch.randint(2, (3,)))
    assert torch.equal(network.weight, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a step is recorded on a GPU")
def test_a_recorded_step_trains_as_the_step_does() -> None:
    def losses(recorded: bool) -> list[float]:
        torch.manual_seed(0)
        network = nn.Linear(8, 4).cuda()
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, fused=True, capturable=True)

        def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            return loss.detach()

        batches = [(torch.randn(6, 8).cuda(), torch.randint(4, (6,)).cuda()) for _ in range(5)]
        call = GraphedStep(step, network, optimizer, *batches[0]) if recorded else step
        return [call(*batch).item() for batch in batches]

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)
