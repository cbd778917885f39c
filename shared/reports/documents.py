"""Report the state of documents with the reason, and their results: for the API and for `documents`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.app import Lamplighter
from shared.documents.backlog import History
from shared.documents.identity import SHORT_ID, UNKNOWN_DEPLOYMENT, short_id, short_id_at
from shared.documents.places import RESULTS, file_name
from shared.errors import (
    InvalidRequest,
    Missing,
    NotFound,
    ResultDamaged,
    ResultDeleted,
    UnknownDeployment,
)
from shared.model import Action, DeploymentConfig, Document, DocumentState, RecordState
from shared.planning.desired import clock_time
from shared.reports.status import unreadable

MANY = 1000
"""Documents on a page."""

_AT_ONCE = 8  # deployments read together
_LATELY = timedelta(days=1)
_FOLDER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PLACE = re.compile(SHORT_ID)
_SINCE_EVER = (DocumentState.FAILED, DocumentState.WAITING, DocumentState.CLAIMED)


@dataclass(frozen=True)
class Query:
    """A query for documents. `start`: the short id from which to read."""

    deployment: str | None
    state: DocumentState | None
    start: str


def read_query(
    app: Lamplighter, deployment: str | None, since: str | None, state: str | None, after: str | None
) -> Query:
    """Return the query that the parameters describe; an empty one counts as absent. Raises InvalidRequest."""
    states = [known.value for known in DocumentState]
    if state and state not in states:
        raise InvalidRequest(f"no state is called {state[:64]!r}: known are {', '.join(states)}")
    if after and not _PLACE.fullmatch(after):
        raise InvalidRequest("after must be what the page before says as next")
    config = app.settings.get(deployment) if deployment else None
    if deployment and config is None and not _FOLDER.fullmatch(deployment):
        raise InvalidRequest(
            f"{UnknownDeployment(deployment, app.settings.deployments)}; uploads outside of such folders "
            f"are those of {UNKNOWN_DEPLOYMENT}"
        )
    kind = DocumentState(state) if state else None
    return Query(config.name if config else deployment or None, kind, _start(app, since, kind, after))


def _start(app: Lamplighter, since: str | None, state: DocumentState | None, after: str | None) -> str:
    if after:
        return f"{after} "
    if not since:
        return "" if state in _SINCE_EVER else short_id_at(app.context.clock.now() - _LATELY)
    try:
        at = datetime.fromisoformat(since)
        if at.tzinfo is None:
            if len(since) > len("2026-11-22"):
                raise ValueError
            at = at.replace(tzinfo=UTC)
        return short_id_at(at)
    except (ValueError, OverflowError):
        # In a query, + stands for a space.
        hint = ", and write + in a URL as %2B" if " " in since else ""
        raise InvalidRequest(
            f"since must be a date, or an ISO time with its zone, such as 2026-11-22T14:00:00Z{hint}"
        ) from None


@dataclass(frozen=True)
class RecordsReport:
    """How far a file of records is. Counts and cost follow the answers by some seconds."""

    total: int
    answered: int
    failed: int  # they have no answer, and get none in this run
    per_minute: float | None  # lately; None if nothing is asked now
    seconds_left: int | None  # at that rate
    expected_cost: float  # of the whole file


@dataclass(frozen=True)
class DocumentReport:
    """One document: its state, the reason, and its cost over all runs. `records`: of a file of records."""

    id: str
    deployment: str
    name: str
    state: DocumentState
    reason: str
    waits_until: datetime | None  # when its deployment is next started, if that is known
    run: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    currency: str
    result: str | None  # container/name
    moved_to: str | None  # container/name of the finished source
    unpacked_from: str | None  # id of the ZIP archive in which it was uploaded, or of the batch that it is
    size: int  # bytes
    arrived_at: datetime
    finished_at: datetime | None
    records: RecordsReport | None


@dataclass(frozen=True)
class DocumentsReport:
    """A page of documents by arrival."""

    documents: list[DocumentReport]
    more: bool
    next: str | None  # there are more documents after this place
    more_folders: bool  # more folders belong to no deployment than are listed here


async def documents(app: Lamplighter, query: Query) -> DocumentsReport:
    """Return a page of documents. Of each deployment at most a page is read.

    Raises UnknownDeployment for a name that is not configured and has no document, StorageError.
    """
    report = await _listed(app, query)
    if query.deployment and not report.documents and not await _is_known(app, query.deployment):
        raise UnknownDeployment(query.deployment, app.settings.deployments)
    return report


async def _is_known(app: Lamplighter, deployment: str) -> bool:
    """Return whether the name is configured, or has documents from a folder that is or was a deployment's."""
    return app.settings.get(deployment) is not None or await app.documents.knows(deployment)


async def _listed(app: Lamplighter, query: Query) -> DocumentsReport:
    names, more_folders = ([query.deployment], False) if query.deployment else await _everywhere(app)
    found, place = await _page(app, names, query)
    waiting = {each.deployment for each in found if each.state is DocumentState.WAITING}
    # Once for each deployment, as it takes four reads.
    causes = {
        name: await _why_they_wait(app, config)
        for name in sorted(waiting)
        if (config := app.settings.deployments.get(name)) is not None
    }
    reports = [await report_of(app, each, causes.get(each.deployment)) for each in found]
    return DocumentsReport(reports, place is not None, place, more_folders)


