"""optuna-dashboard serves the record's sweeps, on this machine alone."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from inline_sweep import STUDY, train_study


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return train_study(tmp_path_factory.mktemp("dashboard"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*words):
    command = [sys.executable, "-W", "ignore", "-m", "experiments.dashboard", *words]
    # A suite that a shell runs in the background has Ctrl-C ignored, and so would all that it starts.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def wait_for(port, process):
    for _ in range(240):
        try:
            return get(port, "/api/studies")["study_summaries"]
        except OSError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.25)
    raise AssertionError("the dashboard did not answer within a minute")


def stop(process):
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()


def test_the_sweep_is_shown_with_readable_parameters_objectives_and_costs(url):
    port = free_port()
    process = start(f"storage.url={url}", f"port={port}")
    try:
        (study,) = wait_for(port, process)
        assert study["study_name"] == STUDY
        assert study["directions"] == ["maximize", "minimize"]
        trials = get(port, f"/api/studies/{study['study_id']}?after=0")["trials"]
        assert [trial["state"] for trial in trials] == ["Complete", "Complete"]
        assert {p["name"] for p in trials[0]["params"]} == {"idconv_groups", "ffn_kernels"}
        assert len(trials[0]["values"]) == 2
        attributes = {a["key"] for a in trials[0]["user_attrs"]}
        assert {"arch_id", "gmacs", "params_m", "val_accuracy_seed0"} <= attributes
    finally:
        stop(process)


def test_a_taken_port_ends_with_one_line(url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = start(f"storage.url={url}", f"port={taken.getsockname()[1]}")
        error = busy.communicate(timeout=90)[1].splitlines()[-1]
    assert busy.returncode == 2
    assert "choose another with port=" in error
