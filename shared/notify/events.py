"""Say what a change of a document or of a deployment's record means to others, as CloudEvents 1.0.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. An event holds ids, state, reason, cost
and a link; never text of a document or of an answer, and a file's name only for receivers that may have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.model import DeploymentRecord, Document, DocumentState, EventType, Prices, RecordState
from shared.money.cost import span_cost

_OF_STATE = {
    DocumentState.DONE: EventType.DOCUMENT_DONE,
    DocumentState.FAILED: EventType.DOCUMENT_FAILED,
}


@dataclass(frozen=True)
class Event:
    """An event before it has its final form. `id`: unique among those of an installation.

    `subject`: the path of the API that shows it. `private`: what only some receivers may have.
    """

    type: EventType
    id: str
    deployment: str
    subject: str
    at: datetime
    data: dict[str, Any]
    private: dict[str, Any]

    def cloud_event(self, installation: str, app_url: str, *, file_names: bool) -> dict[str, Any]:
        """Return it in CloudEvents' JSON format. `app_url`: where the app's API is; empty if unknown."""
        link = f"{app_url}/api/{self.subject}"
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/lamplighter/{installation}/{self.deployment}",
            "type": f"lamplighter.{self.type}",
            "subject": self.subject,
            "time": self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {
                "deployment": self.deployment,
                **self.data,
                "link": link,
                **(self.private if file_names else {}),
            },
        }


def document_event(document: Document, currency: str) -> Event | None:
    """Return the event of a document that has got its final state; None if others need not know of it.

    Its keys mean what they mean in the answers of the API.
    """
    kind = _OF_STATE.get(document.state)
    if kind is None or document.finished_at is None:
        return None
    return Event(
        type=kind,
        id=f"{document.id}.{document.run}.{document.state}",
        deployment=document.deployment,
        subject=f"documents/{document.id}",
        at=document.finished_at,
        data={
            "document": document.id,
            "run": document.run,
            "state": document.state,
            "reason": document.reason,
            "prompt_tokens": document.prompt_tokens,
            "completion_tokens": document.completion_tokens,
            "cost": round(document.cost, 6),
            "currency": currency,
        },
        private={
            "name": document.name.partition("/")[2] or document.name,
            **({"result": f"results/{document.result}"} if document.result else {}),
        },
    )


def record_events(
    before: DeploymentRecord, after: DeploymentRecord, now: datetime, prices: Prices
) -> Iterator[Event]:
    """Yield the events of a change of a deployment's record, which is made now."""
    number = after.generation.number
    for kind in _kinds(before, after):
        data: dict[str, Any] = {"state": after.state, "reason": after.decision.reason, "generation": number}
        if kind is EventType.DEPLOYMENT_REFUSED:
            retry_at = after.backoff.not_before
            data |= {"reason": after.backoff.problem, "retry_at": retry_at and retry_at.isoformat()}
        if kind is EventType.DEPLOYMENT_CLOSED:
            data |= _hosted(after, now, prices)
        name = str(kind).partition(".")[2]
        yield Event(
            type=kind,
            id=f"{after.deployment}.{number}.{name}.{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}",
            deployment=after.deployment,
            subject=f"deployments/{after.deployment}",
            at=now,
            data=data,
            private={},
        )


def _kinds(before: DeploymentRecord, after: DeploymentRecord) -> Iterator[EventType]:
    failed, found_dead = after.backoff.failures, after.backoff.unanswered_runs
    if failed > before.backoff.failures or found_dead > before.backoff.unanswered_runs:
        yield EventType.DEPLOYMENT_REFUSED
    match after.state:
        case RecordState.CREATING if after.settled and _is_new(before):
            yield EventType.DEPLOYMENT_WAKING
        case RecordState.OPEN if before.state in (RecordState.ABSENT, RecordState.CREATING):
            yield EventType.DEPLOYMENT_READY
        case RecordState.ABSENT if before.state is not RecordState.ABSENT and _existed(after):
            yield EventType.DEPLOYMENT_CLOSED


def _is_new(before: DeploymentRecord) -> bool:
    """Return whether a create was not yet known to have an effect. A refused create has none."""
    return before.state is RecordState.ABSENT or (before.state is RecordState.CREATING and not before.settled)


def _existed(record: DeploymentRecord) -> bool:
    return record.generation.seen_at is not None or record.generation.opened_at is not None


def _hosted(record: DeploymentRecord, now: datetime, prices: Prices) -> dict[str, Any]:
    """Return for how long it was hosted, and an estimate of the cost. Other owners pay for their own."""
    started, price = record.started_at, prices.hosting_per_hour.get(record.generation.sku)
    if started is None or not record.generation.owned:
        return {}
    ended = record.delete_accepted_at or now
    seconds = {"hosted_seconds": max(0, round((ended - started).total_seconds()))}
    if price is None:
        return seconds
    cost = span_cost(started, ended, price, prices)
    return {**seconds, "cost": round(cost, 6), "currency": prices.currency}
