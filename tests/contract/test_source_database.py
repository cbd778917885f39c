"""Rows of a database, on a real PostgreSQL: pages, names, values, and the target."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Column as TableColumn
from sqlalchemy import DateTime, MetaData, String, Table
from sqlalchemy.dialects import mssql

from shared.adapters.database import Database
from shared.adapters.database_target import update_then_insert
from shared.adapters.sources import SourceConnections
from shared.errors import SourceError
from shared.model import DatabaseSource
from shared.model.records import Column
from shared.ports import AnsweredRow, SourceRow

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TARGET = (
    "key text, version text, answer text, error text, answered_at timestamptz, primary key (key, version)"
)
Connect = Callable[..., Database]


def run(url: str, *statements: str) -> list[dict[str, Any]]:
    """Run statements; return the rows of the last one."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
async def connect(database: str) -> AsyncIterator[Connect]:
    made = list[Database]()

    def new(select: str = "select * from reviews", **changes: Any) -> Database:
        given: dict[str, Any] = {"key": "id", "text": (Column("body"),), "version": "changed"}
        given |= {"url": database, "target": "answers"} | changes
        made.append(Database(DatabaseSource(select=select, **given)))
        return made[-1]

    yield new
    for each in made:
        await each.close()


async def rows_of(rows: Database, limit: int) -> list[SourceRow]:
    """Return all rows with their texts, each once, through pages of `limit`."""
    found, start = dict[tuple[str, str], SourceRow](), ""
    while True:
        page = await rows.page(start, limit)
        new = [row.key for row in page.rows if (row.key, row.version) not in found]
        found |= {(row.key, row.version): row for row in await rows.texts(page, new)}
        start = page.next
        if not start:
            return list(found.values())


async def test_names_and_values_are_taken_as_they_are(database: str, connect: Connect) -> None:
    """SQL's own words, spaces and quotes in names; quotes, colons, percent signs and comments in values."""
    run(
        database,
        'create table "Order" ("select" text primary key, "from it""s" text, "Group" int)',
        """insert into "Order" values ('a'';--', '100% :x %(y)s', 1), ('Ünï "q" \\', null, null)""",
    )
    text = ("<", Column('from it"s'), "|", Column("group"), ">")
    select = """select "select", "from it""s", "Group", ':no %s' as "a:b", 1::text -- to the end"""
    rows = connect(f'{select}\nfrom "Order" -- all', key="select", version="group", text=text)
    assert await rows_of(rows, 10) == [
        SourceRow("a';--", "1", "<100% :x %(y)s|1>"),
        SourceRow('Ünï "q" \\', "", "<|>"),
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bigint", "9000000000000000000 + n"),
        ("numeric(20, 3)", "n / 3.0"),
        ("uuid", "md5(n::text)::uuid"),
        ("timestamptz", "timestamptz '2026-01-01' + n * interval '1 minute'"),
        ("date", "date '2026-01-01' + n"),
        ('text collate "nocase"', "chr(64 + n % 26) || chr(96 + n % 26) || n"),
        ("mood", "(array['sad', 'ok', 'happy'])[1 + n]::mood"),
    ],
)
async def test_pages_have_every_row_whatever_the_key(
    database: str, connect: Connect, kind: str, value: str
) -> None:
    """The column's own type and collation decide the order, also one that ignores case, or an enum's."""
    run(
        database,
        "create type mood as enum ('sad', 'ok', 'happy')",
        "create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        f"create table reviews (id {kind}, body text, changed int default 1)",
        f"insert into reviews select {value}, n from generate_series(0, {2 if kind == 'mood' else 99}) n",
    )
    found = await rows_of(connect(), 7 if kind != "mood" else 2)
    assert len(found) == (3 if kind == "mood" else 100)
    shown = {row["id"] for row in run(database, "select id::text from reviews")}
    assert kind in ("timestamptz",) or {row.key for row in found} == shown


async def test_rows_with_one_key_are_told_apart_by_version_or_refused(
    database: str, connect: Connect
) -> None:
    """Two versions of a key both count; more than a page of them cannot be read by key. None has no key."""
    run(
        database,
        "create table reviews (id int, body text, changed int)",
        "insert into reviews select n / 2, n, n from generate_series(0, 9) n",
        "insert into reviews values (null, 'nobody', 1)",
    )
    assert {row.version for row in await rows_of(connect(), 3)} == set(map(str, range(10)))
    with pytest.raises(SourceError, match="2 rows or more have the same key"):
        await rows_of(connect(), 2)


async def test_a_transaction_that_commits_late_is_found_by_the_next_look(
    database: str, connect: Connect
) -> None:
    """Its rows lie before others that were seen already, by key and by time."""
    run(database, "create table reviews (id int primary key, body text, changed timestamptz default now())")
    rows = connect()
    with psycopg.connect(database) as late:
        late.execute("insert into reviews values (1, 'late')")
        run(database, "insert into reviews values (2, 'early')")
        assert [row.key for row in await rows_of(rows, 10)] == ["2"]
    assert [row.key for row in await rows_of(rows, 10)] == ["1", "2"]


