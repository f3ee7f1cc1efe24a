"""The sweep as people run it: from a shell, with Ctrl-C and with typing mistakes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from db import Store, TrialState

STUDY = "tiny_demo-digits"
WORDS = ["space=tiny_demo", "data=digits", "proxy.image_size=16", "proxy.epochs=1"]
ONE_WORKER = "resources.max_concurrent=1"  # where few trials are quicker than a second process that trains


def start(folder, *words):
    command = [sys.executable, "-W", "ignore", "-m", "experiments.sweep", *words]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def exit_code_of(monkeypatch, *words):
    """Of the entry point, called in this process: it need not import everything again."""
    import experiments.sweep
    from space.cli import run_entry_point

    monkeypatch.setattr(sys, "argv", ["sweep", *words])
    with pytest.raises(SystemExit) as ended:
        run_entry_point(experiments.sweep.main)
    return ended.value.code or 0


def trials_in(folder):
    database = folder / "runs" / "transxnet.db"
    if not database.is_file():
        return []
    try:
        with Store.open(f"sqlite:///{database}", create=False) as store:
            return store.trials(STUDY)
    except ValueError:  # not made yet
        return []


def wait_for_complete(folder, process, count):
    for _ in range(1500):
        done = sum(trial.state is TrialState.COMPLETE for trial in trials_in(folder))
        if done >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    raise AssertionError(f"not {count} trials in five minutes")


def test_ctrl_c_keeps_what_finished_and_the_same_sweep_goes_on(tmp_path, monkeypatch, shared_ray):
    process = start(tmp_path, *WORDS, "seeds=20")
    wait_for_complete(tmp_path, process, 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: Ray's processes get it too
    out, error = process.communicate(timeout=180)
    kept = [trial for trial in trials_in(tmp_path) if trial.state is TrialState.COMPLETE]
    assert process.returncode == 130, (out, error)
    assert len(kept) >= 2
    assert not [trial for trial in trials_in(tmp_path) if trial.state is TrialState.RUNNING]
    assert "the same command goes on:\n  python -m experiments.sweep space=tiny_demo" in out
    assert error == ""

    monkeypatch.chdir(tmp_path)
    assert exit_code_of(monkeypatch, *WORDS, ONE_WORKER, "seeds=1") == 0
    trials = trials_in(tmp_path)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    pairs = [(trial.arch_id, trial.seed) for trial in complete]
    assert len(pairs) == len(set(pairs)), "a finished trial was run again"
    assert len([seed for _, seed in pairs if seed == 0]) == 6
    assert all(trial in complete for trial in kept)
    interrupted = [trial.id for trial in trials if trial.state is TrialState.INTERRUPTED and trial.seed == 0]
    assert sorted(trial.retry_of for trial in complete if trial.retry_of is not None) == interrupted


def test_latency_is_an_objective_measured_once_and_kept_with_its_settings(tmp_path, monkeypatch, capsys, shared_ray):
    monkeypatch.chdir(tmp_path)
    words = [*WORDS, ONE_WORKER, "trials=2", "seeds=1", "objectives=[accuracy,latency]", "latency.device=cpu"]
    assert exit_code_of(monkeypatch, *words) == 0
    said = capsys.readouterr().out
    assert "measuring the latency of 2 networks: " in said
    assert "Front of validation accuracy against latency" in said
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        study, known = store.study(STUDY), store.architectures(STUDY)
        trials = store.trials(STUDY)
    assert (study.objectives, study.latency["threads"]) == (("accuracy", "latency"), 1)
    assert len(trials) == 2
    assert all(known[trial.arch_id].latency_ms > 0 for trial in trials)
    assert "latency (ms)" in (tmp_path / "runs" / STUDY / "report" / "report.html").read_text()

    assert exit_code_of(monkeypatch, *words) == 0
    assert "measuring" not in capsys.readouterr().out
    assert exit_code_of(monkeypatch, *words, "latency.batch=2") == 2
    error = capsys.readouterr().err
    assert "latency.batch: 1 -> 2" in error
    assert error.count("\n") == 1


def test_matched_variants_are_a_study_of_their_own(tmp_path, monkeypatch, shared_ray):
    monkeypatch.chdir(tmp_path)
    # At full width the targets' proxies are up to 6 % apart if they are not matched themselves.
    words = (*WORDS, ONE_WORKER, "proxy.width_scale=1", "match=params", "trials=3", "seeds=1")
    assert exit_code_of(monkeypatch, *words) == 0
    name = f"{STUDY}-match-params"
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        study, known = store.study(name), store.architectures(name)
        trials = store.trials(name)
    own = next(trial for trial in trials if trial.arch_id == study.baseline_arch_id)
    costs = [known[trial.arch_id].params / known[own.arch_id].params for trial in trials]
    trained = [known[trial.trained_arch_id].params / known[own.trained_arch_id].params for trial in trials]
    assert study.space["match"] == "params"
    assert len(costs) == 3
    assert trained == pytest.approx([1] * 3, abs=0.01), "what is trained is matched too"
    assert all(abs(cost - 1) <= 0.01 for cost in costs)
    report = (tmp_path / "runs" / name / "report" / "report.html").read_text()
    assert "Variants are matched to the baseline" in report


def test_help_names_every_group_and_key(monkeypatch, capsys):
    assert exit_code_of(monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    for word in (
        "idconv_groups", "cifar10", "quick", "nsga2", "asha", "postgresql",
        "study:", "objectives:", "trials:", "seeds:", "retry_failed:", "max_gmacs:", "max_params_m:", "learning_rate:",
        "cpus:", "gpus:", "latency:", "max_concurrent:", "address:", "image_size:", "width_scale:", "validation_share:",
        "url:",
    ):  # fmt: skip
        assert word in said
