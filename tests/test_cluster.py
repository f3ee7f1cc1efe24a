"""Sweeps on a Ray cluster of three nodes with a token and PostgreSQL: mistakes, placement, nodes that die."""

import re
import time
from collections import Counter

import numpy as np
import optuna
import pytest
from ray_cluster import running_cluster

from db import Store, TrialState
from experiments.cluster import RayConfig

pytestmark = pytest.mark.ray

STUDY = "tiny_demo-npz"
WORDS = ["space=tiny_demo", "data=npz", "proxy.image_size=16", "recipe.batch_size=8", "checkpoint_s=0"]


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs, and two workers; the first has a licence and, Ray believes, a GPU."""
    with running_cluster() as running:
        running.nodes = {
            "first": running.add("first", num_cpus=1, num_gpus=1, resources={"licence": 1}),
            "second": running.add("second", num_cpus=1),
        }
        yield running


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    file, pixels = tmp_path_factory.mktemp("images") / "images.npz", np.random.default_rng(0)
    parts = {"train": 60, "test": 20}
    arrays = {f"x_{part}": pixels.integers(0, 256, (count, 16, 16), np.uint8) for part, count in parts.items()}
    np.savez(file, **arrays, **{f"y_{part}": np.arange(count) % 2 for part, count in parts.items()})
    return file


@pytest.fixture
def begin(zygote, images, tmp_path):
    """Starts a sweep in the test's folder."""

    def start(*words, **environment):
        places = [f"data.path={images}", f"data.cache={images.parent / 'cache'}"]
        return zygote.start(tmp_path, *WORDS, *places, *words, **environment)

    return start


@pytest.fixture
def refusal(zygote, begin, tmp_path):
    """The one line with which a sweep is refused, before anything is written."""

    def refuse(*words):
        code = zygote.wait(begin(*words))
        errors = [line for line in (tmp_path / "said").read_text().splitlines() if "error" in line.lower()]
        assert (code, len(errors)) == (2, 1), (tmp_path / "said").read_text()
        assert (tmp_path / "said").read_text().endswith(errors[0] + "\n")
        assert [path.name for path in tmp_path.iterdir()] == ["said"], "something was written"
        return errors[0]

    return refuse


def places_in(folder):
    """The node and the device of each trial's start."""
    file = folder / "places"
    return [tuple(line.split()) for line in file.read_text().splitlines()] if file.is_file() else []


