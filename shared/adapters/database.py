"""Read the rows of a SELECT page by page, and write answers to a table of the same database.

Note [Pages]. A page holds the rows from a key on, that key included: whatever rows the database takes for
equal (a collation that ignores case), none is left out, and those of the last page are known by then. What a
page is compared with goes to the database without a type, so that the column's type and collation decide.

Rows are read in read-only transactions that end with each call. The SELECT of the configuration stands in
parentheses; all values are bound, all names are quoted. Drivers are synchronous: each database has a thread.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, Subquery, bindparam, column, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import NullType, Unicode

from shared.adapters.database_connect import CONNECT_SECONDS, STATEMENT_SECONDS, engine_for
from shared.adapters.database_target import Target
from shared.errors import SourceError
from shared.model import DatabaseSource
from shared.model.sources import columns_of, filled
from shared.ports import AnsweredRow, RowPage, SourceFact, SourceRow

T = TypeVar("T")

MOST_TEXT = 1_000_001
"""Characters of a column that are read: a record takes less, and is refused for its length then."""
_TEXTS = 100  # rows whose texts are read by one statement
_CALL_SECONDS = 2 * STATEMENT_SECONDS + CONNECT_SECONDS
_BIND = re.compile(r"(?<![:\w\\])(:\w+)(?!:)")  # what sqlalchemy.text takes for a parameter


class Database:
    """The implementation of `shared.ports.Rows` on a database."""

    def __init__(self, source: DatabaseSource) -> None:
        self._source = source
        self._engine: Engine | None = None
        self._names: Mapping[str, str] = {}  # of the columns, as the database has them
        self._kind = "s"  # of the keys
        self._target = Target(source.target)
        self._thread = ThreadPoolExecutor(1, "database")

    async def page(self, start: str, limit: int) -> RowPage:
        """See the port. Raises SourceError if so many rows have one key that no page could go on."""
        return await self._run(lambda: self._page(start, limit))

    async def texts(self, page: RowPage, keys: Sequence[str]) -> Sequence[SourceRow]:
        """See the port."""
        found = list[SourceRow]()
        for first in range(0, len(keys), _TEXTS):
            some = [_KINDS[self._kind][1](key) for key in keys[first : first + _TEXTS]]
            found += await self._run(lambda some=some: self._texts(some))  # type: ignore[misc]
        return found

    async def write(self, answers: Sequence[AnsweredRow]) -> int:
        """See the port."""
        return await self._run(lambda: self._target.write(self._connected(), answers))

    async def check(self) -> Sequence[SourceFact]:
        """See the port."""
        return await self._run(self._check)

    async def close(self) -> None:
        """Close the connection, unless a call hangs: it ends by its own limits."""
        self._thread.shutdown(wait=False)
        if self._engine is not None:
            self._engine.dispose()

    # --- in the thread ----------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.wait_for(running, _CALL_SECONDS)
        except TimeoutError as error:
            # The thread may hang: the next call gets another one, with a connection of its own.
            self._thread.shutdown(wait=False)
            self._thread, self._engine = ThreadPoolExecutor(1, "database"), None
            raise SourceError(f"the database did not answer within {_CALL_SECONDS} s") from error
        except SQLAlchemyError as error:
            raise SourceError(*_said(error)) from error

    def _connected(self) -> Engine:
        if self._engine is None:
            self._engine = engine_for(self._source)
        return self._engine

    def _reading(self) -> Connection:
        """Return a connection whose transactions cannot write, where the database has such."""
        engine = self._connected()
        if engine.dialect.name != "postgresql":
            return engine.connect()
        connection = engine.connect().execution_options(postgresql_readonly=True)
        connection.execute(text(f"SET LOCAL statement_timeout = {1000 * STATEMENT_SECONDS}"))
        return connection

    def _rows(self, names: Sequence[str]) -> Subquery:
        escaped = _BIND.sub(r"\\\1", self._source.select)
        # The line ends before the parenthesis does: the last one may be a comment.
        return text(f"{escaped}\n").columns(*(column(name) for name in names)).subquery("source")

    def _column_names(self, connection: Connection) -> Mapping[str, str]:
        """Return the names in the SELECT by those in the configuration. Raises SourceError."""
        if self._names:
            return self._names
        nothing = select(text("*")).select_from(self._rows(())).where(text("1 = 0"))
        there = list(connection.execute(nothing).keys())
        wanted, names = (self._source.key, self._source.version, *columns_of(self._source.text)), {}
        for name in wanted:
            alike = [each for each in there if each == name] or [
                each for each in there if each.lower() == name.lower()
            ]
            if len(alike) != 1:
                have = ", ".join(there)
                raise SourceError(
                    f"the select has no column {name!r}", f"name one that it returns: it has {have}"
                )
            names[name] = quoted_name(alike[0], True)
        self._names = names
        return names

    def _page(self, start: str, limit: int) -> RowPage:
        with self._reading() as connection:
            names = self._column_names(connection)
            rows = self._rows([*dict.fromkeys(names.values())])
            key, version = rows.c[names[self._source.key]], rows.c[names[self._source.version]]
            asked = select(key, version).where(key.is_not(None)).order_by(key).limit(limit)
            if start:
                asked = asked.where(key >= bindparam("start", _value(start), type_=NullType()))
            found = connection.execute(asked).all()
        if found:
            self._kind = _kind(found[0][0])
        following = json.dumps([self._kind, _shown(found[-1][0])]) if len(found) == limit else ""
        if following and following == start:
            raise SourceError(
                f"{limit:,} rows or more have the same key", "select a column as key that tells rows apart"
            )
        return RowPage(tuple(SourceRow(_shown(row[0]), _shown(row[1])) for row in found), start, following)

    def _texts(self, keys: Sequence[Any]) -> list[SourceRow]:
        with self._reading() as connection:
            names = self._column_names(connection)
            used = columns_of(self._source.text)
            rows = self._rows([*dict.fromkeys(names.values())])
            key, version = rows.c[names[self._source.key]], rows.c[names[self._source.version]]
            texts = [func.left(rows.c[names[name]].cast(Unicode()), MOST_TEXT) for name in used]
            wanted = key.in_(bindparam("keys", keys, type_=NullType(), expanding=True))
            found = connection.execute(select(key, version, *texts).where(wanted)).all()
        return [
            SourceRow(
                _shown(row[0]),
                _shown(row[1]),
                filled(self._source.text, dict(zip(used, map(_shown, row[2:]), strict=True))),
            )
            for row in found
        ]

    def _check(self) -> list[SourceFact]:
        self._page("", 1)
        with self._reading() as connection:
            facts = [SourceFact("the select runs, and has the columns")]
            if connection.dialect.name == "postgresql":
                facts.append(_may_write(connection, self._target.name))
        return facts + self._target.check(self._connected())


def _may_write(connection: Connection, target: str) -> SourceFact:
    """Tell whether the role could change other tables than the target: reading is all it needs."""
    may = connection.execute(
        text(
            "SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND relnamespace NOT IN "
            "(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')) "
            "AND oid IS DISTINCT FROM to_regclass(:target) "
            "AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')"
        ),
        {"target": target},
    ).scalar_one()
    if may:
        return SourceFact(
            f"rows are read in read-only transactions, but the role may change {may} other table(s)",
            "give it a role that may only select from the source, and select, insert, update in the target",
        )
    return SourceFact("the role may read, and change no table but the target")


# --- values ---------------------------------------------------------------------------------------

_KINDS: Mapping[str, tuple[type, Callable[[str], Any]]] = {
    "i": (int, int),
    "s": (str, str),
    "u": (UUID, UUID),
    "n": (Decimal, Decimal),
    "t": (datetime, datetime.fromisoformat),
    "d": (date, date.fromisoformat),
}


def _kind(key: Any) -> str:
    for kind, (type_, _) in _KINDS.items():
        if type(key) is type_:
            return kind
    raise SourceError(f"the keys have the type {type(key).__name__}", "cast them to text in the select")


def _value(position: str) -> Any:
    """Return the key at which a page starts."""
    kind, shown = json.loads(position)
    return _KINDS[kind][1](shown)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:f}"
        case datetime() | date():
            return value.isoformat()
        case bytes() | memoryview():
            return bytes(value).hex()
    return str(value)


def _said(error: SQLAlchemyError) -> tuple[str, str]:
    """Return what to tell people, and the remedy: never a text of the database that may quote rows."""
    if not isinstance(error, DBAPIError):
        return f"the database could not be used ({type(error).__name__})", ""
    code = str(getattr(error.orig, "sqlstate", None) or "")
    told = [type(error.orig).__name__, code]
    if code.startswith(_OF_THE_STATEMENT):
        told.append(str(error.orig.diag.message_primary))  # type: ignore[union-attr]
    said = "the database refused or did not answer"
    return f"{said}: {' '.join(filter(None, told))}", _REMEDIES.get(code[:2], _REMEDIES["08"])


_OF_THE_STATEMENT = "42"  # errors that name nothing but what stands in the configuration
# https://www.postgresql.org/docs/15/errcodes-appendix.html, by class
_REMEDIES = {
    "08": "check that the database runs, and that the app may reach it",
    "28": "check who signs in: the user in the URL must be the app's identity, or a role with this password",
    "25": "the select must only read",
    "42": "check the select, its tables and columns, and the rights of the role",
    "57": "the database ended the statement, or starts: if that lasts, it needs an index on the key",
}
