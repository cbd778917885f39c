"""`notify` in deployments.yaml: what may be written there, and that no message shows a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.model import EventType, Receiver, ReceiverKind
from tests.unit.settings_file import CLAUSES, ENVIRONMENT, FILE, changed, config, loaded, mistakes_in

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = {"webhook": "https://hook.example/T0PS3CRET/?sig=a%2Fb/", "secret": SECRET}
QUEUE = {"queue": "https://contoso.queue.core.windows.net/answers"}
TOPIC = {"event_grid": "https://t.westeurope-1.eventgrid.azure.net/api/events"}
ENTRY = f"{CLAUSES}.notify.0"
PRIVATE = ("T0PS3CRET", SECRET.removeprefix("whsec_")[:8])


def test_the_three_kinds_of_receivers_are_read(tmp_path: Path) -> None:
    """Everything is sent by default, without names of files. A webhook's URL is kept to the letter."""
    some = {"events": ["document.done", "deployment.refused"], "file_names": "true"}
    local = {"event_grid": "http://127.0.0.1:10010/topics/local/api/events/"}
    receivers = config(tmp_path, notify=[HOOK, QUEUE | some, TOPIC, local]).notify
    done = frozenset({EventType.DOCUMENT_DONE, EventType.DEPLOYMENT_REFUSED})
    assert receivers == (
        Receiver(ReceiverKind.WEBHOOK, HOOK["webhook"], SECRET, frozenset(EventType)),
        Receiver(ReceiverKind.QUEUE, QUEUE["queue"], "", done, file_names=True),
        Receiver(ReceiverKind.EVENT_GRID, TOPIC["event_grid"]),
        Receiver(ReceiverKind.EVENT_GRID, local["event_grid"].rstrip("/")),
    )
    assert not any(private in repr(receivers) for private in PRIVATE)
    assert config(tmp_path).notify == ()


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        ({}, ": write one of event_grid, queue, webhook in each entry, with its URL"),
        (TOPIC | QUEUE, ": write one of event_grid, queue, webhook in each entry, with its URL"),
        ({"webhook": HOOK["webhook"]}, ": a webhook needs secret, the key that signs its events: make one"),
        (QUEUE | {"secret": SECRET}, ": secret is for webhooks only: queue takes the app's identity, so rem"),
        (HOOK | {"secret": "T0PS3CRET"}, ".secret: must be 24 to 64 bytes in base64: make one with: openssl"),
        (HOOK | {"secret": "T0PS3CRETä" * 9}, ".secret: must be 24 to 64 bytes in base64"),
        (HOOK | {"webhook": "http://hook.example/T0PS3CRET"}, ".webhook: must be an https URL, without a us"),
        (HOOK | {"webhook": "https://u:T0PS3CRET@hook.example"}, ".webhook: must be an https URL, without a"),
        (HOOK | {"webhook": "https://[T0PS3CRET"}, ".webhook: must be an https URL"),
        (HOOK | {"webhook": "https://hook.example:99999/T0PS3CRET"}, ".webhook: must be an https URL"),
        (HOOK | {"webhook": "https://hook.example/T0PS3CRET b"}, ".webhook: must be an https URL"),
        ({"webhok": HOOK["webhook"]}, ".webhok: unknown key: did you mean 'webhook'?"),
        (HOOK | {"sekret": SECRET}, ".sekret: unknown key: did you mean 'secret'?"),
        ({"queue": [HOOK["webhook"]]}, ".queue: write one value here, not a list or a section"),
        (
            {"queue": QUEUE["queue"] + "?sig=T0PS3CRET"},
            ".queue: must be a URL without a query: the app's own",
        ),
        (
            {"queue": "https://contoso.queue.core.windows.net/"},
            ".queue: must be a queue's URL, such as https",
        ),
        ({"queue": "https://T0PS3CRET.example/answers"}, ".queue: must be a queue's URL, such as https"),
        ({"queue": QUEUE["queue"] + "/messages"}, ".queue: must be a queue's URL, such as https"),
        (
            {"event_grid": "https://t.example/api/events"},
            ".event_grid: must be the topic's endpoint, such as",
        ),
        (
            {"event_grid": TOPIC["event_grid"][:-11]},
            ".event_grid: must be the topic's endpoint, such as https",
        ),
        (HOOK["webhook"], ": write keys and values here"),
        (TOPIC | {"events": []}, ".events: write at least one"),
        (
            TOPIC | {"events": ["document.dne"]},
            ".events.0: did you mean 'document.done'? Write one of document.",
        ),
        (TOPIC | {"file_names": "maybe"}, ".file_names: write true or false (found: maybe)"),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else None,
)
def test_each_mistake_has_its_remedy_and_shows_no_secret(tmp_path: Path, entry: Any, mistake: str) -> None:
    """In the words of the file, at its place; and it is the only one."""
    (found,) = mistakes_in(tmp_path, changed({f"{CLAUSES}.notify": [entry]}))
    assert found.startswith(ENTRY + mistake)
    assert not any(private in found for private in PRIVATE)


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({f"{CLAUSES}.notify": [HOOK, QUEUE, HOOK]}, "notify names a receiver twice, which would get each"),
        ({f"{CLAUSES}.notify": [{"queue": f"{QUEUE['queue']}{n}"} for n in range(11)]}, "write 10 at most"),
        ({f"{CLAUSES}.notify": HOOK["webhook"]}, f"{CLAUSES}.notify: write a list here"),
        ({f"{CLAUSES}.webhook": HOOK["webhook"]}, "unknown key: known are"),
        ({f"{CLAUSES}.secret": SECRET}, "secret: unknown key: known are"),
        (
            {
                f"{CLAUSES}.notify": [HOOK],
                "deployments.terms": FILE["deployments"]["clauses"]
                | {"notify": [HOOK | {"secret": "A" * 32}]},
            },
            "deployments.terms.notify.0.secret: differs from that of the same webhook in deployments.clauses",
        ),
        (
            {f"{CLAUSES}.notify": [HOOK | {"secret": "T0PS3CRET${HOOK_KEY}"}]},
            f"{ENTRY}.secret: set HOOK_KEY in",
        ),
        (
            {f"{CLAUSES}.notify": [HOOK | {"webhook": "${HOOK_URL}"}]},
            f"{ENTRY}.webhook: set HOOK_URL in the app",
        ),
    ],
)
def test_mistakes_around_an_entry_show_no_secret_either(
    tmp_path: Path, changes: dict[str, Any], mistake: str
) -> None:
    """Also where the value is not yet whole, or stands at the wrong place."""
    (found,) = mistakes_in(tmp_path, changed(changes))
    assert mistake in found
    assert not any(private in found for private in PRIVATE)


def test_a_secret_comes_from_the_app_settings(tmp_path: Path) -> None:
    """Where a Key Vault keeps it; the deployments that share the webhook may share it."""
    hook = HOOK | {"secret": "${HOOK_KEY}"}
    both = {
        f"{CLAUSES}.notify": [hook],
        "deployments.terms": FILE["deployments"]["clauses"] | {"notify": [hook]},
    }
    settings = loaded(tmp_path, changed(both), {**ENVIRONMENT, "HOOK_KEY": SECRET})
    assert {each.notify[0].secret for each in settings.deployments.values()} == {SECRET}
