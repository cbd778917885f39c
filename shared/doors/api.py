"""The HTTP API: plain values in, a status and JSON out."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from shared.app import Lamplighter
from shared.documents.backlog import INBOX, is_final
from shared.documents.intake import refuse_by_size
from shared.documents.litter import is_litter
from shared.documents.results import RESULTS
from shared.documents.source import refuse_by_least
from shared.doors.http_body import LARGEST_WRAPPING, UnsupportedBody, unwrap
from shared.errors import AlreadyExists, ArmError, DocumentRefused, Missing
from shared.model import DeploymentConfig, DocumentState
from shared.operations.holds import HoldRefused, read_request
from shared.operations.holds import hold as held
from shared.operations.inputs import count
from shared.reports.documents import is_known, listed_documents, read_query
from shared.reports.documents import told as _told
from shared.reports.preview import MOST_DAYS, USUAL_DAYS, period, previewed, read_records
from shared.reports.status import explained, listed

LONGEST_WAIT = 200.0
"""Seconds; an HTTP response must come within 230 s."""
_LOOK = 0.5
_LONGEST_BLOB_NAME = 1000
_ANY_ROUTE = ("code", "clientid")  # how the host takes a function key; in any case
_SHOWN = 64  # characters of what somebody else wrote


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def problem(status: int, message: str) -> Reply:
    """A refusal: what happened and what to do."""
    return Reply(status, {"error": message})


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> Reply | None:
    """A refusal that names the query parameters that the route does not know, and those that it does."""
    unknown = sorted(each[:_SHOWN] for each in given if each not in known and each.lower() not in _ANY_ROUTE)
    if not unknown:
        return None
    names = ", ".join(map(repr, unknown[:10]))
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    return problem(400, f"this route has no query parameter {names}: {takes}")


async def submit(
    app: Lamplighter,
    deployment: str,
    name: str | None,
    body: bytes,
    prefer: str | None,
    content_type: str | None = None,
) -> Reply:
    """Take a document in. 202 with Location, or with `Prefer: wait=N` 200 with the result if it came in time.

    Of a form (multipart/form-data) the one file is taken, under its own name if `name` is not given.
    What cannot be answered is refused here and stored nowhere.
    """
    config = app.intake.config(deployment)
    if config is None:
        return problem(404, app.intake.no_such_deployment(deployment))
    try:
        if len(body) > app.settings.max_document_bytes + LARGEST_WRAPPING:  # before it is taken apart
            refuse_by_size(len(body), app.settings.max_document_bytes)
        submission = unwrap(body, content_type)
    except DocumentRefused as refusal:
        return problem(413, str(refusal))
    except UnsupportedBody as error:
        return problem(415, str(error))
    body, name = submission.data, (name or "").strip() or (submission.name or "").strip()
    if (objection := _objection(name, config)) is not None:
        return problem(400, objection)
    try:
        refuse_by_size(len(body), app.settings.max_document_bytes)
        refuse_by_least(len(body), config)
    except DocumentRefused as refusal:
        return problem(413 if body else 400, str(refusal))
    try:
        await app.intake.sources.look_at_body(body, config, app.settings.prices)
    except DocumentRefused as refusal:
        return problem(400, str(refusal))
    document = await app.intake.arrived(await _store(app, config, name, body))
    if document is None:
        return problem(409, "the document was deleted from the inbox while it was taken in: submit it again")
    location = {"Location": f"/api/documents/{document.id}"}
    until = app.context.clock.monotonic() + _wait(prefer)
    while app.context.clock.monotonic() < until and not is_final(document):
        await app.context.clock.sleep(_LOOK)
        document = await app.documents.get(document.id) or document
    if document.state is DocumentState.DONE:
        reply = await result(app, document.id)
        return Reply(reply.status, reply.body, location)
    return Reply(202, await _told(app, document), location)


async def _store(app: Lamplighter, config: DeploymentConfig, name: str, body: bytes) -> str:
    """Put the body into the inbox under its name, or beside what has that name already."""
    blob = f"{config.name}/{name}"
    try:
        await app.context.blobs.create(INBOX, blob, body, "application/octet-stream")
    except AlreadyExists:
        suffix = PurePosixPath(name).suffix
        blob = f"{blob.removesuffix(suffix)}-{uuid.uuid4().hex[:12]}{suffix}"
        await app.context.blobs.create(INBOX, blob, body, "application/octet-stream")
    return blob


def _objection(name: str, config: DeploymentConfig) -> str | None:
    if not name:
        return "name the file in the header X-File-Name (percent-encoded) or in the query: ?name=letter.txt"
    if re.search(r"[\x00-\x1f\x7f/\\\ufffe\uffff]", name) or name.strip(".") == "":
        return "the file's name must be a plain name: no slashes, no control characters, not only dots"
    if is_litter(name):
        return "files of such a name are left alone, as programs leave them behind: name it otherwise"
    try:
        length = len(f"{config.name}/{name}".encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return "the file's name is not valid Unicode"
    if length > _LONGEST_BLOB_NAME:
        return f"the file's name is too long: {_LONGEST_BLOB_NAME - len(config.name) - 1} characters at most"
    return None


def _wait(prefer: str | None) -> float:
    """Seconds from `Prefer: wait=N` (RFC 7240); header values are untrusted."""
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\b", prefer or "", re.IGNORECASE)
    return min(float(match[1]), LONGEST_WAIT) if match else 0.0


async def document(app: Lamplighter, document_id: str) -> Reply:
    """One document: state, reason, tokens, cost."""
    found = await app.documents.get(document_id)
    return Reply(200, await _told(app, found)) if found else problem(404, "no document has this id")


async def requeue(app: Lamplighter, document_id: str) -> Reply:
    """Give a document that failed its next run: 202, also if it has that already; 409 with the reason."""
    found = await app.documents.get(document_id)
    if found is None:
        return problem(404, "no document has this id")
    try:
        requeued = await app.intake.requeue(found)
    except DocumentRefused as refusal:
        return problem(409, str(refusal))
    return Reply(202, await _told(app, requeued), {"Location": f"/api/documents/{requeued.id}"})


async def documents(
    app: Lamplighter,
    deployment: str | None = None,
    since: str | None = None,
    state: str | None = None,
    after: str | None = None,
) -> Reply:
    """Documents by arrival: of a deployment or of all, in one state or in any, a page at a time.

    From `since` on (ISO time; a day ago by default, and always for what failed or is unfinished), or behind
    `after`, the `next` of the page before.
    """
    try:
        query = read_query(app, deployment, since, state, after)
    except ValueError as error:
        return problem(400, str(error))
    page = await listed_documents(app, query)
    if query.deployment and not page["documents"] and not await is_known(app, query.deployment):
        return problem(404, app.intake.no_such_deployment(query.deployment))
    return Reply(200, page)


async def result(app: Lamplighter, document_id: str) -> Reply:
    """The stored result of a document."""
    found = await app.documents.get(document_id)
    if found is None:
        return problem(404, "no document has this id")
    if not found.result:
        return problem(404, f"there is no result: the document is {found.state}. {found.reason}".strip())
    try:
        return Reply(200, json.loads(await app.context.blobs.read(RESULTS, found.result)))
    except Missing:
        return problem(410, f"the result {found.result} was deleted from the container {RESULTS}")
    except ValueError:
        return problem(502, f"the result {found.result} in {RESULTS} is not what was stored: it is no JSON")


async def deployments(app: Lamplighter) -> Reply:
    """Every deployment, and how long ago the inbox was swept."""
    return Reply(200, await listed(app))


async def deployment(app: Lamplighter, name: str) -> Reply:
    """One deployment: how it stands, what blocks it, how it came to that, and what it costs."""
    config = app.intake.config(name)
    if config is None:
        return problem(404, app.intake.no_such_deployment(name))
    return Reply(200, await explained(app, config))


async def hold(app: Lamplighter, name: str, body: bytes) -> Reply:
    """Hold a deployment up or down until a time, as the JSON body says; with what that costs or saves."""
    config = app.intake.config(name)
    if config is None:
        return problem(404, app.intake.no_such_deployment(name))
    try:
        request = read_request(body, app.context.clock.now())
    except HoldRefused as refusal:
        return Reply(400, {"error": str(refusal), "problems": [asdict(each) for each in refusal.problems]})
    document = await held(app, config, request)
    return Reply(200, document | {"step": await _step(app, config)})


async def release(app: Lamplighter, name: str) -> Reply:
    """End a deployment's hold; that there was none is no error."""
    config = app.intake.config(name)
    if config is None:
        return problem(404, app.intake.no_such_deployment(name))
    released = await app.context.ledger.release_hold(config.account, config.name)
    step = await _step(app, config)
    return Reply(200, {"deployment": config.name, "released": released, "step": step})


async def preview(app: Lamplighter, days: str | None) -> Reply:
    """What the coming days (7 by default) host by schedule and hold, and what that costs beside always-on."""
    try:
        length = count(days, MOST_DAYS) if days else USUAL_DAYS
    except ValueError as error:
        return problem(400, f"days: {error}")
    now = app.context.clock.now()
    records = await read_records(app, now)
    # A year of many deployments takes a second: in a thread, as workers renew their leases meanwhile.
    return Reply(200, await asyncio.to_thread(previewed, app.settings, records, *period(now, days=length)))


async def _step(app: Lamplighter, config: DeploymentConfig) -> str:
    """What a pass decides now. What Azure refuses is told: what was asked for stays."""
    try:
        return await app.step(config)
    except ArmError as error:
        return str(error)
