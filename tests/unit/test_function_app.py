"""What the functions host sees: the import touches nothing, and every function is there."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

import azure.functions as func
import pytest
from azurefunctions.extensions.base import Datum

from shared import wiring
from shared.doors.named_blob import NamedBlob, NamedBlobConverter
from tests.fakes.world import World, config

ROOT = Path(__file__).parents[2]

# Runs in a process of its own, as the import is what is tested. Opening a socket or a file that is not
# Python's own is an audit event that ends it.
IMPORT = """
import json, sys, sysconfig, os
places = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix, sys.base_prefix
own = tuple(os.path.realpath(place) for place in places)
def guard(event, args):
    if event.startswith("socket."):
        raise SystemExit(f"the import opened a socket: {event}")
    if event == "open" and isinstance(args[0], str):
        path = os.path.realpath(args[0])
        if not path.startswith(own) and not path.endswith((".py", ".pyc")) and "__pycache__" not in path:
            raise SystemExit(f"the import opened {path}")
sys.addaudithook(guard)
import function_app

def worker_tells():
    # What Microsoft's worker does when it indexes a function with an SDK type (its loader.py).
    from types import SimpleNamespace
    from typing import get_type_hints
    from azurefunctions.extensions.base import get_binding_registry
    registry, shown = get_binding_registry(), []
    for each in functions:
        hints = get_type_hints(each.get_user_function())
        types = {name: SimpleNamespace(pytype=hint) for name, hint in hints.items()}
        if any(registry.check_supported_type(hint) for hint in hints.values()):
            bindings, _ = registry.get_raw_bindings(each, types)
            shown += [json.loads(binding) for binding in bindings]
    return shown

functions = function_app.app.get_functions()
sdks = "openai", "azure.storage", "azure.data", "azure.identity", "azure.mgmt", "pydantic", "yaml", "aiohttp"
print(json.dumps({
    "heavy": [name for name in sdks if name in sys.modules],
    "functions": [
        json.loads(each.get_function_json()) | {"name": each.get_function_name()}
        for each in functions
    ],
    "problems": function_app.BINDINGS.problems,
    "as the worker tells them": worker_tells(),
}))
"""


def import_app(**environment: str) -> dict[str, object]:
    inherited = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "SYSTEMROOT")}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def triggers(shown: dict[str, object]) -> dict[str, dict[str, object]]:
    functions = shown["functions"]
    assert isinstance(functions, list)
    return {
        function["name"]: next(each for each in function["bindings"] if each["direction"] == "IN")
        for function in functions
    }


def test_the_import_touches_no_sdk_no_file_and_no_network() -> None:
    """Cold start is import time, and a broken setting must not make the functions vanish."""
    assert import_app()["heavy"] == []


def test_every_function_is_there_without_any_setting() -> None:
    """The defaults: every minute, Event Grid, function keys."""
    found = triggers(import_app())
    assert set(found) == {
        *("reconcile_deployments", "queue_drains", "sync_sources", "deliver_events"),
        *("drain_deployment", "document_uploaded"),
        *("submit_document", "list_documents", "get_document", "get_result", "requeue_document"),
        *("list_deployments", "get_deployment", "hold_deployment", "release_deployment", "preview_hosting"),
        *("cancel_document", "check_key", "openai_api"),
    }
    assert found["reconcile_deployments"]["schedule"] == "0 * * * * *"
    assert found["document_uploaded"]["path"] == "inbox/{name}"
    assert found["document_uploaded"]["source"] == "EventGrid"
    assert found["document_uploaded"]["connection"] == "DOCUMENTS_STORAGE"
    http = [each for each in found.values() if each["type"] == "httpTrigger"]
    [openai] = [each for each in http if each["authLevel"] != "FUNCTION"]
    assert (openai["route"], openai["authLevel"]) == ("openai/{*path}", "ANONYMOUS")
    assert openai["methods"] == ["GET", "POST", "DELETE"]
    http.remove(openai)
    assert {(each["route"], *each["methods"]) for each in http} == {
        ("deployments/{deployment}/documents", "POST"),
        ("documents", "GET"),
        ("documents/{id}", "GET"),
        ("documents/{id}/result", "GET"),
        ("documents/{id}/requeue", "POST"),
        ("documents/{id}/cancel", "POST"),
        ("deployments", "GET"),
        ("deployments/{deployment}", "GET"),
        ("deployments/{deployment}/hold", "POST"),
        ("deployments/{deployment}/hold", "DELETE"),
        ("preview", "GET"),
        ("key", "GET"),
    }


def test_the_host_is_asked_for_an_upload_s_name_and_not_for_its_content() -> None:
    """The worker's own words to the host: the same trigger, with a reference in the place of the file."""
    shown: Any = import_app()["as the worker tells them"]
    assert next(each for each in shown if each["direction"] == "IN") == {
        "type": "blobTrigger",
        "direction": "IN",
        "name": "blob",
        "path": "inbox/{name}",
        "connection": "DOCUMENTS_STORAGE",
        "source": "EventGrid",
        "properties": {"SupportsDeferredBinding": True},
    }


def test_a_drain_is_asked_for_by_a_message_of_the_queue() -> None:
    """The timer puts the messages, and so does whatever ends before the documents do."""
    functions: Any = import_app()["functions"]
    named = {
        function["name"]: {
            (each["type"], each["queueName"], each["connection"])
            for each in function["bindings"]
            if "queueName" in each
        }
        for function in functions
    }
    trigger, output = (
        ("queueTrigger", "drain", "DOCUMENTS_STORAGE"),
        ("queue", "drain", "DOCUMENTS_STORAGE"),
    )
    assert {name: found for name, found in named.items() if found} == {
        "queue_drains": {output},
        "openai_api": {output},
        "drain_deployment": {trigger, output},
        "document_uploaded": {output},
    }


