"""The houses call one another in one direction only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_USE = {
    "transxnet": set(),
    "space": {"transxnet"},
    "db": set(),
    "analysis": {"db", "space", "transxnet"},
    "experiments": {"analysis", "db", "space", "transxnet"},
}
FREE_OF_TORCH = [
    "transxnet/arch.py",
    "transxnet/columns.py",
    "transxnet/cost/closed_form.py",
    "transxnet/cost/memory.py",
    "transxnet/cost_terms.py",
    "transxnet/stage_numbers.py",
    "transxnet/stage_rules.py",
    "transxnet/variants.py",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "transxnet" / "operators").glob("*.py"))),
]


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


def files(house: str) -> list[Path]:
    return sorted((ROOT / house).rglob("*.py"))


@pytest.mark.parametrize("house", MAY_USE)
def test_a_house_uses_only_the_houses_below_it(house):
    assert files(house)
    for path in files(house):
        others = imports(path) & MAY_USE.keys() - {house}
        assert others <= MAY_USE[house], path


@pytest.mark.parametrize("name", FREE_OF_TORCH)
def test_the_description_and_the_cost_model_import_neither_torch_nor_timm(name):
    assert not imports(ROOT / name) & {"torch", "timm", "fvcore", "ray"}


@pytest.mark.parametrize("house", ["space", "db", "analysis"])
def test_the_light_houses_never_import_torch_ray_or_timm(house):
    for path in files(house):
        assert not imports(path) & {"torch", "timm", "ray", "optuna", "fvcore"}, path


def test_only_the_store_opens_a_database_session():
    for house in ("space", "analysis", "experiments", "transxnet"):
        for path in files(house):
            assert "sqlalchemy" not in imports(path), path


def test_test_folders_shadow_no_house():
    assert not list((ROOT / "tests").rglob("__init__.py"))
