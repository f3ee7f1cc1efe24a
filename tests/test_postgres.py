"""The tests' PostgreSQL server: what other tests take for granted when they break it."""

from __future__ import annotations

import pytest
from postgres import PostgresServer
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError


def answer(url: str, *statements: str) -> object:
    """What the last statement gives, all of them committed."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements[:-1]:
                connection.execute(text(statement))
            return connection.execute(text(statements[-1])).scalar()
    finally:
        engine.dispose()


def test_what_was_committed_outlives_a_crash_and_what_was_not_does_not(postgres: PostgresServer) -> None:
    url = postgres.url("crash")
    answer(url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1) RETURNING n")
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO kept VALUES (2)"))
        postgres.restart("immediate")
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
        connection.invalidate()
    engine.dispose()
    assert answer(url, "SELECT array_agg(n) FROM kept") == [1]


def test_a_role_is_let_in_by_its_password_alone(postgres: PostgresServer) -> None:
    postgres.role("ann", "old")
    postgres.role("ann", "p@ss:/%{}'\"?#")
    url = postgres.url("hers", "ann", "p@ss:/%{}'\"?#")
    assert answer(url, "CREATE TABLE mine ()", "SELECT current_user") == "ann"
    for wrong in (make_url(url).set(password="old"), URL.create(**{**make_url(url)._asdict(), "password": None})):
        with pytest.raises(OperationalError, match="password"):
            answer(wrong.render_as_string(hide_password=False), "SELECT 1")


def test_a_database_is_empty_each_time(postgres: PostgresServer) -> None:
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert answer(postgres.url("again"), "CREATE TABLE left_over ()", count) == 1
    assert answer(postgres.url("again"), count) == 0


def test_a_server_that_was_stopped_is_there_for_the_next_test_on_the_same_port(postgres: PostgresServer) -> None:
    url = postgres.url("away")
    postgres.stop("fast")
    with pytest.raises(OperationalError, match="refused"):
        answer(url, "SELECT 1")
    postgres.start()
    assert answer(url, "SELECT 1") == 1
