"""A Ray that starts in half the time: without the processes that look after dashboards, logs and clouds.

No test with such a Ray looks at them; tests of what a Ray leaves, lets in or costs have the whole of it.
"""

from __future__ import annotations

from typing import Any

from ray._private import node, services


def start_lean_rays() -> None:
    """From now on, those that this process starts."""
    for unneeded in ("start_monitor", "start_log_monitor", "start_api_server"):
        setattr(node.Node, unneeded, _nothing)
    start = services.start_ray_process
    services.start_ray_process = lambda command, *others, **named: start(_lean(command), *others, **named)


def _nothing(*words: Any, **named: Any) -> None: ...


def _lean(command: list[str]) -> list[str]:
    """A raylet does not start without its dashboard agent; this one loads nothing that it can do without."""
    return [
        word.replace("agent.py ", "agent.py --minimal ", 1) if word.startswith("--dashboard_agent_command=") else word
        for word in command
    ]
