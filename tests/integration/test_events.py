"""Events of a document and its deployment, at an Event Grid topic, a queue and a webhook."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.queue import QueueServiceClient
from standardwebhooks import Webhook

from local.azurite import ACCOUNT_KEY, Azurite, account_name
from local.deployments_file import TOPIC
from tests.integration.calls import call
from tests.integration.stack import letter, run_stack

_FILE, _PATH, _SECRET = "Kuendigung-Quittenbaum", "Holunder-T0PS3CRET", "S2V5T2ZUaGVIb29rVGhhdE5vYm9keUtub3dz"
_EXPECTED = ["deployment.closed", "deployment.ready", "deployment.waking", "document.done"]


@contextmanager
def _webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a receiver that verifies signatures; yield its URL, and the events that it has taken."""
    got: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(Webhook(_SECRET).verify(body, dict(self.headers.items())))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{_PATH}", got
        server.shutdown()


def _types(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of events, of those with one id once."""
    by_id = {each["id"]: each["type"].removeprefix("lamplighter.") for each in events}
    return sorted(by_id.values())


def test_every_receiver_gets_every_event_though_one_is_down_at_first(
    azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic is down until all is over. Nothing private is in the log, nor where it is not wanted."""
    monkeypatch.setenv("HOOK_KEY", _SECRET)
    credential = AzureNamedKeyCredential(account_name(azurite.queue_uri), ACCOUNT_KEY)
    service = QueueServiceClient(azurite.queue_uri, credential=credential, use_env_settings=False)
    with service, _webhook() as (url, told):
        queue = service.create_queue("answers")
        receivers = [
            {"event_grid": "${EVENT_TOPIC_ENDPOINT}"},
            {"queue": f"{azurite.queue_uri}/answers"},
            {"webhook": url, "secret": "${HOOK_KEY}", "file_names": True},
        ]
        with run_stack(tmp_path, azurite, {"mailroom": {"notify": receivers}}) as stack:

            def on_topic() -> list[dict[str, Any]]:
                found = call(f"{stack.azure.url}/emulator/events?topic={TOPIC}").json["events"]
                return list(found)

            def on_queue() -> list[dict[str, Any]]:
                messages = queue.peek_messages(max_messages=32)
                return [json.loads(base64.b64decode(message.content)) for message in messages]

            stack.azure.add_fault(
                plane="events", operation="publish", deployment=TOPIC, status=503, count=10_000
            )
            stack.upload(f"mailroom/{_FILE}.txt", letter("Terminated"))
            stack.wait_until_answered("mailroom", {f"{_FILE}.txt": letter("Terminated")})
            stack.wait_until_gone("mailroom")
            stack.wait("the webhook got all", lambda: _types(told) == _EXPECTED)
            stack.wait("the queue got all", lambda: _types(on_queue()) == _EXPECTED)
            assert on_topic() == []
            stack.azure.clear_faults()
            stack.wait("the topic got all", lambda: _types(on_topic()) == _EXPECTED)

            [document] = stack.documents("mailroom")
            [named] = [each["data"] for each in told if each["type"].endswith("done")]
            for key in ("name", "result", "reason", "run", "prompt_tokens", "currency"):
                assert named[key] == document[key]  # as the API has it
            [unnamed] = [each["data"] for each in on_topic() if each["type"].endswith("done")]
            assert unnamed == {key: value for key, value in named.items() if key not in ("name", "result")}
            assert unnamed["document"] == document["id"]
            assert _FILE not in json.dumps([*on_topic(), *on_queue()])
            stack.assert_log_is_discreet()
            for private in (_FILE, _PATH, _SECRET):
                assert private not in stack.output
            assert "event_grid at 127.0.0.1 takes no events now (503)" in stack.output
