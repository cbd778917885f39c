"""Keep events until their receivers have taken them: a row for each event and receiver.

The rows are written in the transaction of the change that they report, so a crash loses no event and invents
none. A receiver's rows lie together, the oldest first: one that is down does not hold up the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.model import DeploymentRecord, Document, Prices, Receiver
from shared.notify.events import Event, document_event, record_events
from shared.ports import Replace
from shared.rows import to_values

OF_DOCUMENTS, OF_DEPLOYMENTS = "e", "~e"
"""The kinds of keys. In the table of deployments names come first, and none begins with a tilde."""
_TIME = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Notice:
    """An event for one receiver. `event`: a CloudEvent in JSON."""

    event: str
    made_at: datetime
    refusals: int = 0  # how often the receiver has refused this event, though it took others
    not_before: datetime | None = None  # no try earlier than this
    etag: str | None = None


class Outbox:
    """Build the rows of events. It reads and writes nothing itself."""

    def __init__(
        self,
        receivers: Mapping[str, tuple[Receiver, ...]],
        prices: Prices,
        installation: str,
        app_url: str = "",
    ) -> None:
        """`receivers`: of each deployment that has some, by its name. `app_url`: see `Event.cloud_event`."""
        self.receivers = {name: each for name, each in receivers.items() if each}
        self._prices = prices
        self._installation = installation
        self._app_url = app_url

    def of_document(self, document: Document) -> list[Replace]:
        """Return the rows to write with a document's final state, in its partition."""
        if document.deployment not in self.receivers:
            return []
        event = document_event(document, self._prices.currency)
        return list(self._rows(OF_DOCUMENTS, [event] if event else []))

    def of_record(self, before: DeploymentRecord, after: DeploymentRecord, now: datetime) -> list[Replace]:
        """Return the rows to write with a deployment's record, in its partition."""
        if after.deployment not in self.receivers:
            return []
        return list(self._rows(OF_DEPLOYMENTS, record_events(before, after, now, self._prices)))

    def _rows(self, kind: str, events: Iterable[Event]) -> Iterator[Replace]:
        for event in events:
            for receiver in self.receivers[event.deployment]:
                if event.type not in receiver.events:
                    continue
                body = event.cloud_event(self._installation, self._app_url, file_names=receiver.file_names)
                notice = Notice(json.dumps(body), event.at)
                start, _ = key_range(kind, receiver)
                # By time, then by id, which an event has for good: a repeated change writes the same row.
                key = f"{key_at(start, event.at)} {event.id}"
                yield Replace(key, to_values(notice), etag=None)


def key_range(kind: str, receiver: Receiver) -> tuple[str, str]:
    """Return between which keys a receiver's rows of a kind lie, in every partition."""
    return f"{kind} {receiver.key} ", f"{kind} {receiver.key} ~"


def key_at(start: str, at: datetime) -> str:
    """Return where the rows of a time begin. `start`: of the receiver's rows, by `key_range`."""
    return f"{start}{at.astimezone(UTC):{_TIME}}"


def receiver_key(key: str) -> str:
    """Return whose event a row is, by its key."""
    return key.split(" ")[1]


def made_at(key: str) -> datetime:
    """Return when the event of a row was made, by its key."""
    return datetime.strptime(key.split(" ")[2], _TIME).replace(tzinfo=UTC)


def range_after(key: str) -> str:
    """Return where the rows of the next receiver begin."""
    return f"{' '.join(key.split(' ')[:2])} ~"
