"""Measurements as lines to read while they come and as JSON to keep."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.on_cpu.measure import Measurement
from experiments.provenance import code_version, machine, package_versions

HEADER = f"{'case':13} {'mode':6} {'batch':>5} {'kernels':14} {'step ms':>9} {'ratio':>6} {'peak MiB':>9} {'error':>6}"


def line(measurement: Measurement) -> str:
    """Under HEADER."""
    m = measurement
    error = "" if m.error_ratio is None else f"{m.error_ratio:.2f}"
    return f"{m.case:13} {m.mode:6} {m.batch:5} {m.row:14} {m.step_ms:9.1f} {m.ratio:6.2f} {m.peak_mib:9.1f} {error:>6}"


def write_json(path: Path, measurements: Sequence[Measurement], profiles: dict[str, str]) -> None:
    """All that is known so far, with what it depends on."""
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "packages": package_versions(),
        "measurements": [dataclasses.asdict(measurement) for measurement in measurements],
        "profiles": profiles,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
