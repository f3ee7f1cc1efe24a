"""User's mistakes end in one line and exit code 2, faults keep their traceback, configs become typed."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from space.cli import explain, is_users_mistake, to_typed

PROGRAM = """
    import os, time
    import hydra
    from space.cli import run_entry_point

    @hydra.main(version_base="1.3", config_path=".", config_name="program")
    def main(cfg):
        if cfg.do == "mistake":
            raise ValueError("colour must be red, got blue; write colour=red")
        if cfg.do == "foreign":
            import json
            json.loads("{")
        if cfg.do == "fault":
            {}["missing"]
        if cfg.do == "full":
            open("/dev/full", "w", buffering=1).write("text\\n")
        if cfg.do == "away":
            class Away(Exception):
                exit_code = 3
            raise Away("the database must be reachable, but it is not; see that it runs")
        if cfg.do == "wait":
            print("ready", flush=True)
            time.sleep(30)
        print("done", cfg.space.name, cfg.budget.max_gmacs)

    if __name__ == "__main__":
        run_entry_point(main)
"""
CONFIG = """
    defaults:
      - space: tiny_demo
      - override hydra/job_logging: disabled
      - override hydra/hydra_logging: disabled
      - _self_
    do: nothing
    trials: 3
    budget:
      max_gmacs: null
    hydra:
      searchpath: [pkg://space.conf]
      output_subdir: null
      run: {dir: .}
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.yaml").write_text(textwrap.dedent(CONFIG))
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return path


def run(program, *words):
    return subprocess.run([sys.executable, program, *words], capture_output=True, text=True, cwd=program.parent)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("do=mistake", "error: colour must be red, got blue; write colour=red\n"),
        ("trails=3", "error: unknown key 'trails'; did you mean trials?\n"),
        ("max_gmacs=3", "error: unknown key 'max_gmacs'; did you mean budget.max_gmacs?\n"),
        ("space=tiny_dmo", "error: unknown space 'tiny_dmo'; did you mean tiny_demo?\n"),
        ("trials", "error: an override must be key=value, got 'trials'; "),
        ("--config-dir=nowhere", "error: --config-dir must name a folder, got 'nowhere'; "),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(program, word, told):
    done = run(program, word)
    assert done.returncode == 2
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("do", "code", "told"),
    [
        (
            "full",
            4,
            "error: a disk must have room for what is written, but it is full (No space left on device); make ",
        ),
        ("away", 3, "error: the database must be reachable, but it is not; see that it runs\n"),
    ],
)
def test_what_nobody_did_wrong_is_one_line_and_has_its_own_exit_code(program, do, code, told):
    done = run(program, f"do={do}")
    assert done.returncode == code
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("do", "name"), [("fault", "KeyError"), ("foreign", "JSONDecodeError")])
def test_a_fault_keeps_its_traceback(program, do, name):
    done = run(program, f"do={do}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert name in done.stderr


def test_success_exits_with_0_and_leaves_no_files(program):
    before = set(program.parent.rglob("*"))
    done = run(program, "budget.max_gmacs=2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done tiny_demo 2\n", "")
    assert set(program.parent.rglob("*")) == before


def test_an_interrupt_exits_with_130_in_silence(program):
    with subprocess.Popen(
        [sys.executable, program, "do=wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr == ""


def test_an_unreadable_yaml_file_is_named_with_its_line(program):
    (program.parent / "program.yaml").write_text("do: nothing\ntrials: [1, 2\n")
    done = run(program)
    assert done.returncode == 2
    assert "program.yaml, line 3:" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_explanation_is_one_line():
    assert explain(ValueError("one\ntwo")) == "one; two"


@pytest.mark.parametrize(
    ("call", "is_theirs"),
    [
        (lambda: to_typed(OmegaConf.create({"max_gmacs": "x"}), Budget), True),
        (lambda: OmegaConf.to_container(OmegaConf.create({"a": "${b}"}), resolve=True), True),
        (lambda: json.loads("{"), False),
        (lambda: {}["key"], False),
    ],
)
def test_only_errors_about_what_was_written_are_the_users(call, is_theirs):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of several types
        call()
    assert is_users_mistake(caught.value) is is_theirs


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Budget:
    max_gmacs: float | None = None

    def __post_init__(self):
        if self.max_gmacs is not None and self.max_gmacs <= 0:
            raise ValueError(f"max_gmacs must be above 0, got {self.max_gmacs}")


@dataclass(frozen=True)
class Config:
    name: str
    trials: int = 3
    lr: float = 0.1
    amp: bool = False
    colour: Colour = Colour.RED
    mode: Literal["max", "min"] = "max"
    seeds: tuple[int, ...] = (0,)
    size: tuple[int, int] | None = None
    path: Path | None = None
    budget: Budget = field(default_factory=Budget)
    space: Mapping[str, Any] = field(default_factory=dict)


def typed(**values):
    return to_typed(OmegaConf.create({"name": "a", **values}), Config)


def test_every_type_is_converted():
    config = typed(
        trials=4, lr=1, amp=True, colour="blue", mode="min", seeds=[1, 2], size=[3, 4], path="a/b",
        budget={"max_gmacs": 2}, space={"base": {"depth": [1, 2]}},
    )  # fmt: skip
    assert config == Config(
        "a", 4, 1.0, True, Colour.BLUE, "min", (1, 2), (3, 4), Path("a/b"), Budget(2.0), {"base": {"depth": [1, 2]}}
    )
    assert type(config.lr) is float
    assert type(config.budget.max_gmacs) is float


def test_defaults_nulls_and_interpolations_are_kept():
    assert typed() == Config("a")
    assert typed(budget={"max_gmacs": None}, size=None).size is None
    assert typed(trials=5, seeds=["${trials}"]).seeds == (5,)
    assert typed(name=2024).name == "2024"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trails": 3}, "unknown key 'trails'; did you mean trials"),
        ({"budget": {"max_gmac": 3}}, "unknown key 'budget.max_gmac'; did you mean budget.max_gmacs"),
        ({"trials": "x"}, "trials must be a whole number, got 'x'"),
        ({"trials": True}, "trials must be a whole number, got True"),
        ({"trials": 3.5}, "trials must be a whole number, got 3.5"),
        ({"trials": None}, "trials must be a whole number, got None"),
        ({"lr": "fast"}, "lr must be a number, got 'fast'"),
        ({"amp": "maybe"}, "amp must be true or false, got 'maybe'"),
        ({"name": [1]}, r"name must be text, got \[1\]"),
        ({"colour": "rad"}, "unknown colour 'rad'; did you mean red"),
        ({"mode": "mix"}, "unknown mode 'mix'; did you mean m"),
        ({"seeds": 3}, "seeds must be a list, got 3"),
        ({"seeds": [1, "x"]}, r"seeds\[1\] must be a whole number, got 'x'"),
        ({"size": [1]}, "size must be a list of 2"),
        ({"budget": 3}, "budget must be a group of keys, got 3"),
        ({"budget": {"max_gmacs": "x"}}, "budget.max_gmacs must be a number"),
        ({"budget": {"max_gmacs": -1}}, "budget.max_gmacs must be above 0, got -1"),
        ({"name": "???"}, r"name must be given, got none; add name=\.\.\. to the command"),
    ],
)
def test_a_value_that_does_not_fit_names_its_key(values, message):
    with pytest.raises(ValueError, match=message):
        typed(**values)


def test_a_missing_key_is_named():
    with pytest.raises(ValueError, match="name must be given"):
        to_typed(OmegaConf.create({"trials": 3}), Config)
