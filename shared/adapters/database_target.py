"""Write answers to a table: insert or replace by key and version, in one transaction a batch.

What the columns hold follows from their types in the database. A row that the database refuses for what is in
it (a text that is too long, a character that its type cannot hold) does not stop the others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BindParameter,
    Column,
    Connection,
    DateTime,
    Engine,
    Executable,
    MetaData,
    Table,
    and_,
    bindparam,
    exists,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DataError, IntegrityError, NoSuchTableError

from shared.adapters.database_connect import STATEMENT_SECONDS
from shared.errors import SourceError
from shared.ports import AnsweredRow, SourceFact

KEYS, VALUES = ("key", "version"), ("answer", "error", "answered_at")
_MAKE = (
    "create table {} (key varchar(200), version varchar(200), answer text, error text, "
    "answered_at timestamp with time zone, primary key (key, version))"
)
_REFUSED = (DataError, IntegrityError, ValueError, ArithmeticError)


class Target:
    """A table with the columns key, version, answer, error and answered_at. Use it in one thread."""

    def __init__(self, name: str) -> None:
        """`name`: of the table, with its schema before a dot if that is another one than the role's own."""
        self.name = name
        self._found: Table | None = None

    def write(self, engine: Engine, answers: Sequence[AnsweredRow]) -> int:
        """Write answers, safe to repeat; return how many were refused for good.

        Raises SourceError, and SQLAlchemyError for whatever concerns not only a row.
        """
        table = self._table(engine)
        try:
            with engine.begin() as connection:
                self._write(connection, table, [_values(table, answer) for answer in answers])
            return 0
        except _REFUSED:
            refused = 0
        for answer in answers:
            try:
                with engine.begin() as connection:
                    self._write(connection, table, [_values(table, answer)])
            except _REFUSED:
                refused += 1
        return refused

    def _write(self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL statement_timeout = {1000 * STATEMENT_SECONDS}"))
            connection.execute(upsert(table), rows)
        else:
            for statement in update_then_insert(table):
                connection.execute(statement, rows)

    def check(self, engine: Engine) -> list[SourceFact]:
        """Return whether the table is there, and answers have a unique key."""
        table, where = self._table(engine), {"schema": self._schema}
        there, keys = inspect(engine), set(KEYS)
        unique: list[Sequence[str | None]] = [
            there.get_pk_constraint(table.name, **where)["constrained_columns"]
        ]
        unique += [each["column_names"] for each in there.get_unique_constraints(table.name, **where)]
        unique += [each["column_names"] for each in there.get_indexes(table.name, **where) if each["unique"]]
        if not any({str(name).lower() for name in each} == keys for each in unique):
            remedy = f"alter table {self.name} add primary key (key, version)"
            return [SourceFact(f"the target {self.name} has no unique key of key and version", remedy, False)]
        return [SourceFact(f"the target {self.name} is there, with a unique key of key and version")]

    @property
    def _schema(self) -> str | None:
        return self.name.rpartition(".")[0] or None

    def _table(self, engine: Engine) -> Table:
        """Return the table as the database has it. Raises SourceError."""
        if self._found is None:
            try:
                found = Table(
                    self.name.rpartition(".")[2], MetaData(), schema=self._schema, autoload_with=engine
                )
            except NoSuchTableError as error:
                remedy = f"make it, such as by: {_MAKE.format(self.name)}"
                raise SourceError(f"the target {self.name} is not there", remedy) from error
            names = {each.name.lower() for each in found.columns}
            if missing := [name for name in (*KEYS, *VALUES) if name not in names]:
                raise SourceError(
                    f"the target {self.name} has no column {missing[0]}",
                    "it needs key, version, answer, error, answered_at",
                )
            for each in found.columns:
                if isinstance(each.type, JSON):
                    each.type.none_as_null = True  # no answer is NULL, not JSON's null
            self._found = found
        return self._found


def upsert(table: Table) -> Executable:
    """Return PostgreSQL's statement for a row. https://www.postgresql.org/docs/15/sql-insert.html"""
    given = {_in(table, name).name: _given(table, name) for name in _ALL}
    statement = postgresql.insert(table).values(given)
    changed = {_in(table, name).name: statement.excluded[_in(table, name).name] for name in VALUES}
    return statement.on_conflict_do_update(index_elements=[_in(table, name) for name in KEYS], set_=changed)


def update_then_insert(table: Table) -> tuple[Executable, Executable]:
    """Return two statements for a row in one transaction. There is one writer, and a unique key behind it."""
    same = and_(*(_in(table, name) == _given(table, name) for name in KEYS))
    values = {_in(table, name).name: _given(table, name) for name in VALUES}
    row = select(*(_given(table, name) for name in _ALL)).where(~exists().where(same))
    columns = [_in(table, name) for name in _ALL]
    return update(table).where(same).values(values), insert(table).from_select(columns, row)


def _given(table: Table, name: str) -> BindParameter[Any]:
    """Return the parameter for a column. SQLAlchemy keeps the columns' own names for itself."""
    return bindparam(f"new_{name}", type_=_in(table, name).type)


_ALL = (*KEYS, *VALUES)


def _in(table: Table, name: str) -> Column[Any]:
    """Return a column of the table by its name in any case."""
    return next(each for each in table.columns if each.name.lower() == name)


def _values(table: Table, answer: AnsweredRow) -> dict[str, Any]:
    """Return the values of a row. Raises ValueError for a key or version that its column cannot hold."""
    column = _in(table, "answer")
    is_json = isinstance(column.type, JSON) and answer.answer is not None
    return {
        "new_key": _typed(_in(table, "key"), answer.key),
        "new_version": _typed(_in(table, "version"), answer.version),
        "new_answer": json.loads(str(answer.answer)) if is_json else answer.answer,
        "new_error": answer.error,
        "new_answered_at": _time(_in(table, "answered_at"), answer.answered_at),
    }


def _typed(column: Column[Any], value: str) -> Any:
    kind = column.type.python_type
    if kind in (int, Decimal, UUID):
        return kind(value)
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    return value


def _time(column: Column[Any], at: datetime) -> Any:
    if not isinstance(column.type, DateTime):
        return at.isoformat()
    return at.astimezone(UTC) if column.type.timezone else at.astimezone(UTC).replace(tzinfo=None)