async def _page(app: Lamplighter, names: Sequence[str], query: Query) -> tuple[list[Document], str | None]:
    """Return the oldest documents of all these names, and the short id after which there are more."""
    found: list[Document] = []
    place: str | None = None
    for first in range(0, len(names), _AT_ONCE):
        pages: list[History] = await asyncio.gather(
            *(
                app.documents.listed(name, query.state, query.start, MANY)
                for name in names[first : first + _AT_ONCE]
            )
        )
        found = sorted([*found, *(each for page in pages for each in page.documents)], key=short_id)
        # After the place to which one deployment was read, the order of all is not known.
        ends = [page.read_to for page in pages if page.more and page.read_to]
        ends += [place] if place is not None else []
        ends += [short_id(found[MANY - 1])] if len(found) > MANY else []
        if ends:
            place = min(ends)
            found = [each for each in found if short_id(each) <= place]
    return found, place


async def _everywhere(app: Lamplighter) -> tuple[list[str], bool]:
    """Return the names of deployments, former ones and other folders, and whether there are more folders."""
    ledger = app.context.ledger
    records = [await ledger.records(each.account) for each in await ledger.accounts()]
    folders, more = await app.documents.folders()
    names = {*app.settings.deployments, *(name for each in records for name in each), *folders}
    return sorted({*names, UNKNOWN_DEPLOYMENT}), more


@dataclass(frozen=True)
class _Cause:
    """The reason why a deployment's documents wait."""

    reason: str
    is_open: bool  # documents are answered now, so the reason of each document's last try says more
    until: datetime | None = None  # when the deployment is next started, if that is known

    def of(self, document: Document) -> str:
        """Return the reason why this document waits."""
        if self.is_open or not document.reason:
            return document.reason or self.reason
        return f"{self.reason}; its last try: {document.reason}"


async def document_report(app: Lamplighter, document_id: str) -> DocumentReport:
    """Return the report of the document with that id. Raises NotFound, StorageError."""
    return await report_of(app, await _found(app, document_id))


async def _found(app: Lamplighter, document_id: str) -> Document:
    found = await app.documents.get(document_id)
    if found is None:
        raise NotFound("no document has this id: the list of documents shows each one's")
    return found


async def report_of(app: Lamplighter, found: Document, cause: _Cause | None = None) -> DocumentReport:
    """Return the report of a document. `cause`: why its deployment's documents wait, if already known."""
    reason, until = found.reason, None
    config = app.settings.deployments.get(found.deployment)
    if found.state is DocumentState.WAITING and config is None:
        reason = str(UnknownDeployment(found.deployment, app.settings.deployments))
    elif found.state is DocumentState.WAITING and config is not None:
        cause = cause or await _why_they_wait(app, config)
        reason, until = cause.of(found), cause.until
    return DocumentReport(
        id=found.id,
        deployment=found.deployment,
        name=file_name(found),
        state=found.state,
        reason=reason,
        waits_until=until,
        run=found.run,
        attempts=found.attempts,
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        cost=round(found.cost, 6),
        currency=app.settings.prices.currency,
        result=f"{RESULTS}/{found.result}" if found.result else None,
        moved_to=found.moved_to or None,
        unpacked_from=found.unpacked_from or None,
        size=found.size,
        arrived_at=found.arrived_at,
        finished_at=found.finished_at,
        records=records_report(found) if found.form else None,
    )


def records_report(found: Document) -> RecordsReport:
    """Return the progress of a file of records."""
    done = found.answered + found.refused
    expected = found.expected_cost
    if found.answered:  # what its answers have cost says more than the estimate
        expected = found.cost / found.answered * (found.records - found.refused)
    is_asked = found.state is DocumentState.CLAIMED and found.rate > 0
    return RecordsReport(
        total=found.records,
        answered=found.answered,
        failed=found.refused,
        per_minute=found.rate if is_asked else None,
        seconds_left=round((found.records - done) / found.rate * 60) if is_asked else None,
        expected_cost=round(max(found.cost, expected), 6),
    )


async def stored_result(app: Lamplighter, document_id: str) -> Any:
    """Return the result of a document as JSON. Its content is untrusted.

    Raises NotFound for an unknown id and for a document without a result, ResultDeleted, ResultDamaged,
    StorageError.
    """
    found = await _found(app, document_id)
    if not found.result:
        raise NotFound(f"there is no result: the document is {found.state}. {found.reason}".strip())
    try:
        return json.loads(await app.context.blobs.read(RESULTS, found.result))
    except Missing:
        raise ResultDeleted(f"the result {found.result} was deleted from the container {RESULTS}") from None
    except ValueError:
        raise ResultDamaged(
            f"the result {found.result} in {RESULTS} is not what was stored: it is no JSON"
        ) from None


async def _why_they_wait(app: Lamplighter, config: DeploymentConfig) -> _Cause:
    """Return that the deployment is not wanted now, or else what prevents it from answering."""
    picture, account = await asyncio.gather(
        app.picture(config.account, demand_of=[config.name]),
        app.context.ledger.account(config.account),
    )
    record, want = picture.record(config.name), picture.wanted(config.name)
    is_absent = record.state is RecordState.ABSENT
    if is_absent and not want.up:
        until = picture.wanted_from(config.name)
        starts = f"; it is started at {clock_time(until)}" if until else ""
        return _Cause(f"{want.reason}{starts}", is_open=False, until=until)
    if problem := unreadable(account):
        return _Cause(problem, is_open=False)
    if is_absent and record.decision.action is not Action.WAIT:
        return _Cause(want.reason, is_open=False)
    is_open = record.state is RecordState.OPEN
    problem = record.generation.trouble or record.backoff.problem
    return _Cause((is_open and problem) or record.decision.reason, is_open)
