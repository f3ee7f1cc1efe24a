"""A report says where what was trained costs otherwise, beside the baseline, than the targets."""

import dataclasses

from synthetic_study import realistic

from analysis.frame import variant_frame
from analysis.proxy_costs import proxy_sentence
from analysis.words import summary


def frame_of(found):
    return variant_frame(found.study, found.trials, found.architectures)


def with_proxy(found, factor):
    """The study with the proxies of its first other variant `factor` times as costly."""
    other = next(trial for trial in found.trials if trial.arch_id != found.study.baseline_arch_id)
    record = found.architectures[other.trained_arch_id]
    dearer = dataclasses.replace(record, macs=round(record.macs * factor))
    return dataclasses.replace(found, architectures={**found.architectures, other.trained_arch_id: dearer})


def test_a_proxy_unlike_its_target_in_cost_is_named():
    found = with_proxy(realistic(), 1.3)
    frame = frame_of(found)
    told = proxy_sentence(frame)
    assert "has +30% multiply-adds as trained, " in told
    assert "as target." in told
    assert told in summary(found.study, frame)


def test_proxies_that_cost_what_their_targets_do_need_no_words():
    frame = frame_of(with_proxy(realistic(), 1.08))
    assert proxy_sentence(frame) == ""
    assert proxy_sentence(frame[~frame["is_baseline"]]) == ""
