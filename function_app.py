"""Define the triggers. A trigger builds the app and calls it; nothing is loaded before one fires."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, List  # noqa: UP035 - the worker refuses list[str] in an output

import azure.functions as func

from shared.doors.named_blob import NamedBlob
from shared.settings.bindings import DRAIN_QUEUE, STORAGE, read_bindings

if TYPE_CHECKING:
    from shared.app import Lamplighter
    from shared.doors.api import Reply
    from shared.doors.openai.wire import Answer

BINDINGS = read_bindings(os.environ)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.timer_trigger(arg_name="timer", schedule=BINDINGS.schedule)
async def reconcile_deployments(timer: func.TimerRequest) -> None:
    """Sweep the inbox and make a pass over every account."""
    await (await _lamplighter()).reconcile()


@app.timer_trigger(arg_name="timer", schedule=BINDINGS.schedule)
@app.queue_output(arg_name="messages", queue_name=DRAIN_QUEUE, connection=STORAGE)
async def queue_drains(timer: func.TimerRequest, messages: func.Out[List[str]]) -> None:  # noqa: UP006
    """Put a message on the queue for each deployment that has documents to answer, and no worker.

    Put one for each batch that is still to be taken in, too: a crash may have lost the first one.
    """
    from shared.operations import batches

    lamplighter = await _lamplighter()
    messages.set([*await batches.due(lamplighter), *await lamplighter.due()])


@app.queue_trigger(arg_name="message", queue_name=DRAIN_QUEUE, connection=STORAGE)
@app.queue_output(arg_name="following", queue_name=DRAIN_QUEUE, connection=STORAGE)
async def drain_deployment(message: func.QueueMessage, following: func.Out[str]) -> None:
    """Answer a deployment's documents for one slice; if some are left, put a message for the next.

    A message may also name a batch, which is taken in.
    """
    from shared.operations import batches
    from shared.serve import SLICE_SECONDS

    name = message.get_body().decode(errors="replace")
    if name.startswith(batches.MESSAGE):
        await batches.take_in(await _lamplighter(), name.removeprefix(batches.MESSAGE))
    elif await (await _lamplighter()).drain(name, SLICE_SECONDS):
        following.set(name)


@app.timer_trigger(arg_name="timer", schedule=BINDINGS.schedule)
async def sync_sources(timer: func.TimerRequest) -> None:
    """Take what is new in the sources that deployments.yaml names, and bring answers to their targets."""
    await (await _lamplighter()).sync_sources()


@app.timer_trigger(arg_name="timer", schedule=BINDINGS.schedule)
async def deliver_events(timer: func.TimerRequest) -> None:
    """Send the events that wait to the receivers that deployments.yaml names."""
    await (await _lamplighter()).deliver_events()


@app.blob_trigger(
    arg_name="blob",
    path="inbox/{name}",
    connection=STORAGE,
    source=func.BlobSource(BINDINGS.blob_source),
)
@app.queue_output(arg_name="following", queue_name=DRAIN_QUEUE, connection=STORAGE)
async def document_uploaded(blob: NamedBlob, following: func.Out[str]) -> None:
    """Record an upload, then start its deployment if needed and answer documents, for one slice.

    If some are left, put a message for the next slice.
    """
    from shared.errors import SettingsError

    try:
        lamplighter = await _lamplighter()
    except SettingsError:
        # An error would use up the host's five tries; the sweep records it once the file is corrected.
        return
    if deployment := await lamplighter.document_uploaded(blob.name):
        following.set(deployment)


@app.route(route="deployments/{deployment}/documents", methods=["POST"])
async def submit_document(req: func.HttpRequest) -> func.HttpResponse:
    """Submit a document: the body is the file, or a form with it; its name is in X-File-Name or ?name=."""
    from shared.doors import api

    # The host has decoded the query, but not the header.
    header, query = req.headers.get("X-File-Name"), req.params.get("name")
    prefer, content_type = req.headers.get("Prefer"), req.headers.get("Content-Type")
    deployment, body = req.route_params["deployment"], req.get_body()
    return await _answer(
        req,
        lambda lamplighter: api.submit(
            lamplighter, deployment, api.given_name(header, query), body, prefer, content_type
        ),
        known=("name",),
    )


@app.route(route="documents", methods=["GET"])
async def list_documents(req: func.HttpRequest) -> func.HttpResponse:
    """List documents by arrival: of one deployment or of all, in one state or in any."""
    from shared.doors import api

    known = ("deployment", "since", "state", "after")
    given = [req.params.get(parameter) for parameter in known]
    return await _answer(req, lambda lamplighter: api.documents(lamplighter, *given), known=known)


@app.route(route="documents/{id}", methods=["GET"])
async def get_document(req: func.HttpRequest) -> func.HttpResponse:
    """Show one document: state, reason, tokens, cost."""
    from shared.doors import api

    return await _answer(req, lambda lamplighter: api.document(lamplighter, req.route_params["id"]))


@app.route(route="documents/{id}/result", methods=["GET"])
async def get_result(req: func.HttpRequest) -> func.HttpResponse:
    """Return a document's stored result."""
    from shared.doors import api

    return await _answer(req, lambda lamplighter: api.result(lamplighter, req.route_params["id"]))


