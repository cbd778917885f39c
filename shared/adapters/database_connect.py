"""Connect to a database: driver, encryption, who signs in, and time limits.

The app's identity signs in by a token, which goes to Azure's databases only, over a connection whose
certificate was checked. No state of a session is set: a pooler may share connections by transaction.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url

from shared.adapters.credentials import LOOPBACK
from shared.errors import SourceError
from shared.model import DatabaseSource

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
"""The longest statement. Each is a transaction of its own, or a batch of rows in one."""

# https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-configure-sign-in-azure-ad-authentication
_SCOPES = {
    "postgresql": "https://ossrdbms-aad.database.windows.net/.default",
    "mssql": "https://database.windows.net/.default",
}
_AZURE = (".postgres.database.azure.com", ".database.windows.net", ".database.fabric.microsoft.com")
_DRIVERS = {"postgresql": ("postgresql+psycopg", "psycopg"), "mssql": ("mssql+mssqlpython", "mssql_python")}


def engine_for(source: DatabaseSource) -> Engine:
    """Return an engine with one connection, which opens when it is used. Raises SourceError."""
    kind = "mssql" if urlsplit(source.url).scheme == "mssql" else "postgresql"
    name, module = _DRIVERS[kind]
    try:
        __import__(module)
    except ImportError as error:
        raise SourceError(
            f"the driver {module} is missing", "pip install -r requirements-databases.txt"
        ) from error
    url = make_url(source.url).set(drivername=name)
    if source.password:
        url = url.set(password=source.password)
    engine = sqlalchemy.create_engine(
        url,
        connect_args=_postgresql(url) if kind == "postgresql" else _mssql(url),
        pool_size=1,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=300,
        hide_parameters=True,  # they are rows
    )
    if kind == "mssql":
        event.listen(engine, "connect", _limit_statements)
    if not source.password and _is_azure(url):
        _sign_in_by_token(engine, kind)
    return engine


def _postgresql(url: URL) -> dict[str, Any]:
    limits = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": 1000 * STATEMENT_SECONDS,
        "keepalives_idle": CONNECT_SECONDS,
        "application_name": "lamplighter",
        "prepare_threshold": None,  # a pooler may give the next transaction another connection
    }
    if url.host in LOOPBACK or "sslmode" in url.query:
        return limits
    import certifi

    return limits | {"sslmode": "verify-full", "sslrootcert": certifi.where()}


def _mssql(url: URL) -> dict[str, Any]:
    return {"timeout": CONNECT_SECONDS, **({} if url.host in LOOPBACK else {"Encrypt": "yes"})}


def _limit_statements(connection: Any, _record: Any) -> None:
    connection.timeout = STATEMENT_SECONDS


def _is_azure(url: URL) -> bool:
    return (url.host or "").lower().endswith(_AZURE)


def _sign_in_by_token(engine: Engine, kind: str) -> None:
    from azure.identity import DefaultAzureCredential

    credential, scope = DefaultAzureCredential(), _SCOPES[kind]

    @event.listens_for(engine, "do_connect")
    def give_token(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        if kind == "mssql":
            parameters["token_provider"] = credential
        else:
            parameters["password"] = credential.get_token(scope).token
