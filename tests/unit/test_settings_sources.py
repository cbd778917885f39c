"""`source` in deployments.yaml: what may be written there, and that no message shows a password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.model import Column, ContainerSource, DatabaseSource, TableSource
from shared.model.sources import OF_ROWS
from shared.settings.statement import objection
from tests.unit.settings_file import CLAUSES, ENVIRONMENT, GONE, changed, config, loaded, mistakes_in

FILES = {"container": "scans", "account": "https://theirs.blob.core.windows.net/"}
TABLE = {
    "table": "reviews",
    "account": "https://theirs.table.core.windows.net",
    "text": "{title}: {body}",
    "target": "answers",
}
ROWS = {
    "database": "postgresql://app@db.postgres.database.azure.com/claims",
    "select": "select id as key, changed as version, body as text from claims",
    "target": "out.answers",
}


def test_the_three_kinds_of_sources_are_read(tmp_path: Path) -> None:
    """Rows bring their own form of records; the files of a container keep the task's."""
    files = config(tmp_path, source=FILES | {"prefix": "2026/"})
    assert files.source == ContainerSource("https://theirs.blob.core.windows.net", "scans", "2026/")
    assert files.task.records is None
    table = config(tmp_path, source=TABLE | {"key": "id"})
    text = (Column("title"), ": ", Column("body"))
    assert table.source == TableSource(TABLE["account"], "reviews", text, "answers", "id")
    own = {"key": "Id", "text": "Body", "version": "Changed", "password": "${DB_PASSWORD}"}
    given = changed({f"{CLAUSES}.source": ROWS | own | {"database": "${DB_URL}"}})
    url = "mssql://reader@db.example:1433/claims?TrustServerCertificate=no"
    settings = loaded(tmp_path, given, ENVIRONMENT | {"DB_URL": url, "DB_PASSWORD": "hush"})
    found = settings.deployments["clauses"]
    body = (Column("Body"),)
    expected = DatabaseSource(url, ROWS["select"], "Id", body, "Changed", "out.answers", "hush")
    assert found.source == expected and found.task.records == OF_ROWS
    assert "hush" not in repr(settings)
    assert expected.place == "db.example:1433/claims/out.answers"
    defaults = config(tmp_path, source=ROWS).source
    assert isinstance(defaults, DatabaseSource)
    assert (defaults.key, defaults.text, defaults.version) == ("key", (Column("text"),), "version")


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        ({}, "write one of container, table, database"),
        (FILES | {"table": "x"}, "write one of container, table, database"),
        (FILES | {"target": "x"}, "target does not go with container: remove it"),
        ({"container": "scans"}, "account is missing: write the URL"),
        (FILES | {"container": "Scans!"}, "container is not a container's name"),
        (FILES | {"account": "https://evil.example/"}, "account must be the URL of its blobs"),
        (FILES | {"account": "https://x.table.core.windows.net"}, "account must be the URL of its blobs"),
        (FILES | {"account": FILES["account"] + "?sig=HUSH"}, "account must be the URL of its blobs"),
        (TABLE | {"text": "{title"}, "write each column's name in one pair of braces"),
        (TABLE | {"target": "reviews"}, "target must be another table"),
        (TABLE | {"target": "a-b"}, "must be names of tables"),
        (ROWS | {"database": "mysql://db/claims"}, "database must be postgresql://USER@HOST/DATABASE"),
        (ROWS | {"database": "postgresql://db"}, "database must be postgresql://USER@HOST/DATABASE"),
        (ROWS | {"database": "postgresql://a:HUSH@db/c"}, "write password: ${NAME}"),
        (ROWS | {"database": "postgresql://a@db.example/c"}, "password is missing"),
        (ROWS | {"database": "${NO_SUCH}"}, "set NO_SUCH in the app settings"),
        (ROWS | {"select": "delete from claims"}, "must be a SELECT"),
        (ROWS | {"target": 'a"b'}, "target must be TABLE, or SCHEMA.TABLE"),
        (ROWS | {"selct": "select 1"}, "unknown key: did you mean 'select'?"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(tmp_path: Path, source: dict[str, str], mistake: str) -> None:
    """The key, what to write instead, and nothing that may be secret."""
    told = mistakes_in(tmp_path, changed({f"{CLAUSES}.source": source}))
    assert any(mistake in each and each.startswith(f"{CLAUSES}.source") for each in told), told
    assert not any("HUSH" in each for each in told)


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"schedule": GONE}, "source: is looked at while a window is open, and there is none"),
        ({"task.records": {"text": "body"}}, "task.records: does not go with a source of rows"),
        ({"task.queries": ["Why?"]}, "task.queries: does not go with a source of rows"),
        ({"task.large": "map_reduce"}, "task.large: asks about pieces of a document"),
    ],
)
def test_what_makes_no_sense_beside_a_source_is_refused(
    tmp_path: Path, changes: dict[str, Any], mistake: str
) -> None:
    """A source that is never looked at, and a task about documents with a source of rows."""
    text = changed({f"{CLAUSES}.source": ROWS, **{f"{CLAUSES}.{k}": v for k, v in changes.items()}})
    assert [each for each in mistakes_in(tmp_path, text) if mistake in each]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("select 1", None),
        (
            "-- all\nWITH x AS (select ';' as a, \"d;e\", [f;g], $x$;$x$) select * from x /* a /* b */ ; */",
            None,
        ),
        ("select replace(body, 'delete', 'into') as text, updated from t where a = ')' -- ;", None),
        ("", "must be a SELECT"),
        ("table claims", "must be a SELECT"),
        ("select 1;", "one statement"),
        ("select 1; drop table claims", "one statement"),
        ("select 1) x; --", "parenthesis"),
        ("select (1", "parenthesis"),
        ("select 1) as x, (select 2", "parenthesis"),
        ("select 'a", "quote without an end"),
        ("select 1 /* ", "comment without an end"),
        ("with gone as (delete from claims returning *) select * from gone", "has DELETE"),
        ("select * into copy_of from claims", "has INTO"),
    ],
)
def test_only_one_select_is_taken(statement: str, why: str | None) -> None:
    """By its words, outside of quotes and comments."""
    found = objection(statement)
    assert found is None if why is None else why in str(found)
