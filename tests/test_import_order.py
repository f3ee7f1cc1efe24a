"""timm knows the networks whichever is imported first, and the light parts of the project stay light."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forks import Forks, forking


@pytest.fixture(scope="module")
def light() -> Iterator[Forks]:
    """Processes that have imported what light parts may."""
    with forking("numpy", "pandas", "plotly.graph_objects", "sqlalchemy") as started:
        yield started


@pytest.fixture(scope="module")
def with_torch() -> Iterator[Forks]:
    """Processes that have imported torch, and neither timm nor anything of ours."""
    with forking("torch", "torchvision") as started:
        yield started


def run(forks: Forks, said: Path, code: str) -> str:
    ended = forks.wait(forks.start("forks:execute", code, said=said))
    assert ended == 0, said.read_text()
    return said.read_text().strip()


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
def test_timm_lists_the_networks(imports: str, with_torch: Forks, tmp_path: Path) -> None:
    code = f"{imports}; print(*timm.list_models('transxnet*'))"
    assert run(with_torch, tmp_path / "said", code) == "transxnet_b transxnet_s transxnet_t"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("transxnet, transxnet.arch, transxnet.cost, transxnet.variants", ["torch", "timm", "ray", "fvcore"]),
        ("space, space.space, space.presets", ["torch", "timm", "ray", "optuna"]),
        ("db, db.store", ["torch", "timm", "ray", "optuna"]),
        ("analysis, analysis.report, analysis.front", ["torch", "timm", "ray", "optuna", "experiments"]),
        ("benchmarks.gpu", ["ray", "optuna", "fvcore", "hydra", "sqlalchemy"]),
        ("experiments.sweep", ["torch", "timm", "ray.tune", "matplotlib"]),  # a mistake is told soon
        ("experiments.conduct", ["timm", "matplotlib"]),  # so that trials start soon
        ("experiments.trial", ["ray", "optuna", "hydra", "sqlalchemy", "pandas", "skimage", "sklearn", "scipy"]),
        ("experiments.training", ["ray", "optuna", "fvcore", "hydra", "rich"]),
    ],
)
def test_light_parts_import_without_the_heavy_ones(
    modules: str, heavy: list[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    forks: Forks = request.getfixturevalue("light" if "torch" in heavy else "with_torch")
    code = f"import {modules}, sys; print(*[m for m in {heavy!r} if m in sys.modules])"
    assert run(forks, tmp_path / "said", code) == ""