async def test_answers_are_inserted_or_replaced_and_a_bad_one_stops_no_other(
    database: str, connect: Connect
) -> None:
    """Typed keys, JSON or text, an answer that a column cannot hold, and the same answers twice."""
    target = "key bigint, version timestamptz, answer jsonb, error varchar(9), answered_at timestamp"
    run(
        database,
        'create schema "my out"',
        f'create table "my out"."Answers" ({target}, unique (version, key))',
    )
    rows = connect(target="my out.Answers")
    version = "2026-01-01T00:00:00+01:00"
    given = [
        AnsweredRow("1", version, '{"it\'s": ["\\"", null]}', None, AT),
        AnsweredRow("2", version, None, "why: \0", AT),
        AnsweredRow("3", version, '"\\u0000"', None, AT),
        AnsweredRow("no number", version, "1", None, AT),
        AnsweredRow("5", version, None, "too long for it", AT),
        AnsweredRow("6", version, None, "fits", AT),
    ]
    assert await rows.write(given) == await rows.write(given) == 4
    assert await rows.write([AnsweredRow("6", version, "7", None, AT)]) == 0
    stored = run(database, 'select * from "my out"."Answers" order by key')
    assert [(row["key"], row["answer"], row["error"]) for row in stored] == [
        (1, {"it's": ['"', None]}, None),
        (6, 7, None),
    ]
    assert stored[0]["answered_at"] == AT.replace(tzinfo=None)
    text = connect(target="plain")
    run(database, f"create table plain ({TARGET})")
    answers = [AnsweredRow(str(n), "", f'"\\u0000{n}"', None, AT) for n in range(3000)]
    assert await text.write(answers) == 0
    assert run(database, "select answer from plain where key = '7'") == [{"answer": '"\\u00007"'}]


async def test_the_check_says_what_is_missing_and_that_the_role_may_write(
    database: str, connect: Connect
) -> None:
    """Each mistake has its remedy; a reader with rights on the target only is what should be."""
    run(database, "create table reviews (id int primary key, body text, changed int)")
    for changes, message in (
        ({"key": "idd"}, "no column 'idd'.*it has id, body, changed"),
        ({"select": "select * from nowhere"}, 'relation "nowhere" does not exist'),
        ({}, r"answers is not there.*create table answers \(key"),
    ):
        with pytest.raises(SourceError, match=message):
            await connect(**changes).check()
    run(database, "create table answers (key int, version int, answer text, error text, answered_at text)")
    facts = {fact.what: fact for fact in await connect().check()}
    (writes,) = [fact for fact in facts.values() if "may change 1 other table" in fact.what]
    (unique,) = [fact for fact in facts.values() if "no unique key" in fact.what]
    assert "select from the source" in writes.remedy and writes.works
    assert unique.remedy == "alter table answers add primary key (key, version)" and not unique.works
    run(
        database,
        "drop table answers",
        f"create table answers ({TARGET})",
        "drop role if exists reader",
        "create role reader login",
        "grant select on reviews to reader",
        "grant select, insert, update on answers to reader",
    )
    reader = connect(url=database.replace("postgres@", "reader@"))
    assert all(fact.works and not fact.remedy for fact in await reader.check())
    assert await reader.write([AnsweredRow("1", "1", "2", None, AT)]) == 0
    run(database, "create function bump() returns int language sql as 'delete from reviews returning 1'")
    run(database, "alter function bump() security definer")
    with pytest.raises(SourceError, match="25006"):
        await connect("select id, body, bump() as changed from (values (1, '')) t (id, body)").page("", 1)


async def test_a_database_that_is_gone_is_an_error_with_a_remedy() -> None:
    """No value of the URL is in it."""
    source = DatabaseSource("postgresql://me@127.0.0.1:9/claims", "select 1", "id", (), "v", "t", "hush")
    database = Database(source)
    with pytest.raises(SourceError, match="check that the database runs") as raised:
        await database.page("", 1)
    assert "hush" not in f"{raised.value}{source}" and "claims" not in str(raised.value)
    await database.close()


async def test_the_other_statements_for_sql_server_do_the_same(database: str, connect: Connect) -> None:
    """They are SQL Server's by their text; here PostgreSQL carries them out."""
    run(database, f"create table answers ({TARGET})")
    rows = connect()
    engine = rows._connected()
    engine.dialect.name = "other"  # takes the way of all databases without ON CONFLICT
    for answer in ("1", "2"):
        assert await rows.write([AnsweredRow("a'b", "v", answer, None, AT)]) == 0
    assert run(database, "select key, answer from answers") == [{"key": "a'b", "answer": "2"}]
    names = {"key": String, "version": String, "answer": String, "error": String, "answered_at": DateTime}
    table = Table("select", MetaData(), *(TableColumn(name, kind) for name, kind in names.items()))
    dialect: Any = mssql.dialect  # type: ignore[attr-defined]
    first, second = (str(each.compile(dialect=dialect())) for each in update_then_insert(table))
    assert first.startswith("UPDATE [select] SET answer=:new_answer")
    assert "WHERE NOT (EXISTS (SELECT * \nFROM [select] \nWHERE" in second


async def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extras, everything else of the app works."""
    monkeypatch.setitem(sys.modules, "shared.adapters.database", None)
    source = DatabaseSource("postgresql://me@db/claims", "select 1", "id", (), "v", "t")
    with pytest.raises(SourceError, match=r"pip install -r requirements-databases\.txt"):
        SourceConnections().rows(source)
