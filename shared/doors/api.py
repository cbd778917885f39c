"""The HTTP API: plain values in, a status and JSON out. Only this file maps errors to statuses.

A route answers with every error that its caller can correct. It raises others, and the host answers 500.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ParamSpec
from urllib.parse import parse_qsl, unquote

from shared.app import Lamplighter
from shared.documents.identity import is_final
from shared.documents.source import refuse_by_size
from shared.doors.hold_body import read_request
from shared.doors.http_body import LARGEST_WRAPPING, UnsupportedBody, unwrap
from shared.doors.prefer import wait_seconds
from shared.errors import (
    Conflict,
    DocumentRefused,
    DocumentTooLarge,
    InvalidRequest,
    LamplighterError,
    NotFound,
    ProviderError,
    ReaderUnavailable,
    ResultDamaged,
    ResultDeleted,
    SettingsError,
    StorageError,
)
from shared.model import DeploymentConfig, DocumentState
from shared.operations import holds
from shared.operations.cancel import cancel as cancel_document
from shared.operations.inputs import count
from shared.operations.requeue import requeue as requeue_document
from shared.operations.submit import submit as submit_document
from shared.reports.as_json import to_json
from shared.reports.documents import document_report, read_query, report_of, stored_result
from shared.reports.documents import documents as list_documents
from shared.reports.explain import explained
from shared.reports.preview import MOST_DAYS, USUAL_DAYS, period, previewed, read_records
from shared.reports.status import listed

P = ParamSpec("P")

_STATUS: tuple[tuple[type[LamplighterError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (ResultDeleted, 410),
    (DocumentTooLarge, 413),
    (UnsupportedBody, 415),
    (DocumentRefused, 400),
    (InvalidRequest, 400),
    (ResultDamaged, 502),
    (SettingsError, 503),
    (StorageError, 503),
    (ReaderUnavailable, 503),
)
"""The first matching class counts."""
_BEFORE = {
    SettingsError: "the configuration cannot be used: ",
    StorageError: "try again: ",
}
_LOOK = 0.5  # seconds between checks of a document whose caller waits
_ANY_ROUTE = ("code", "clientid")  # parameters in which the host takes a function key, in upper or lower case
_SHOWN = 64  # characters shown of a caller's text


@dataclass(frozen=True)
class Reply:
    """A response of the API."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def refusal(error: LamplighterError) -> Reply:
    """Return the response to an error: what happened and what to do. Raises an error that has no status."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        raise error
    before = next((text for kind, text in _BEFORE.items() if isinstance(error, kind)), "")
    body: dict[str, Any] = {"error": f"{before}{error}"}
    if isinstance(error, InvalidRequest) and error.problems:
        body["problems"] = [asdict(each) for each in error.problems]
    return Reply(status, body)


def _answered(route: Callable[P, Awaitable[Reply]]) -> Callable[P, Awaitable[Reply]]:
    """Return the route with its errors turned into responses."""

    @functools.wraps(route)
    async def answer(*arguments: P.args, **named: P.kwargs) -> Reply:
        try:
            return await route(*arguments, **named)
        except LamplighterError as error:
            return refusal(error)

    return answer


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> Reply | None:
    """Return a refusal that names the unknown query parameters and the known ones; None if all are known."""
    unknown = sorted(each[:_SHOWN] for each in given if each not in known and each.lower() not in _ANY_ROUTE)
    if not unknown:
        return None
    names = ", ".join(map(repr, unknown[:10]))
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return refusal(InvalidRequest(f"this route has no query parameter {names}: {takes}"))


def refuse_repeated(url: str, known: Collection[str]) -> Reply | None:
    """Return a refusal of a query parameter that the URL gives twice: one of its values would be ignored."""
    query = url.partition("?")[2].partition("#")[0]
    counts = Counter(name.lower() for name, _ in parse_qsl(query, keep_blank_values=True))
    twice = next((name for name in known if counts[name.lower()] > 1), None)
    return refusal(InvalidRequest(f"{twice} is given more than once: give it once")) if twice else None


def given_name(header: str | None, query: str | None) -> str | None:
    """Return the file's name from X-File-Name (percent-encoded) or ?name=. Raises InvalidRequest for both."""
    if header and query:
        raise InvalidRequest("the file is named in X-File-Name and in ?name=: leave one of them out")
    return unquote(header) if header else query


