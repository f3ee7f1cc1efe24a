"""`python -m space.describe` tells what a space holds, takes a user's own file, and refuses in one line."""

import io
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from rich.console import Console

from space.budget import Budget
from space.cli import run_entry_point
from space.describe import main
from space.description import Description
from space.presets import load_preset
from space.survey import survey
from space.terminal import page


def process(*words, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "space.describe", *words],
        capture_output=True, text=True, cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
    )  # fmt: skip


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def describe(monkeypatch, capsys):
    """The program in this process, without the seconds that it takes to start one."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # which the program sets

    def run(*words, cwd=None):
        monkeypatch.setattr(sys, "argv", ["describe", *words])
        if cwd is not None:
            monkeypatch.chdir(cwd)
        code = 0
        try:
            run_entry_point(main)
        except SystemExit as ended:
            code = ended.code or 0
        return Done(code, *capsys.readouterr())

    return run


def test_a_small_space_is_described_exactly(tmp_path):
    done = process("space=osr_stride", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for told in [
        "How far may OSRA reduce keys and values",
        "transxnet_t (depth 3,3,9,3; width 48,96,224,448; 224 px)",
        "108 points",
        "68 of 108 points, 63.0%, every point looked at",
        "68 different networks",
        "osr_stride_never_grows: osr_stride never grows from one stage to the next",
        "none: every choice changes the network",
    ]:
        assert told in done.stdout
    assert re.search(r"osr_stride\.stage1 +each stage alone +8 +4, 8, 16", done.stdout)
    assert re.search(r"osr_overlap +one value for all +3 +3, 0", done.stdout)
    # The paper's T: reference values of parameters and multiply-adds.
    assert re.search(r"parameters \(M\) .* 12\.835", done.stdout)
    assert re.search(r"multiply-adds \(G\) .* 1\.8456", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_the_largest_space_is_sampled_in_seconds(describe):
    start = time.perf_counter()
    done = describe("space=transxnet", "seed=1")
    assert time.perf_counter() - start < 30  # some 2.5 s alone; the rest is for a busy machine
    assert done.returncode == 0
    assert "477,757,440 points" in done.stdout
    assert "46.2% of the points, exactly: about 220,594,176" in done.stdout


def test_another_seed_draws_other_samples(describe):
    first, other = (describe("space=transxnet", "samples=200", seed) for seed in ("seed=1", "seed=2"))
    assert "Cost of 200 legal points, drawn at random" in first.stdout
    assert first.stdout != other.stdout


def test_rules_costs_and_what_moves_them_are_told(describe):
    done = describe("space=transxnet", "samples=20000", "budget.max_gmacs=1.5")
    assert done.returncode == 0, done.stderr
    # 4 of 5 widths fit two of the three fours of heads, 1 of 5 all of them.
    assert re.search(r"heads_divide +73\.3%", done.stdout)
    assert re.search(r"osr_stride_never_grows +63\.0%", done.stdout)
    assert re.search(
        r"3\d\.\d% of the legal points within budget\.max_gmacs=1\.5 \(95 % interval 3\d\.\d% to 3\d", done.stdout
    )
    assert "different networks built by 1,000 legal points, drawn at random" in done.stdout
    assert re.search(
        r"What moves multiply-adds.*\n.*\n.*\n width +32-64-144-288 → 64-128-320-512 +-\d\d\.\d% to \+", done.stdout
    )
    assert "▲ baseline 1.8456" in done.stdout
    assert "▲ budget 1.5" in done.stdout
    assert "█" in done.stdout


def test_a_space_of_10_to_the_28_is_told_in_seconds(describe):
    start = time.perf_counter()
    done = describe("space=everything")
    assert time.perf_counter() - start < 20  # some 1.7 s alone; the rest is for a busy machine
    assert re.search(r"size +[\d,]{20,} \(\d\.\d × 10\^\d\d\) points", done.stdout)
    assert re.search(r"legal +\d\d\.\d% of the points, exactly: about \d\.\d × 10\^\d\d", done.stdout)


@pytest.mark.parametrize("width", [60, 80, 109, 110, 120])
@pytest.mark.parametrize("name", ["transxnet", "osr_stride", "component_ladder"])
def test_nothing_is_wider_than_the_terminal(name, width):
    space, budget = load_preset(name), Budget(max_params_m=9)
    told = Description(space, survey(space, 2000, budget=budget), budget)
    console = Console(width=width, file=io.StringIO())
    for part in page(told, width):
        console.print(part)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    marks = 0 if name == "component_ladder" else 2 if width < 110 else 1
    assert sum("▲ baseline" in line for line in lines) == marks


def test_few_variants_are_listed_with_their_costs_and_against_the_budget(describe):
    done = describe("space=local_mixer", "budget.max_params_m=13")
    assert done.returncode == 0, done.stderr
    # Parameters and multiply-adds of T with each local mixer, and about what training it takes.
    assert re.search(r"^ idconv +1\.8456 +baseline +12\.835 +baseline +\d+\.\d +within *$", done.stdout, re.M)
    assert re.search(r"^ d_dwconv +1\.8387 +-0\.4% +15\.931 +\+24\.1% +\d+\.\d +over *$", done.stdout, re.M)
    many = describe("space=osr_stride")
    assert "to base" not in many.stdout


def test_a_terminal_without_block_characters_is_served():
    done = process("space=osr_stride", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr


def test_a_page_and_a_picture_are_written(describe, tmp_path):
    done = describe("space=osr_stride", "budget.max_gmacs=1.85", "out=told/here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page, picture = tmp_path / "told/here/space.html", tmp_path / "told/here/space.png"
    assert done.stdout.splitlines()[-2:] == ["told/here/space.html", "told/here/space.png"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    for told in ["68 of 108 points", "<svg", "What moves parameters", "budget 1.85", "osr_stride.stage3"]:
        assert told in text
    # Nothing is loaded from anywhere: addresses only name formats.
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", text.replace('xlink:href="#', ""))
    assert not re.findall(r"url\((?!#)", text)


def test_what_users_write_is_escaped_in_the_page(describe, tmp_path):
    (tmp_path / "conf" / "space").mkdir(parents=True)
    (tmp_path / "conf" / "space" / "mine.yaml").write_text(OWN.replace('about: "', 'about: "<b>$x^{2$</b> '))
    done = describe("--config-dir", "conf", "space=mine", "out=.", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "space.html").read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;$x^{2$" in text


def test_choices_that_change_nothing_and_those_never_legal_are_told(describe):
    changes = ("osr_overlap.vary=stage", "osr_stride.choices.stage1=[8,3]")
    done = describe("space=osr_stride", *(f"space.dimensions.{change}" for change in changes))
    assert done.returncode == 0
    assert "osr_overlap.stage4: 3, 0 build the same network" in done.stdout
    assert "osr_stride.stage1: no legal point chooses 3" in done.stdout
    assert "none: every choice" not in done.stdout


def test_a_matched_space_tells_what_its_variants_have_in_common(describe):
    done = describe("space=ffn", "match=gmacs")
    assert done.returncode == 0, done.stderr
    assert "all have the base's multiply-adds within 1%, by their widths" in done.stdout
    assert re.search(r"msffn +1\.8456 +baseline +12\.835 +baseline +[\d.]+ +x1\.000", done.stdout)
    (factor,) = re.findall(r"plain +1\.8\d+ +[+-]0\.\d% .* x(\S+)", done.stdout)
    assert 1.02 < float(factor) < 1.05


OWN = """
name: mine
about: "[red] or [2, 2]?"
base: transxnet_s
dimensions:
  ste_reduction: {vary: tied, choices: [4, 8, 16]}
"""


def test_a_users_own_file_works_the_same_way(describe, tmp_path):
    (tmp_path / "conf" / "space").mkdir(parents=True)
    (tmp_path / "conf" / "space" / "mine.yaml").write_text(OWN)
    done = describe("--config-dir", "conf", "space=mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[red] or [2, 2]?" in done.stdout
    assert "transxnet_s" in done.stdout
    assert re.search(r"ste_reduction +one value for all +8 +4, 8, 16", done.stdout)
    wrong = describe("--config-dir", "conf", "space=main", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr) == (2, "error: unknown space 'main'; did you mean mine?\n")


def test_help_shows_every_option(describe):
    done = describe("--help")
    assert done.returncode == 0
    for told in ["space=NAME", "samples: 100000", "seed: 0", "--config-dir", "idconv_groups", "tiny_demo", "transxnet"]:
        assert told in done.stdout


def test_the_house_imports_without_the_heavy_ones():
    code = (
        "import space, space.space, space.presets, space.survey, space.terminal, sys;"
        "print(*[m for m in ('torch', 'ray', 'timm', 'hydra', 'optuna', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