def test_what_the_functions_put_is_what_the_worker_can_send() -> None:
    """The types of the outputs are those that Microsoft's worker accepts when it loads the functions."""
    import function_app

    converter = func.queue.QueueMessageOutConverter
    app = function_app
    for function in (app.queue_drains, app.drain_deployment, app.document_uploaded, app.openai_api):
        hints = get_type_hints(function._function.get_user_function())
        (kind,) = (hint for hint in hints.values() if get_origin(hint) is func.Out)
        assert converter.check_output_type_annotation(*get_args(kind))


def test_a_reference_is_decoded_to_the_name() -> None:
    """Whatever characters it has; what is no reference raises, without a word of what it is."""
    reference = SimpleNamespace(content=json.dumps({"BlobName": "clauses/a ü/b.txt"}).encode())
    decoded = NamedBlobConverter.decode(
        Datum(reference, "model_binding_data"), trigger_metadata={}, pytype=NamedBlob
    )
    assert decoded.name == "clauses/a ü/b.txt"
    with pytest.raises(ValueError, match=r"^the host sent no reference to a blob$"):
        NamedBlobConverter.decode(Datum(b"secret", "bytes"), trigger_metadata={}, pytype=NamedBlob)


def test_the_settings_reach_the_host() -> None:
    """A schedule as the host's own %SETTING%, a polling source by its name."""
    shown = import_app(RECONCILE_SCHEDULE="*/5 * * * * *", BLOB_SOURCE="LogsAndContainerScan")
    found = triggers(shown)
    assert found["queue_drains"]["schedule"] == "%RECONCILE_SCHEDULE%"
    assert found["document_uploaded"]["source"] == "LogsAndContainerScan"
    assert shown["problems"] == []


@pytest.mark.parametrize(
    ("setting", "value", "function", "key", "default"),
    [
        ("BLOB_SOURCE", "Polling", "document_uploaded", "source", "EventGrid"),
        ("RECONCILE_SCHEDULE", "every minute", "reconcile_deployments", "schedule", "0 * * * * *"),
        ("RECONCILE_SCHEDULE", "* * * * *", "reconcile_deployments", "schedule", "0 * * * * *"),
    ],
)
def test_an_unknown_value_means_the_default_and_a_problem(
    setting: str, value: str, function: str, key: str, default: str
) -> None:
    """Never an app without functions."""
    shown = import_app(**{setting: value})
    assert triggers(shown)[function][key] == default
    problems = shown["problems"]
    assert isinstance(problems, list) and setting in problems[0] and value in problems[0]


@functools.cache
def routes() -> dict[str, Any]:
    """The functions that HTTP calls, by name. An app tells them once."""
    import function_app

    shown = function_app.app.get_functions()
    http = [each for each in shown if each.get_trigger().type == "httpTrigger"]
    return {each.get_function_name(): each.get_user_function() for each in http}


async def test_every_route_refuses_a_query_parameter_that_it_does_not_know() -> None:
    """Ignored, `?stat=failed` would list everything; what the host itself takes goes through."""
    others = routes().keys() - {"openai_api"}  # its door refuses them itself
    assert len(others) == 12
    for name in others:
        route = routes()[name]
        request = func.HttpRequest(
            method="GET",
            url="/api/x",
            params={"stat": "failed", "code": "key"},
            route_params={"deployment": "clauses", "id": "x"},
            body=b"",
        )
        answer = await route(request)
        assert answer.status_code == 400, name
        assert "'stat'" in json.loads(answer.get_body())["error"]


async def test_a_query_parameter_that_is_given_twice_is_refused() -> None:
    """One of its values would be ignored. What is given once, or inside a value, goes through."""
    from shared.doors import api

    request = func.HttpRequest(
        method="GET",
        url="https://app/api/documents?state=failed&State=done",
        params={"state": "failed"},
        body=b"",
    )
    answer = await routes()["list_documents"](request)
    assert answer.status_code == 400
    assert json.loads(answer.get_body())["error"] == "state is given more than once: give it once"
    assert (
        api.refuse_repeated("/api/documents?state=failed&after=state%3D&x=1&x=2", ("state", "after")) is None
    )


@pytest.mark.parametrize(
    ("header", "query", "stored"),
    [
        (None, "50%25.txt", "50%25.txt"),  # the host has decoded a query already
        ("50%2525.txt", None, "50%25.txt"),
        ("50%25.txt", None, "50%.txt"),
        ("%F0%9F%93%84 Brief.txt", None, "\U0001f4c4 Brief.txt"),
        ("one.txt", "another.txt", None),
        ("%ED%A0%80.txt", None, "\ufffd\ufffd\ufffd.txt"),
        ("a%2F..%2Fb.txt", None, None),
        ("a%00b.txt", None, None),
    ],
)
async def test_a_file_name_is_decoded_once(
    header: str | None, query: str | None, stored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header carries it percent-encoded, a query as it is."""
    world = World.of(config())

    async def current() -> object:
        return world.app

    monkeypatch.setattr(wiring, "current", current)
    request = func.HttpRequest(
        method="POST",
        url="/api/deployments/clauses/documents",
        headers={"X-File-Name": header} if header else {},
        params={"name": query} if query else {},
        route_params={"deployment": "clauses"},
        body=b"text",
    )
    answer = await routes()["submit_document"](request)
    assert answer.status_code == (202 if stored else 400)
    assert world.blobs.names("inbox") == ([f"clauses/{stored}"] if stored else [])