@_answered
async def submit(
    app: Lamplighter,
    deployment: str,
    name: str | None,
    body: bytes,
    prefer: str | None,
    content_type: str | None = None,
) -> Reply:
    """Accept a document: 202 with Location, or with `Prefer: wait=N` 200 with the result if it came in time.

    The result of a ZIP archive lists the documents in it, and comes at once.

    The body may be a form (multipart/form-data) with one file, which gives the name if `name` is None.
    A document that cannot be answered is refused here and not stored.
    """
    config = app.settings.find(deployment)
    wait = wait_seconds(prefer)
    if len(body) > app.settings.max_document_bytes + LARGEST_WRAPPING:  # before it is parsed
        refuse_by_size(len(body), app.settings.max_document_bytes)
    given = unwrap(body, content_type)
    name = (name or "").strip() or (given.name or "").strip()
    if not name:
        raise InvalidRequest(
            "name the file in the header X-File-Name (percent-encoded) or in the query: ?name=letter.txt"
        )
    submitted = await submit_document(app, config, name, given.data)
    found, clock = submitted.document, app.context.clock
    location = {"Location": f"/api/documents/{found.id}"}
    until = clock.monotonic() + wait
    while clock.monotonic() < until and not is_final(found):
        await clock.sleep(_LOOK)
        found = await app.documents.get(found.id) or found
    if found.state is DocumentState.DONE:
        reply = await result(app, found.id)
        return Reply(reply.status, reply.body, location)
    answer = to_json(await report_of(app, found))
    return Reply(202, answer | ({"note": submitted.note} if submitted.note else {}), location)


@_answered
async def document(app: Lamplighter, document_id: str) -> Reply:
    """Return one document: state, reason, tokens, cost."""
    return Reply(200, to_json(await document_report(app, document_id)))


@_answered
async def requeue(app: Lamplighter, document_id: str) -> Reply:
    """Give a failed document its next run: 202, also if it has that run already; 409 with the reason."""
    requeued = await requeue_document(app, document_id)
    location = {"Location": f"/api/documents/{requeued.id}"}
    return Reply(202, to_json(await report_of(app, requeued)), location)


@_answered
async def cancel(app: Lamplighter, document_id: str) -> Reply:
    """Let a file of records end with what is answered: 200 if it has, 202 if its worker ends it soon."""
    cancelled = await cancel_document(app, document_id)
    location = {"Location": f"/api/documents/{cancelled.id}"}
    return Reply(200 if is_final(cancelled) else 202, to_json(await report_of(app, cancelled)), location)


@_answered
async def documents(
    app: Lamplighter,
    deployment: str | None = None,
    since: str | None = None,
    state: str | None = None,
    after: str | None = None,
) -> Reply:
    """Return a page of documents by arrival: of a deployment or of all, in one state or in any.

    `since`: an ISO time; default: a day ago, or no limit if `state` is failed, waiting or claimed.
    `after`: the `next` of the page before, instead of `since`.
    """
    query = read_query(app, deployment, since, state, after)
    return Reply(200, to_json(await list_documents(app, query)))


@_answered
async def result(app: Lamplighter, document_id: str) -> Reply:
    """Return the stored result of a document."""
    return Reply(200, await stored_result(app, document_id))


@_answered
async def deployments(app: Lamplighter) -> Reply:
    """Return the state of every deployment, and how long ago the inbox was swept."""
    return Reply(200, to_json(await listed(app)))


@_answered
async def deployment(app: Lamplighter, name: str) -> Reply:
    """Return one deployment: its state, what blocks it, its last decisions and its cost."""
    return Reply(200, to_json(await explained(app, app.settings.find(name))))


@_answered
async def hold(app: Lamplighter, name: str, body: bytes) -> Reply:
    """Hold a deployment up or down until a time, as the JSON body asks. Returns what that costs or saves."""
    config = app.settings.find(name)
    held = await holds.hold(app, config, read_request(body, app.context.clock.now()))
    return Reply(200, to_json(held) | {"step": await _step(app, config)})


@_answered
async def release(app: Lamplighter, name: str) -> Reply:
    """End a deployment's hold; it is no error if there is none."""
    config = app.settings.find(name)
    released = await holds.release(app, config)
    return Reply(200, to_json(released) | {"step": await _step(app, config)})


@_answered
async def preview(app: Lamplighter, days: str | None) -> Reply:
    """Return the hosting of the coming days (7 by default) and its cost, compared with always-on."""
    try:
        length = count(days, MOST_DAYS) if days else USUAL_DAYS
    except ValueError as error:
        raise InvalidRequest(f"days: {error}") from None
    now = app.context.clock.now()
    records = await read_records(app, now)
    # A year of many deployments takes a second. In a thread it does not delay the renewal of leases.
    since, until = period(now, days=length)
    body = await asyncio.to_thread(lambda: to_json(previewed(app.settings, records, since, until)))
    return Reply(200, body)


async def _step(app: Lamplighter, config: DeploymentConfig) -> str:
    """Return what a pass decides now, or Azure's error: the hold is stored in any case."""
    try:
        return await app.step(config)
    except ProviderError as error:
        return str(error)
