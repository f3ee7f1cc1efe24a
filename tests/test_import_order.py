"""timm knows the networks whichever is imported first, and the light parts of the project stay light."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "imports",
    [
        "import transxnet, importlib.util; importlib.util.find_spec('timm'); import timm",
        "import transxnet, timm",
        "import timm, transxnet",
        "import transxnet.network, timm",
        "import transxnet.registry, timm",
    ],
)
def test_timm_lists_the_networks(imports):
    assert run(f"{imports}; print(*timm.list_models('transxnet*'))") == "transxnet_b transxnet_s transxnet_t"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("transxnet, transxnet.arch, transxnet.cost, transxnet.variants", ["torch", "timm", "ray", "fvcore"]),
        ("space, space.space, space.presets", ["torch", "timm", "ray", "optuna"]),
        ("db, db.store", ["torch", "timm", "ray", "optuna"]),
        ("analysis, analysis.report, analysis.front", ["torch", "timm", "ray", "optuna"]),
        ("benchmarks.gpu", ["ray", "optuna", "fvcore", "hydra", "sqlalchemy"]),
        ("experiments.sweep", ["torch", "timm", "ray.tune", "matplotlib"]),  # a mistake is told soon
        ("experiments.conduct", ["timm", "matplotlib"]),  # so that trials start soon
        ("experiments.training", ["ray", "optuna", "fvcore", "hydra", "rich"]),
    ],
)
def test_light_parts_import_without_the_heavy_ones(modules, heavy):
    assert run(f"import {modules}, sys; print(*[m for m in {heavy!r} if m in sys.modules])") == ""
