"""Events for people and other programs, and the receivers that are configured for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit


class EventType(StrEnum):
    """The types of events, as deployments.yaml names them. CloudEvents add `lamplighter.` before them."""

    DOCUMENT_DONE = "document.done"
    DOCUMENT_FAILED = "document.failed"
    DEPLOYMENT_WAKING = "deployment.waking"  # Azure has accepted its create
    DEPLOYMENT_READY = "deployment.ready"  # it answers
    DEPLOYMENT_CLOSED = "deployment.closed"  # it is deleted, or gone
    DEPLOYMENT_REFUSED = "deployment.refused"  # it could not be hosted, or answered nothing


class ReceiverKind(StrEnum):
    """The kinds of receivers, by their keys in deployments.yaml."""

    EVENT_GRID = "event_grid"
    QUEUE = "queue"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class Receiver:
    """A place that events are sent to. Kind and URL identify it: another URL is another receiver.

    `secret`: the key with which a webhook's events are signed, base64; empty for the other kinds.
    `file_names`: whether events may hold the names of files.
    """

    kind: ReceiverKind
    url: str = field(repr=False)  # a webhook's path may be a secret
    secret: str = field(default="", repr=False)
    events: frozenset[EventType] = frozenset(EventType)
    file_names: bool = False

    @cached_property
    def key(self) -> str:
        """Return what identifies it in rows. Its other settings may change."""
        return hashlib.sha256(f"{self.kind}\n{self.url}".encode()).hexdigest()[:16]

    @property
    def shown(self) -> str:
        """Return its kind and host, and of a queue the name, for logs and people."""
        parts = urlsplit(self.url)
        name = parts.path if self.kind is ReceiverKind.QUEUE else ""
        return f"{self.kind} at {parts.hostname}{name}"
