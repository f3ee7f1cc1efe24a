"""A program that is a whole sweep but for Ray and training: store, lead, recorder, driver and Optuna view are real."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from fake_sweep import PROVENANCE, FakeSweep, work

from db import Recorder, Spool
from experiments.lead import leading
from space.presets import load_preset


def run(folder: str, url: str, name: str, trials: str) -> None:
    """Run so many variants of a study, and say what became of its view."""
    # Results are not another study's: each was trained by code of its own.
    sweep = FakeSweep(
        Path(folder),
        space=load_preset("transxnet"),
        name=name,
        database=url,
        provenance=replace(PROVENANCE, code_version=name),
    )
    store = sweep.store()
    with leading(store, name, [Path(folder) / name], print) as lead:
        recorder = Recorder(store, lead, Spool(Path(folder) / name, store), patience_s=60, tell=print)
        driver = sweep.driver(seeds=1, variants=int(trials), search="random", recorder=recorder)
        work(driver, slots=4)
        (view,) = sweep.views
        view.close()
    print(json.dumps({"trouble": view.trouble}))


def lead(url: str, study: str, folder: str, host: str, expires_s: str) -> None:
    """Lead a study as a process of some host, until it is killed; a line says when it does."""
    import time
    from unittest import mock

    from db import Store

    with (
        Store.open(url) as store,
        mock.patch("platform.node", return_value=host),
        mock.patch("experiments.lead.RENEW_S", 0.2),
        leading(store, study, [Path(folder)], lambda line: print(line, flush=True), expires_s=float(expires_s)) as own,
    ):
        print(f"leads {own.process}", flush=True)
        time.sleep(120)
