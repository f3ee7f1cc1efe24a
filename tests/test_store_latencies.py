"""Latencies in the store: measured once for all studies, told to those of the same settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from db_examples import (
    LATENCY_SETTINGS,
    complete,
    latency,
    study,
)

from db import Store


def test_a_latency_comes_back_as_it_was_stored_for_any_study(store: Store, url: str) -> None:
    stored = store.add_latency(latency())
    assert stored.measured_at is not None
    assert replace(stored, measured_at=None) == latency()
    with Store.open(url, create=False) as again:
        assert again.find_latency("base", "5e77") == stored
        assert again.find_latency("base", "other") is None
        assert again.find_latency("small", "5e77") is None


def test_an_architecture_is_measured_once_by_the_same_settings(store: Store) -> None:
    first = store.add_latency(latency())
    assert store.add_latency(latency(p50_ms=9.0)) == first
    assert store.add_latency(latency(p50_ms=9.0, settings_key="0ther")).p50_ms == 9.0


def test_a_latency_is_that_of_a_stored_architecture(store: Store) -> None:
    with pytest.raises(ValueError, match="arch_id must name a stored architecture, got 'nobody'"):
        store.add_latency(latency("nobody"))


def test_architectures_have_the_latency_by_the_settings_of_the_study_that_they_are_read_for(store: Store) -> None:
    other = {**LATENCY_SETTINGS, "batch": 8}
    store.add_study(study("fast", latency=LATENCY_SETTINGS))
    store.add_study(study("batched", latency=other))
    store.add_latency(latency())
    store.add_latency(latency("other"))
    store.add_latency(latency(settings_key="b8", settings=other, p50_ms=7.0))
    for name in ("fast", "batched"):
        store.add_trial(complete(study=name))
    told = {name: store.architectures(name) for name in ("groups", "fast", "batched")}
    assert {name: found["base"].latency_ms for name, found in told.items()} == {
        "groups": None,
        "fast": 1.5,
        "batched": 7.0,
    }
    assert told["fast"]["small"].latency_ms is None, "trained, but never measured"
    assert store.study("fast").latency == LATENCY_SETTINGS
    assert store.study("groups").latency is None


def test_a_study_keeps_its_latency_settings(store: Store) -> None:
    store.add_study(study("fast", latency=LATENCY_SETTINGS))
    with pytest.raises(ValueError, match=r"stored with others \(latency\.device_name: \"AMD EPYC\" -> \"another\"\); "):
        store.add_study(study("fast", latency={**LATENCY_SETTINGS, "device_name": "another"}))
    with pytest.raises(ValueError, match=r"stored with others \(latency: null -> "):
        store.add_study(study(latency=LATENCY_SETTINGS))
