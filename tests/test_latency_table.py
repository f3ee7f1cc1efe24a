"""The latency table: what it measures, how it adds up, what it refuses; on made-up clocks, and once on a real one."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from transxnet.arch import ArchConfig, StageConfig
from transxnet.cost import LatencySettings, LatencyTable
from transxnet.cost.calibration import Calibration, CalibrationPoint
from transxnet.cost.latency_parts import BlockPart, EdgePart, Part, edges, places
from transxnet.cost.timed import settings_here
from transxnet.cost.timed_parts import TorchBench

SETTINGS = LatencySettings("cpu", "a processor", 1, "float32", "native", 1, "2.15")


def block_ms(stage: StageConfig, grid: tuple[int, int]) -> float:
    """Parts that add up; each feels its own settings, the width and the map."""
    local = {"idconv": stage.idconv_groups, "dwconv": 0.5}.get(stage.local_mixer, 0.0) * stage.idconv_kernel
    distant = 30 / stage.osr_stride + stage.heads
    ffn = stage.ffn_ratio * sum(stage.ffn_kernels)
    return 1e-3 * stage.width * (local + distant + ffn + stage.dpe_kernel * stage.dpe) + 0.01 * grid[0] * grid[1]


@dataclass
class FakeBench:
    """Times that follow from the description; a network takes twice its parts and 5 ms more."""

    disturb: Callable[[int, Part], float] = lambda call, part: 1.0
    """Factor, by number of the call from 0 and by part."""
    asked: list[list[Part]] = field(default_factory=list)

    def times_ms(self, parts: Sequence[Part]) -> list[float]:
        self.asked.append(list(parts))
        return [self.part_ms(part) * self.disturb(len(self.asked) - 1, part) for part in parts]

    def part_ms(self, part: Part) -> float:
        if isinstance(part, BlockPart):
            return block_ms(part.stage, part.grid) * (1 if part.has_all_parts else 3)
        if isinstance(part, EdgePart):
            return 0.01 * math.prod(part.shape) ** 0.5
        blocks = places(part)
        return 5 + 2 * (
            sum(map(self.part_ms, edges(part))) + sum(place.depth * self.part_ms(place.block) for place in blocks)
        )


def variants(base: ArchConfig, **choices: Sequence[object]) -> list[ArchConfig]:
    """All combinations of one value of each field for the four stages."""
    combinations = itertools.product(*choices.values())
    return [base.with_stages(**{n: [v] * 4 for n, v in zip(choices, values, strict=True)}) for values in combinations]


CHOICES = {"idconv_groups": [2, 1, 4], "ffn_kernels": [(3,), (1, 3), (1, 3, 5)], "osr_stride": [2, 4], "depth": [1, 3]}


@pytest.fixture
def space(small_arch: ArchConfig) -> list[ArchConfig]:
    return variants(small_arch, **CHOICES)


def relative_error(table: LatencyTable, bench: FakeBench, archs: Sequence[ArchConfig]) -> float:
    return max(abs(table.predict(arch) / bench.part_ms(arch) - 1) for arch in archs)


def test_parts_that_add_up_predict_every_network_exactly(space: list[ArchConfig]) -> None:
    bench = FakeBench()
    # So few that no two choices come together that often: every choice occurs, most networks do not.
    some = [space[0], *space[5::7]]
    table = LatencyTable.measure(some, SETTINGS, bench=bench, passes=1)
    assert relative_error(table, bench, space) < 1e-9
    assert (table.calibration.slope, table.calibration.offset_ms) == (pytest.approx(2), pytest.approx(5))


def test_each_part_is_measured_once_a_pass_and_blocks_differ_from_their_reference_in_one_part(
    space: list[ArchConfig],
) -> None:
    bench = FakeBench()
    table = LatencyTable.measure(space, SETTINGS, bench=bench, passes=2, calibrations=3)
    # Per position a reference, 2 more of groups, 2 of kernels, 1 of strides; 4 positions; stem, 3 downsamplings, head.
    assert table.size == 4 * (1 + 2 + 2 + 1) + 5
    compared = Counter(part for call in bench.asked for part in call[1:] if not isinstance(part, ArchConfig))
    assert set(compared.values()) == {2}
    assert len(compared) == table.size
    whole = [call for call in bench.asked if isinstance(call[0], ArchConfig)]
    assert [len(call) for call in whole] == [3, 3]
    for call in bench.asked:
        if len(call) == 1 + 5 and isinstance(call[0], BlockPart):
            changed = [_changes(call[0].stage, part.stage) for part in call[1:] if isinstance(part, BlockPart)]
            assert all(len(names) == 1 for names in changed)


def _changes(stage: StageConfig, other: StageConfig) -> list[str]:
    return [f.name for f in dataclasses.fields(stage) if getattr(stage, f.name) != getattr(other, f.name)]


def test_a_machine_that_slows_down_does_not_bend_the_parts(space: list[ArchConfig]) -> None:
    bench = FakeBench(disturb=lambda call, part: 1.5 if 1 <= call % 6 <= 4 else 1.0)
    table = LatencyTable.measure(space, SETTINGS, bench=bench, passes=1)
    assert relative_error(table, bench, space) < 1e-9


def test_one_disturbed_pass_of_three_does_not_count(space: list[ArchConfig]) -> None:
    calls_a_pass = 6
    bench = FakeBench(disturb=lambda call, part: 1.0 if call // calls_a_pass != 1 else 1 + hash(part) % 7)
    table = LatencyTable.measure(space, SETTINGS, bench=bench)
    assert len(bench.asked) == 3 * calls_a_pass
    assert relative_error(table, bench, space) < 1e-9


def test_many_parts_are_measured_in_groups_with_one_part_in_all(small_arch: ArchConfig) -> None:
    bench = FakeBench(disturb=lambda call, part: 1 + call / 10)  # each group slower than the last
    archs = variants(small_arch, idconv_groups=range(1, 9), idconv_kernel=[1, 3, 5, 7, 9])
    table = LatencyTable.measure(archs, SETTINGS, bench=bench, passes=1)
    assert max(map(len, bench.asked)) <= 33
    assert table.sum_ms(archs[7]) == pytest.approx((FakeBench().part_ms(archs[7]) - 5) / 2)


def test_blocks_that_other_kernels_compute_have_a_reference_of_their_own(small_arch: ArchConfig) -> None:
    bench = FakeBench()
    archs = variants(small_arch, local_mixer=["idconv", "dwconv"], ffn_kernels=[(3,), (1, 3)], dpe_kernel=[3, 7])
    table = LatencyTable.measure([archs[0], *archs[3:]], SETTINGS, bench=bench, passes=1)
    assert relative_error(table, bench, archs) < 1e-9
    assert {name.rpartition(" ")[2] for name in table.blocks} == {"true", "false"}


def test_settings_of_an_operator_that_is_not_there_are_not_felt(small_arch: ArchConfig) -> None:
    bench = FakeBench()
    archs = variants(small_arch, local_mixer=["dwconv"], idconv_groups=[1, 2, 4])
    table = LatencyTable.measure(archs[:1], SETTINGS, bench=bench)
    assert table.predict(archs[2]) == table.predict(archs[0])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ffn_kernels": [(9,)] * 4}, "ffn_kernels [9]' of 8x8 map, width 8"),
        ({"width": [8, 16, 16, 64]}, "downsampling to 64 channels on 16x2x2' of a network"),
        ({"idconv_share": [0.75] * 4}, "idconv_share 0.75"),
        ({"layer_scale": [False] * 4}, "all parts false"),
    ],
)
def test_a_part_that_was_not_measured_is_named_in_one_line(
    space: list[ArchConfig], change: dict[str, list[object]], named: str
) -> None:
    table = LatencyTable.measure(space, SETTINGS, bench=FakeBench(), passes=1)
    with pytest.raises(ValueError, match="must hold every part of a network") as caught:
        table.predict(space[0].with_stages(**change))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_networks_are_made_for_the_image_size_of_the_settings(space: list[ArchConfig]) -> None:
    settings = dataclasses.replace(SETTINGS, image_size=(64, 32))
    table = LatencyTable.measure(space, settings, bench=FakeBench(), passes=1)
    assert all("x64x32" in name for name in table.edges if name.startswith("stem"))
    assert table.predict(space[3]) == table.predict(space[3].replace(image_size=(64, 32)))


def test_json_gives_the_table_back_whole(space: list[ArchConfig]) -> None:
    table = LatencyTable.measure(space, SETTINGS, bench=FakeBench())
    again = LatencyTable.from_dict(json.loads(json.dumps(table.to_dict())))
    assert again == table
    assert again.predict(space[-1]) == table.predict(space[-1])
    with pytest.raises(ValueError, match="a latency table must have the keys settings, edges"):
        LatencyTable.from_dict({**table.to_dict(), "more": 1})


def test_progress_is_told_up_to_all(space: list[ArchConfig]) -> None:
    told: list[tuple[int, int]] = []
    table = LatencyTable.measure(
        space, SETTINGS, bench=FakeBench(), calibrations=4, progress=lambda done, total: told.append((done, total))
    )
    total = 3 * (table.size + 4)
    assert {of for _, of in told} == {total}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (total, total)


@pytest.mark.parametrize("asked", [{"archs": []}, {"calibrations": 0}, {"passes": 0}])
def test_a_table_of_nothing_is_refused(space: list[ArchConfig], asked: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs networks|must be a whole number of at least 1"):
        LatencyTable.measure(**{"archs": space, "settings": SETTINGS, "bench": FakeBench(), **asked})  # type: ignore[arg-type]


def points_of(small_arch: ArchConfig, pairs: Sequence[tuple[float, float]]) -> list[CalibrationPoint]:
    return [CalibrationPoint(small_arch, x, y) for x, y in pairs]


def test_a_wild_point_does_not_move_the_calibration(small_arch: ArchConfig) -> None:
    pairs = [(x, 2 * x + 1.0) for x in (1.0, 2.0, 3.0, 5.0, 8.0)]
    line = Calibration.of(points_of(small_arch, [*pairs, (4.0, 100.0)]))
    assert (line.slope, line.offset_ms) == (pytest.approx(2), pytest.approx(1))
    assert line(10.0) == pytest.approx(21)


@pytest.mark.parametrize("pairs", [[(1.0, 1.5), (9.0, 13.5)], [(10.0, 14.0), (10.1, 15.15), (10.2, 17.0)]])
def test_few_or_close_points_give_a_factor(small_arch: ArchConfig, pairs: list[tuple[float, float]]) -> None:
    line = Calibration.of(points_of(small_arch, pairs))
    assert (line.slope, line.offset_ms) == (pytest.approx(1.5), 0.0)


def test_the_table_comes_without_torch() -> None:
    code = "import sys; from transxnet.cost import LatencyTable; print({'torch', 'fvcore'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_a_real_clock_measures_every_kind_of_part(small_arch: ArchConfig) -> None:
    settings = settings_here(threads=1)
    archs = variants(small_arch, idconv_groups=[2, 4], ffn_kernels=[(3,), (1, 3)])
    bench = TorchBench(settings, rounds=2, warmup_rounds=0)
    table = LatencyTable.measure(archs[:3], settings, bench=bench, passes=1, calibrations=2)
    assert table.predict(archs[3]) > 0
    assert LatencyTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table
    assert all(ms > 0 for ms in (*table.edges.values(), *table.blocks.values()))


def test_parts_of_blocks_with_other_operators_are_measured_as_those_blocks_are_computed(small_arch: ArchConfig) -> None:
    settings = settings_here(threads=1, kernels="pytorch")
    archs = variants(small_arch, local_mixer=["dwconv", "idconv"], ffn=["msffn", "plain"])
    bench = TorchBench(settings, rounds=2, warmup_rounds=0)
    table = LatencyTable.measure([archs[0], archs[3]], settings, bench=bench, passes=1, calibrations=1)
    # Its local mixer is measured in a block that has the paper's other parts, yet stands for blocks that have not.
    assert table.predict(archs[1]) > 0


def test_a_bench_of_another_machine_is_refused(small_arch: ArchConfig) -> None:
    with pytest.raises(ValueError, match="measured where its settings are from"):
        LatencyTable.measure([small_arch], dataclasses.replace(SETTINGS, kernels="pytorch"))
