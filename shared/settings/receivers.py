"""Define the entries of `notify` in deployments.yaml: where the events of a deployment are sent to."""

from __future__ import annotations

import base64
import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from shared.model import EventType, Receiver, ReceiverKind

MOST_RECEIVERS = 10
"""Of one deployment. Their rows are written in one transaction, which Azure limits to 100 rows."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NO_URL = re.compile(r"[^!-~]")  # white space, and what must be percent-encoded
# The app's tokens go to Azure only: with one for storage, its receiver could read every document.
_HOSTS = {
    ReceiverKind.EVENT_GRID: (".eventgrid.azure.net",),
    ReceiverKind.QUEUE: (".queue.core.windows.net", ".queue.storage.azure.net"),
}
_PATHS = {
    ReceiverKind.EVENT_GRID: "/api/events",
    ReceiverKind.QUEUE: "/[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]",
}
# What Azure has in the name of the host, the emulator and Azurite have in the path.
_BEFORE = {ReceiverKind.EVENT_GRID: "/topics/[A-Za-z0-9-]+", ReceiverKind.QUEUE: "/[a-z0-9]+"}
_EXAMPLES = {
    ReceiverKind.EVENT_GRID: "the topic's endpoint, such as https://TOPIC.REGION-1.eventgrid.azure.net/api/events",
    ReceiverKind.QUEUE: "a queue's URL, such as https://ACCOUNT.queue.core.windows.net/answers",
}
_SECRET_BYTES = range(24, 65)  # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec
_MAKE_ONE = "make one with: openssl rand -base64 32"


class ReceiverSection(BaseModel):
    """One receiver. Exactly one of its first three keys is given. No message quotes them or the secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    event_grid: str | None = None
    queue: str | None = None
    webhook: str | None = None
    secret: str | None = None
    events: list[EventType] | None = Field(default=None, min_length=1)
    file_names: bool = False

    @field_validator(*ReceiverKind)
    @classmethod
    def _is_usable(cls, url: str, info: ValidationInfo) -> str:
        if (objection := _objection(ReceiverKind(str(info.field_name)), url)) is not None:
            raise ValueError(objection)
        return url

    @field_validator("secret")
    @classmethod
    def _is_secret(cls, secret: str) -> str:
        try:
            size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
        except ValueError:
            size = 0
        if size not in _SECRET_BYTES:
            raise ValueError(f"must be 24 to 64 bytes in base64: {_MAKE_ONE}")
        return secret

    @model_validator(mode="after")
    def _is_one_receiver(self) -> Self:
        if len(self._urls) != 1:
            raise ValueError(f"write one of {', '.join(ReceiverKind)} in each entry, with its URL")
        (kind,) = self._urls
        if kind is ReceiverKind.WEBHOOK and self.secret is None:
            raise ValueError(f"a webhook needs secret, the key that signs its events: {_MAKE_ONE}")
        if kind is not ReceiverKind.WEBHOOK and self.secret is not None:
            raise ValueError(f"secret is for webhooks only: {kind} takes the app's identity, so remove it")
        return self

    @property
    def _urls(self) -> dict[ReceiverKind, str]:
        given = {kind: getattr(self, kind) for kind in ReceiverKind}
        return {kind: url for kind, url in given.items() if url is not None}

    @property
    def receiver(self) -> Receiver:
        """Return the receiver that it describes."""
        ((kind, url),) = self._urls.items()
        if kind is not ReceiverKind.WEBHOOK:  # of which each character may matter
            url = url.rstrip("/")
        events = frozenset(self.events or EventType)
        return Receiver(kind, url, self.secret or "", events, self.file_names)


def _objection(kind: ReceiverKind, url: str) -> str | None:
    """Return why events cannot be sent to a URL."""
    try:
        parts = urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        is_safe = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
        is_url = parts.port != 0 and not _NO_URL.search(url)
    except ValueError:
        is_url = False
    if not is_url or not (is_safe or is_local):
        return "must be an https URL, without a user in it"
    if kind is ReceiverKind.WEBHOOK:
        return None
    if parts.query or parts.fragment:
        return "must be a URL without a query: the app's own identity is used, no key"
    known = is_local or (parts.hostname or "").endswith(_HOSTS[kind])
    path = (_BEFORE[kind] if is_local else "") + _PATHS[kind]
    if not known or not re.fullmatch(path, parts.path.rstrip("/")):
        return f"must be {_EXAMPLES[kind]}"
    return None
