"""Define the section `source` in deployments.yaml: where documents or records are taken from."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from shared.model import Column, ContainerSource, DatabaseSource, Source, TableSource
from shared.settings.statement import objection
from shared.settings.values import RowText, Text

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_KINDS = {
    "container": {"account", "prefix"},
    "table": {"account", "key", "text", "version", "target"},
    "database": {"select", "key", "text", "version", "target", "password"},
}
_NEEDED = {
    "container": ("account",),
    "table": ("account", "text", "target"),
    "database": ("select", "target"),
}
# The app's tokens go to Azure only: another host could use one to read every document.
_STORAGE = (".core.windows.net", ".storage.azure.net")
_DATABASES = (".postgres.database.azure.com", ".database.windows.net", ".database.fabric.microsoft.com")
_CONTAINER = re.compile(r"[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]|\$web")
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
_TARGET = re.compile(r"[^.\"\[\]\0]+(\.[^.\"\[\]\0]+)?")


def _select(value: str) -> str:
    if (why := objection(value)) is not None:
        raise ValueError(why)
    return value


class SourceSection(BaseModel):
    """A source. Exactly one of its first three keys is given. No message quotes a URL or password."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    container: Text | None = None
    table: Text | None = None
    database: Text | None = None
    account: Text | None = None
    prefix: str | None = None
    select: Annotated[Text, AfterValidator(_select)] | None = None
    key: Text | None = None
    text: RowText | None = None
    version: Text | None = None
    target: Text | None = None
    password: Text | None = None

    @model_validator(mode="after")
    def _is_one_source(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        kinds = given & _KINDS.keys()
        if len(kinds) != 1:
            raise ValueError(f"write one of {', '.join(_KINDS)}")
        (kind,) = kinds
        if strange := sorted(given - kinds - _KINDS[kind]):
            raise ValueError(f"{strange[0]} does not go with {kind}: remove it")
        if missing := [name for name in _NEEDED[kind] if name not in given]:
            raise ValueError(f"{missing[0]} is missing: {_REMEDIES[missing[0]]}")
        if (why := self._objection(kind)) is not None:
            raise ValueError(why)
        return self

    def _objection(self, kind: str) -> str | None:
        """Return what is wrong with names and URLs."""
        if kind == "database":
            if not _TARGET.fullmatch(str(self.target)):
                return "target must be TABLE, or SCHEMA.TABLE"
            return _of_database(str(self.database), self.password)
        service = "blob" if kind == "container" else "table"
        if not _is_account(str(self.account), service):
            return f"account must be the URL of its {service}s: https://NAME.{service}.core.windows.net"
        if kind == "container":
            return (
                None if _CONTAINER.fullmatch(str(self.container)) else "container is not a container's name"
            )
        if not (_TABLE.fullmatch(str(self.table)) and _TABLE.fullmatch(str(self.target))):
            return "table and target must be names of tables: 3 to 63 letters and digits"
        return None if self.table != self.target else "target must be another table than the source"

    @property
    def source(self) -> Source:
        """Return the source that it describes."""
        if self.container is not None:
            return ContainerSource(str(self.account).rstrip("/"), self.container, self.prefix or "")
        target = str(self.target)
        if self.table is not None:
            account, text = str(self.account).rstrip("/"), self.text or ()
            return TableSource(account, self.table, text, target, self.key, self.version)
        return DatabaseSource(
            str(self.database),
            str(self.select),
            self.key or "key",
            self.text or (Column("text"),),
            self.version or "version",
            target,
            self.password or "",
        )


_REMEDIES = {
    "account": "write the URL: https://NAME.blob.core.windows.net for a container, .table. for a table",
    "text": "write the column that is asked about, or a template such as {title}: {body}",
    "target": "name the table for the answers",
    "select": "write the SELECT that returns the rows, with columns for key, version and text",
}


def _of_database(url: str, password: str | None) -> str | None:
    """Return what is wrong with a database's URL."""
    parts = _split(url)
    example = "postgresql://USER@HOST/DATABASE or mssql://USER@HOST/DATABASE"
    if parts is None or parts.scheme not in ("postgresql", "mssql") or len(parts.path) < 2:
        return f"database must be {example}"
    if parts.password:
        return "database has a password in it: write password: ${NAME}, with the app setting NAME"
    host = (parts.hostname or "").lower()
    if password is None and host not in _LOOPBACK and not host.endswith(_DATABASES):
        return (
            "password is missing: the app's identity signs in to Azure's databases only. Write password: "
            "${NAME}, with the app setting NAME"
        )
    return None


def _is_account(url: str, service: str) -> bool:
    parts = _split(url)
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        return False
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return re.fullmatch(r"/[a-z0-9]+/?", parts.path) is not None  # Azurite
    host = (parts.hostname or "").lower()
    of_azure = host.endswith(_STORAGE) and f".{service}." in host
    return parts.scheme == "https" and of_azure and parts.path in ("", "/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None
