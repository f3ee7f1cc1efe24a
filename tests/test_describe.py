"""`python -m space.describe` tells what a space holds, takes a user's own file, and refuses in one line."""

import os
import re
import subprocess
import sys
import time

import pytest


def describe(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "space.describe", *words],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )  # fmt: skip


def test_a_small_space_is_described_exactly(tmp_path):
    done = describe("space=osr_stride", cwd=tmp_path)
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


def test_the_largest_space_is_sampled_in_seconds():
    start = time.perf_counter()
    done = describe("space=transxnet", "seed=1")
    assert time.perf_counter() - start < 30  # some 2.5 s alone; the rest is for a busy machine
    assert done.returncode == 0
    assert "477,757,440 points" in done.stdout
    assert "46.2% of the points, exactly: about 220,594,176" in done.stdout


def test_another_seed_draws_other_samples():
    first, other = (describe("space=transxnet", "samples=200", seed) for seed in ("seed=1", "seed=2"))
    assert "Cost of 200 legal points, drawn at random" in first.stdout
    assert first.stdout != other.stdout


def test_choices_that_change_nothing_and_those_never_legal_are_told():
    changes = ("osr_overlap.vary=stage", "osr_stride.choices.stage1=[8,3]")
    done = describe("space=osr_stride", *(f"space.dimensions.{change}" for change in changes))
    assert done.returncode == 0
    assert "osr_overlap.stage4: 3, 0 build the same network" in done.stdout
    assert "osr_stride.stage1: no legal point chooses 3" in done.stdout
    assert "none: every choice" not in done.stdout


def test_a_matched_space_tells_what_its_variants_have_in_common():
    done = describe("space=ffn", "match=gmacs")
    assert done.returncode == 0, done.stderr
    assert "all have the base's multiply-adds within 1%, by their widths" in done.stdout
    assert re.search(r"multiply-adds \(G\) +1\.8\d+ .* 1\.8456", done.stdout)


OWN = """
name: mine
about: "[red] or [2, 2]?"
base: transxnet_s
dimensions:
  ste_reduction: {vary: tied, choices: [4, 8, 16]}
"""


def test_a_users_own_file_works_the_same_way(tmp_path):
    (tmp_path / "conf" / "space").mkdir(parents=True)
    (tmp_path / "conf" / "space" / "mine.yaml").write_text(OWN)
    done = describe("--config-dir", "conf", "space=mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[red] or [2, 2]?" in done.stdout
    assert "transxnet_s" in done.stdout
    assert re.search(r"ste_reduction +one value for all +8 +4, 8, 16", done.stdout)
    wrong = describe("--config-dir", "conf", "space=main", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr) == (2, "error: unknown space 'main'; did you mean mine?\n")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("space=idconv_grops", "unknown space 'idconv_grops'; did you mean idconv_groups?"),
        ("spase=idconv_groups", "unknown key 'spase'; did you mean space?"),
        ("match=gmac", "unknown match 'gmac'; did you mean gmacs?"),
        ("samples=0", "samples must be at least 1, got 0; write for example 100000"),
        ("samples=many", "samples must be a whole number, got 'many'; change samples"),
        ("space.base=transxnet_x", "unknown variant 'transxnet_x'; did you mean transxnet_t?"),
        (
            "space.dimensions.idconv_groups.choices=[2,2]",
            "choices of idconv_groups must differ, got 2 twice; drop the double",
        ),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_code_2(word, told):
    done = describe(word)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {told}\n")


def test_help_shows_every_option():
    done = describe("--help")
    assert done.returncode == 0
    for told in ["space=NAME", "samples: 100000", "seed: 0", "--config-dir", "idconv_groups", "tiny_demo", "transxnet"]:
        assert told in done.stdout


def test_the_house_imports_without_the_heavy_ones():
    code = (
        "import space, space.space, space.presets, space.survey, sys;"
        "print(*[m for m in ('torch', 'ray', 'timm', 'hydra', 'omegaconf', 'optuna', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