def wait_until(happened, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "local", "somewhere", "127.0.0.1:99999"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(ValueError, match=r"ray\.address must be HOST:PORT or auto, got .*; write for example"):
        RayConfig(address=address)


@pytest.mark.parametrize(("content", "mode", "rule"), [("a" * 64, 0o644, "by its owner alone"), ("", 0o600, "a token")])
def test_a_token_file_that_others_read_or_that_is_empty_is_refused(content, mode, rule, tmp_path):
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(ValueError, match=rf"ray\.token_file must .*{rule}.*, got {file}"):
        RayConfig(address="127.0.0.1:6379", token_file=str(file))
    with pytest.raises(ValueError, match=r"ray\.token_file must be a file, got .*/none"):
        RayConfig(address="127.0.0.1:6379", token_file=str(tmp_path / "none"))


def test_an_address_where_nobody_listens_is_refused_at_once(refusal):
    said = refusal("ray.address=127.0.0.1:9")
    assert said.startswith("error: ray.address must be that of a running cluster, got 127.0.0.1:9: [Errno 111]")


def test_who_has_not_the_clusters_token_is_not_let_in(cluster, refusal, tmp_path_factory):
    wrong = tmp_path_factory.mktemp("tokens") / "wrong"
    wrong.write_text("ab" * 32)
    wrong.chmod(0o600)
    said = refusal(*cluster.words, f"ray.token_file={wrong}")
    assert said.startswith(f"error: ray.token_file must be that of the cluster {cluster.address}, got {wrong}")


def test_a_token_must_be_given_where_the_cluster_wants_one(cluster, refusal):
    said = refusal(*cluster.words, "ray.token_file=null")
    assert (
        said
        == f"error: the cluster {cluster.address} wants its token, got no ray.token_file; write ray.token_file=FILE"
    )


def test_several_nodes_need_a_folder_that_all_of_them_reach(cluster, refusal):
    assert "got 3 nodes and no ray.storage; write ray.storage=FOLDER" in refusal(*cluster.words, "ray.storage=null")


def test_a_resource_that_no_node_has_is_refused_at_once(cluster, refusal):
    said = refusal(*cluster.words, "resources.gpus=0", "+resources.custom={licence:2}")
    assert "a trial must fit a machine" in said
    assert "resources.custom.licence=2 with " in said
    assert "1 CPUs, 1 GPUs, 1 licence" in said


def test_trials_share_a_gpu_and_run_only_where_their_own_resource_is(cluster, zygote, begin, tmp_path):
    quarter = ["resources.cpus=0.25", "resources.gpus=0.25", "+resources.custom={licence:0.2}"]
    process = begin(
        *cluster.words, *quarter, "trials=1", "seeds=2", "proxy.epochs=1", TICK_PLACES=str(tmp_path / "places")
    )
    assert zygote.wait(process, timeout_s=180) == 0, (tmp_path / "said").read_text()
    assert "4 at a time, 1 thread(s) each" in (tmp_path / "said").read_text()
    # Ray may give a trial the worker of one that has just ended, while its own still starts: that is a third start.
    assert set(places_in(tmp_path)) == {(cluster.nodes["first"], "True")}
    assert len(places_in(tmp_path)) >= 2


def test_a_node_that_dies_in_the_middle_costs_no_result(cluster, zygote, begin, tmp_path, postgres):
    url, seeds = postgres.url("cluster"), 3
    process = begin(
        *cluster.words, "storage=postgresql", f"storage.url={url}", "resources.gpus=0",
        f"seeds={seeds}", "proxy.epochs=4", TICK_PLACES=str(tmp_path / "places"),
    )  # fmt: skip
    with Store.open(url) as store:
        wait_until(
            lambda: (
                STUDY in [study.name for study in store.studies()]
                and done(store) >= 3
                and both_have_checkpoints(cluster)
            )
        )
        before = {t.id: t for t in store.trials(STUDY) if t.state is TrialState.COMPLETE}
        cluster.kill("second")
        assert zygote.wait(process, timeout_s=180) == 0, (tmp_path / "said").read_text()
        trials = {trial.id: trial for trial in store.trials(STUDY)}
    complete = Counter((t.arch_id, t.seed) for t in trials.values() if t.state is TrialState.COMPLETE)
    lost = {t.id for t in trials.values() if t.state is TrialState.INTERRUPTED}
    assert len(complete) == 6 * seeds
    assert set(complete.values()) == {1}
    assert all(trials[trial_id] == trial for trial_id, trial in before.items()), "a finished result changed"
    assert {t.state for t in trials.values()} == {TrialState.COMPLETE, TrialState.INTERRUPTED}
    assert len(lost) == 1, "of the trial that ran there"
    assert {t.retry_of for t in trials.values() if t.retry_of is not None} == lost
    assert all((trials[trial_id].reason or "").startswith("worker: The actor") for trial_id in lost)
    assert "Raylet" not in (tmp_path / "said").read_text(), "nothing of Ray's stands between the lines"
    assert any(t.resumed_epochs > 0 for t in trials.values() if t.retry_of in lost)
    assert {node for node, _ in places_in(tmp_path)} == set(cluster.nodes.values())
    view = optuna.load_study(study_name=STUDY, storage=url).trials
    assert Counter(trial.state.name for trial in view) == {"COMPLETE": 6}


def done(store):
    return sum(trial.state is TrialState.COMPLETE for trial in store.trials(STUDY))


def both_have_checkpoints(cluster):
    """Of the trials that run: one of them on the node that is to die."""
    kept = (cluster.folder / "storage" / STUDY / "checkpoints").glob("*-epoch-*")
    return len({path.name.partition("-epoch-")[0] for path in kept}) >= 2


MISSING = """
import os, sys

def refuse(path, lost={lost!r}):
    if str(path) == lost:
        raise FileNotFoundError(2, "No such file or directory", lost)

real = os.stat
os.stat = lambda path, *words, **named: (refuse(path), real(path, *words, **named))[1]
sys.addaudithook(lambda event, words: refuse(words[0]) if event == "open" else None)
"""
HIDDEN = """
import sys

sys.modules["experiments"] = None
"""
OTHER_CODE = """
import experiments.provenance

experiments.provenance.source_digest = lambda: "another"
"""
OTHER_DATA = """
import dataclasses

import experiments.data.load as load

real = load.load_dataset
load.load_dataset = lambda *words: dataclasses.replace(real(*words), fingerprint="others")
"""


@pytest.mark.parametrize(
    ("without", "rule"),
    [
        (MISSING, r"error: each node must have the data, but node \S+ \(\S+, {node}\) has not: .*images\.npz"),
        (
            HIDDEN,
            r"error: each node must have the code, but node \S+ \(\S+, {node}\) has not \(.*experiments.*; install",
        ),
        (
            OTHER_CODE,
            r"error: each node must have the same code, but node \S+ \(\S+, {node}\) has another \(digest another,",
        ),
        (
            OTHER_DATA,
            r"error: each node must have the same data, but node \S+ \(\S+, {node}\) has others \(fingerprint others,",
        ),
    ],
    ids=["data", "code", "same code", "same data"],
)
def test_a_node_without_the_data_or_the_code_is_named(without, rule, cluster, refusal, images, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(without.format(lost=str(images)))
    node = cluster.add("poor", num_cpus=1, env_vars={"PYTHONPATH": str(site)})
    try:
        said = refusal(*cluster.words, "resources.gpus=0")
    finally:
        cluster.kill("poor")
    assert re.match(rule.format(node=node[:8]), said), said
