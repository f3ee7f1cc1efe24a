"""Databases that a sweep cannot use, and studies that it cannot go on with."""

from __future__ import annotations

from bad_files import (
    cut_in_half,
    file,
    overwrite_all_pages_but_the_first,
    overwrite_page_in_the_middle,
    read_only,
    record,
    record_after,
    record_changed,
    somebody_elses,
)
from bad_input import STUDY, TINY, BadInput, Prepare, sweep

from db.schema import VERSION_TABLE


def on_record(id: str, words: str, *told: str, prepare: Prepare = record) -> BadInput:
    """A mistake in a sweep of which the database is there, or what stands in its place."""
    return BadInput(id, "sweep", f"{TINY} {words}", told, prepare)


DATABASES = [
    sweep(
        "bare path as URL", "storage.url=runs.db", "named by a URL, got 'runs.db'", "write storage.url=sqlite:///PATH"
    ),
    sweep(
        "unknown dialect",
        "storage.url=mysql://me@host/x",
        "must be SQLite, or PostgreSQL",
        "me@host",
        "write",
    ),
    sweep(
        "a password for others to read",
        "storage.url=postgresql://me:secret@host/x",
        "a command must hold no password",
        "storage.url",
        "PGPASSFILE",
    ),
    sweep(
        "database in memory", "storage.url=sqlite:///:memory:", "must be a plain file", "write storage.url=sqlite:///"
    ),
    sweep(
        "database is a folder", "storage.url=sqlite:///taken", "is a folder", "name another", prepare=file("taken/x")
    ),
    sweep("database below a file", "storage.url=sqlite:///taken/x", "is not a folder", "name", prepare=file("taken")),
    BadInput(
        "no server",
        "report",
        "study=x storage.url='postgresql://me@127.0.0.1:1/x?connect_timeout=2'",
        ("cannot open the database", "me@127.0.0.1:1/x", "see that the server runs"),
    ),
    *(
        BadInput(f"{id}, {command}", command, words, told, prepare)
        for command, words in {
            "sweep": TINY,
            "report": f"study={STUDY}",
            "export": f"study={STUDY} name=fine",
            "dashboard": "",
        }.items()
        for id, told, prepare in (
            (
                "database of text",
                ("must be a SQLite file", "runs/transxnet.db is none", "name another file"),
                file("runs/transxnet.db", b"not a database, " * 300),
            ),
            (
                "database of zero bytes",
                ("runs/transxnet.db is empty", "put a backup in its place, or delete it"),
                file("runs/transxnet.db"),
            ),
            (
                "pages corrupt",
                ("must be whole, got sqlite:///", "runs/transxnet.db", "damaged", "put a backup"),
                record_changed(overwrite_all_pages_but_the_first),
            ),
            (
                "database read-only",
                ("must be writable", "runs/transxnet.db is not", "name another file"),
                record_changed(read_only),
            ),
            (
                "schema newer",
                ("got revision '9999'", "upgrade transxnet-search"),
                record_after(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"),
            ),
        )
    ),
    on_record(
        "one page corrupt", "", "damaged (", "put a backup", prepare=record_changed(overwrite_page_in_the_middle)
    ),
    on_record("database cut off", "", "damaged (", "put a backup", prepare=record_changed(cut_in_half)),
    on_record("somebody else's database", "", "holds other tables (patients)", "name another", prepare=somebody_elses),
    BadInput(
        "one page corrupt, dashboard",
        "dashboard",
        "",
        ("damaged (", "put a backup"),
        record_changed(overwrite_page_in_the_middle),
    ),
    BadInput("no database, report", "report", "study=x", ("no database of sweeps at", "run a sweep first")),
    BadInput("no database, export", "export", "study=x name=y", ("no database of sweeps at", "run a sweep first")),
    BadInput("no database, dashboard", "dashboard", "", ("no database of sweeps at", "run a sweep first")),
]

RESUMED = [
    on_record(
        "with another space",
        f"space=idconv_groups study={STUDY}",
        "a study keeps its settings",
        STUDY,
        "space.name:",
        "study=NAME",
    ),
    on_record(
        "with other choices",
        "space.dimensions.idconv_groups.choices=[1,2,4,8]",
        "keeps its settings",
        "space.dimensions:",
        "study=NAME",
    ),
    on_record(
        "with another objective",
        "objectives=[accuracy,params]",
        '["accuracy", "gmacs"] -> ["accuracy", "params"]',
        "study=NAME",
    ),
    on_record("with other data", "data.split_seed=1", "data.fingerprint:", "study=NAME"),
    on_record(
        "with another recipe", "recipe.learning_rate=0.001", "recipe.learning_rate: 0.003 -> 0.001", "study=NAME"
    ),
    on_record("with another proxy", "proxy.epochs=3", "fidelity.epochs: 2 -> 3", "study=NAME"),
    on_record("with latency", "objectives=[accuracy,latency]", "latency: null ->", "study=NAME"),
]
