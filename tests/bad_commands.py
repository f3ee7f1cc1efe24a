"""Mistakes in the words of all other commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bad_files import file, record, state_changed, weights
from bad_input import STUDY, BadInput

EXPORTS = [
    BadInput(f"export name {id}", "export", f"study={STUDY} name={name}", told, record)
    for id, name, told in (
        ("that climbs", "../x", ("Python identifier", "got '../x'", "try 'x'")),
        ("with a slash", "a/b", ("Python identifier", "got 'a/b'", "try 'a_b'")),
        ("with a hyphen", "my-variant", ("Python identifier", "try 'my_variant'")),
        ("of nothing", "", ("Python identifier", "got ''", "try 'my_variant'")),
        ("of 65", 65 * "x", ("at most 64 letters", f"try '{64 * 'x'}'")),
        ("of a model of timm", "resnet50", ("name must be new to timm, got 'resnet50'", "choose another")),
        ("of a model of ours", "transxnet_t", ("name must be new to timm, got 'transxnet_t'", "choose another")),
    )
] + [
    BadInput("export of nothing", "export", "name=x", ("study must be given", "add study=..."), record),
    BadInput("export without a name", "export", f"study={STUDY}", ("name must be given", "add name=..."), record),
    BadInput(
        "misspelt study", "export", "study=tiny_demo-digit name=x", ("no study named", f"did you mean {STUDY}?"), record
    ),
    BadInput("unknown pick", "export", f"study={STUDY} name=x pick=bset", ("pick must be best", "'bset'"), record),
    BadInput(
        "unknown weights", "export", f"study={STUDY} name=x weights=tral", ("weights 'tral'", "mean trial?"), record
    ),
    BadInput(
        "seed of text",
        "export",
        f"study={STUDY} name=x seed=one",
        ("seed must be a whole number", "write digits alone"),
        record,
    ),
    BadInput(
        "variants is a file",
        "export",
        f"study={STUDY} name=x variants=runs/transxnet.db",
        ("runs/transxnet.db", "write variants=FOLDER for another"),
        record,
    ),
]


def _rename(prefix: str) -> Callable[[dict[str, Any]], object]:
    def rename(state: dict[str, Any]) -> None:
        for name in [name for name in state if name.startswith(prefix)]:
            state[f"{name}_"] = state.pop(name)

    return rename


OF_A_TRIAL = f"study={STUDY} name=x weights=trial cache={{cache}}"
TRAINED = [
    BadInput(id, "export", OF_A_TRIAL, ("weights of trial", *told), made)
    for id, told, made in (
        (
            "truncated weights",
            ("must be a whole file", ".safetensors of", "bytes", "another seed="),
            weights(lambda path: path.write_bytes(path.read_bytes()[:5000])),
        ),
        ("weights of nothing", ("must be a whole file", "0 bytes"), weights(lambda path: path.write_bytes(b""))),
        ("text as weights", ("must be a whole file",), weights(lambda path: path.write_text("no tensors\n"))),
        (
            "weights of another network",
            ("stem.bn.weight is missing; stem.bn.bias is missing; stem.bn.running_mean is missing, and 6 more",),
            weights(state_changed(_rename("stem.bn."))),
        ),
        (
            "weights with NaN",
            ("finite numbers alone, got NaN or infinity in head.fc.bias", "another seed="),
            weights(state_changed(lambda state: state["head.fc.bias"].fill_(float("nan")))),
        ),
    )
] + [
    BadInput(
        "weights that are gone",
        "export",
        OF_A_TRIAL,
        ("left no weights", "pick another seed="),
        record,
    ),
]

OTHERS = [
    BadInput("report of nothing", "report", "", ("study must be given", "add study=..."), record),
    BadInput(
        "report of a misspelt study", "report", "study=tiny_demo-digts", ("no study named", f"mean {STUDY}?"), record
    ),
    BadInput(
        "report of a path", "report", "study=../x", ("study must be 1 to 64 letters", "got '../x'", "try 'x'"), record
    ),
    BadInput(
        "report into a file",
        "report",
        f"study={STUDY} out=runs/transxnet.db",
        ("runs/transxnet.db", "choose another with out=FOLDER"),
        record,
    ),
    BadInput("report with an unknown key", "report", f"study={STUDY} outt=x", ("'outt'", "did you mean out?"), record),
    BadInput("port 0", "dashboard", "port=0", ("port must be between 1 and 65535, got 0", "port=8080"), record),
    BadInput("port of text", "dashboard", "port=http", ("port must be a whole number", "write digits alone"), record),
    BadInput("dashboard with an unknown key", "dashboard", "prot=80", ("'prot'", "did you mean port?"), record),
    BadInput(
        "describe 0 samples", "describe", "samples=0", ("samples must be at least 1, got 0", "for example 100000")
    ),
    BadInput(
        "describe text samples", "describe", "samples=many", ("samples must be a whole number", "write digits alone")
    ),
    BadInput("describe a misspelt key", "describe", "spase=ffn", ("unknown key 'spase'", "did you mean space?")),
    BadInput(
        "describe a budget 0", "describe", "budget.max_gmacs=0", ("budget.max_gmacs must be above 0, got 0", "leave")
    ),
    BadInput("describe seed -1", "describe", "seed=-1", ("seed must be 0 or above, got -1", "write for example 0")),
    BadInput(
        "describe into a file",
        "describe",
        "space=tiny_demo out=taken",
        ("out must be a folder", "choose another"),
        file("taken"),
    ),
    BadInput("build with an unknown option", "build", "--foldr x", ("unrecognized arguments: --foldr x", "--help")),
    BadInput(
        "build into a file",
        "build",
        "--folder taken",
        ("--folder must be a folder", "taken", "name another"),
        file("taken"),
    ),
]
