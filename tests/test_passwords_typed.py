"""A command line holds no password, and its refusal does not tell it."""

import sys

import pytest

from space.cli import run_entry_point
from space.passwords import refuse_typed_passwords


@pytest.mark.parametrize(
    "word",
    [
        "storage.url=postgresql://me:secret@host/x",
        "storage.url=postgresql+psycopg://me:secr{@}%@host:5432/x",
        "storage.url='postgresql://:secret@host/x'",
        "+storage.url=postgresql://me:/secret@host/x",
        "storage.url=postgresql:/me:secret@host/x",
        "storage={url:postgresql://me:secret@host/x}",
        "storage.url=postgresql://me@host/x?sslmode=require&password=secret",
        "storage.url=postgresql://me@host/x?sslpassword=secret",
        "storage.url=postgresql://me:${oc.env:SECRET,secret}@host/x",
        "postgresql://me:secret@host/x",
        "ray.address=ray://me:secret@host",
    ],
)
def test_a_command_with_a_password_is_refused_without_telling_it(word, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sweep", "space=tiny_demo", word])
    with pytest.raises(SystemExit) as ended:
        run_entry_point(lambda: pytest.fail("it must not run"))
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("error: a command must hold no password")
    assert "PGPASSFILE" in said
    assert said.count("\n") == 1
    assert "secr" not in said


@pytest.mark.parametrize(
    "word",
    [
        "storage.url=postgresql+psycopg://me@host:5432/x?sslmode=require",
        "storage.url=postgresql://host:5432/x",
        "storage.url=postgresql://me@[::1]:5432/x",
        "storage.url=sqlite:////data/me@home/x.db",
        "storage.url=${oc.env:DATABASE}",
        "storage.url=postgresql://${oc.env:USER}:${oc.env:DATABASE_PASSWORD}@host/x",
        "data.path=/data/a:b@c.npz",
        "study=password",
    ],
)
def test_a_command_without_one_runs(word):
    refuse_typed_passwords(["space=tiny_demo", word])
