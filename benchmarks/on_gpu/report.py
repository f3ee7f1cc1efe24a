"""Measurements as a table to read and as JSON to keep."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.on_gpu.measure import Measurement
from benchmarks.on_gpu.sharing import Sharing
from experiments.provenance import code_version, machine

Rows = Sequence[Sequence[str]]

STEP_COLUMNS = ("case", "kernels", "mode", "step ms", "ratio", "us/image/GMAC", "peak GiB", "parity")
SHARING_COLUMNS = ("proxy", "kernels", "mode", "processes", "trials/hour")
PACKAGES = ("torch", "triton", "timm")


def step_rows(measurements: Sequence[Measurement]) -> Rows:
    """A line a variant, under STEP_COLUMNS; of a failed one the reason."""
    return [
        (m.case, m.implementation, m.mode, "failed:", m.error)
        if m.error is not None
        else (
            m.case,
            m.implementation,
            m.mode,
            _number(m.step_ms, 2),
            _number(m.ratio, 2),
            _number(m.us_per_gmac, 1),
            _number(m.peak_gib, 2),
            _number(m.parity, 2),
        )
        for m in measurements
    ]


def sharing_rows(sharings: Sequence[Sharing]) -> Rows:
    """A line a number of processes, under SHARING_COLUMNS; where they failed the reason."""
    return [
        (
            s.proxy,
            s.implementation,
            s.mode,
            str(s.processes),
            f"failed: {s.error}" if s.error else _number(s.trials_an_hour, 0),
        )
        for s in sharings
    ]


def table(columns: Sequence[str], rows: Rows) -> str:
    """Plain text, columns aligned; what stands beyond the columns' text, such as a reason, runs on."""
    widths = [len(column) for column in columns]
    for row in rows:
        if len(row) == len(columns):
            widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "\n".join(_line(line, widths) for line in lines)


def write_json(
    path: Path, device: torch.device, measurements: Sequence[Measurement], sharings: Sequence[Sharing]
) -> None:
    """Everything measured, with the machine it was measured on."""
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": {**machine(), **software(device)},
        "steps": [dataclasses.asdict(measurement) for measurement in measurements],
        "sharing": [dataclasses.asdict(sharing) for sharing in sharings],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def software(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on beside the machine itself."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        **{package: importlib.metadata.version(package) for package in PACKAGES if _is_installed(package)},
    }


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)).rstrip()