@app.route(route="documents/{id}/requeue", methods=["POST"])
async def requeue_document(req: func.HttpRequest) -> func.HttpResponse:
    """Give a failed document its next run."""
    from shared.doors import api

    return await _answer(req, lambda lamplighter: api.requeue(lamplighter, req.route_params["id"]))


@app.route(route="documents/{id}/cancel", methods=["POST"])
async def cancel_document(req: func.HttpRequest) -> func.HttpResponse:
    """Let a file of records end with what is answered."""
    from shared.doors import api

    return await _answer(req, lambda lamplighter: api.cancel(lamplighter, req.route_params["id"]))


@app.route(route="deployments", methods=["GET"])
async def list_deployments(req: func.HttpRequest) -> func.HttpResponse:
    """List every deployment: observed, wanted, reason, next change; and the last sweep."""
    from shared.doors import api

    return await _answer(req, api.deployments)


@app.route(route="deployments/{deployment}", methods=["GET"])
async def get_deployment(req: func.HttpRequest) -> func.HttpResponse:
    """Show one deployment: also what blocks it, its last decisions, and its cost."""
    from shared.doors import api

    return await _answer(req, lambda lamplighter: api.deployment(lamplighter, req.route_params["deployment"]))


@app.route(route="deployments/{deployment}/hold", methods=["POST"])
async def hold_deployment(req: func.HttpRequest) -> func.HttpResponse:
    """Hold a deployment up or down until a time. The body is JSON: way, until or for, owner, reason."""
    from shared.doors import api

    deployment, body = req.route_params["deployment"], req.get_body()
    return await _answer(req, lambda lamplighter: api.hold(lamplighter, deployment, body))


@app.route(route="deployments/{deployment}/hold", methods=["DELETE"])
async def release_deployment(req: func.HttpRequest) -> func.HttpResponse:
    """End a deployment's hold before its time."""
    from shared.doors import api

    return await _answer(req, lambda lamplighter: api.release(lamplighter, req.route_params["deployment"]))


@app.route(route="preview", methods=["GET"])
async def preview_hosting(req: func.HttpRequest) -> func.HttpResponse:
    """Preview the hosting of the coming days by schedule and hold, and its cost beside always-on."""
    from shared.doors import api

    return await _answer(
        req, lambda lamplighter: api.preview(lamplighter, req.params.get("days")), known=("days",)
    )


@app.route(route="key", methods=["GET"])
async def check_key(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 204 to whoever has a key. The app asks this of its own host: see `wiring.accepts`."""
    from shared.doors.api import refuse_unknown

    refused = refuse_unknown(req.params, ())
    return _response(refused) if refused else func.HttpResponse(status_code=204)


@app.route(route="openai/{*path}", methods=["GET", "POST", "DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="following", queue_name=DRAIN_QUEUE, connection=STORAGE)
async def openai_api(req: func.HttpRequest, following: func.Out[str]) -> func.HttpResponse:
    """Serve OpenAI's files and batches. The door checks the key, which its clients send elsewhere."""
    from shared import wiring
    from shared.doors.openai import door
    from shared.doors.openai.wire import Request

    path = req.route_params.get("path") or ""
    request = Request(req.method, path, req.url, req.params, req.headers, req.get_body())
    answer = await door.answer(request, wiring.accepts, _lamplighter)
    if answer.message is not None:
        following.set(answer.message)
    return _response(answer)


async def _lamplighter() -> Lamplighter:
    """Return the app. Raises SettingsError after an alert: a broken file stops passes, not functions."""
    from shared import wiring
    from shared.alerts import Alert, alert
    from shared.errors import SettingsError

    for problem in BINDINGS.problems:
        alert(Alert.SETTINGS_BROKEN, f"{problem}; until then the default is used", setting=problem.split()[0])
    try:
        return await wiring.current()
    except SettingsError as error:
        alert(Alert.SETTINGS_BROKEN, f"nothing is hosted or answered until this is corrected: {error}")
        raise


async def _answer(
    req: func.HttpRequest, call: Callable[[Lamplighter], Awaitable[Reply]], *, known: tuple[str, ...] = ()
) -> func.HttpResponse:
    """Call the app and encode its reply. `known`: the route's query parameters; any other one is refused."""
    from shared.doors.api import refusal, refuse_repeated, refuse_unknown
    from shared.errors import LamplighterError

    try:
        refused = refuse_unknown(req.params, known) or refuse_repeated(req.url, known)
        reply = refused or await call(await _lamplighter())
    except LamplighterError as error:
        reply = refusal(error)
    return _response(reply)


def _response(reply: Reply | Answer) -> func.HttpResponse:
    if isinstance(reply.body, bytes):
        body, kind = reply.body, "application/octet-stream"
    else:
        body, kind = json.dumps(reply.body, ensure_ascii=False).encode(), "application/json"
    return func.HttpResponse(body, status_code=reply.status, headers=dict(reply.headers), mimetype=kind)
