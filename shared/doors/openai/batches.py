"""The routes of batches."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.app import Lamplighter
from shared.batches.objects import batch_object, list_object
from shared.batches.rows import StoredFile, batch_hex
from shared.documents.records.batch_lines import URLS
from shared.documents.records.record import encoded
from shared.doors.openai.files import limit_of
from shared.doors.openai.wire import Answer, Refused, Request
from shared.errors import NotFound
from shared.operations import batches, files
from shared.operations.inputs import duration

SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=7)
_KEYS = ("input_file_id", "endpoint", "completion_window", "metadata")
_LONGEST_BODY = 100_000  # bytes
_MOST_PAIRS, _LONGEST_NAME, _LONGEST_VALUE = 16, 64, 512  # of metadata, as OpenAI documents
_LONGEST_METADATA = 40_000  # bytes as JSON: Azure keeps 32,768 characters in a column of a table
_LONGEST_KEY = 255  # characters
_MOST_LISTED, _USUALLY_LISTED = 100, 20


async def create(app: Lamplighter, request: Request) -> Answer:
    """Create a batch; the queue's message lets a worker take it in."""
    given = _object(request.body)
    file_id, asked = _text(given, "input_file_id"), _new_batch(given)
    key = request.headers.get("Idempotency-Key") or None
    if key is not None and len(key) > _LONGEST_KEY:
        raise Refused(f"Idempotency-Key has more than {_LONGEST_KEY} characters")
    if key is not None and (known := await batches.repeated(app, asked, file_id, key)) is not None:
        return _shown(known)
    try:
        file = await files.find(app, file_id)
    except NotFound as error:
        raise Refused(f"input_file_id: {error}", param="input_file_id", code="invalid_file") from None
    if not isinstance(file, StoredFile):
        raise Refused(
            "input_file_id names the output of a batch: upload a file with purpose=batch",
            param="input_file_id",
            code="invalid_file",
        )
    return _shown(await batches.create(app, asked, file, key), queued=True)


def _shown(seen: batches.Seen, *, queued: bool = False) -> Answer:
    message = f"{batches.MESSAGE}{seen.job.id}" if queued else None
    return Answer(200, batch_object(seen.job, seen.document), message=message)


def _object(body: bytes) -> dict[str, Any]:
    given = None
    if len(body) <= _LONGEST_BODY:
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(body)
            json.dumps(found, ensure_ascii=False).encode()  # no response can carry half a character
            given = found
    if not isinstance(given, dict):
        raise Refused(f"send a JSON object with {', '.join(_KEYS)}")
    unknown = next((name for name in given if name not in _KEYS), None)
    if unknown is not None:
        raise Refused(
            f"Unknown parameter: {unknown[:64]!r}. Known are {', '.join(_KEYS)}.",
            param=unknown[:64],
            code="unknown_parameter",
        )
    return given


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        code = "missing_required_parameter" if value is None else "invalid_type"
        raise Refused(f"{name} must be given, as a text", param=name, code=code)
    return value


def _new_batch(given: Mapping[str, Any]) -> batches.NewBatch:
    endpoint, window = _text(given, "endpoint"), _text(given, "completion_window")
    if endpoint not in URLS:
        raise Refused(f"endpoint must be {' or '.join(URLS)}", param="endpoint", code="invalid_endpoint")
    try:
        length = duration(window)
    except ValueError as error:
        raise Refused(f"completion_window: {error}", param="completion_window") from None
    if not SHORTEST <= length <= LONGEST:
        raise Refused("completion_window must be 1h to 7d", param="completion_window")
    return batches.NewBatch(endpoint, window, length, _metadata(given.get("metadata")))


def _metadata(given: Any) -> Mapping[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > _MOST_PAIRS or not all(map(_is_pair, given.items())):
        raise Refused(
            f"metadata must have at most {_MOST_PAIRS} pairs of texts, with names of at most {_LONGEST_NAME} "
            f"characters and values of at most {_LONGEST_VALUE}",
            param="metadata",
        )
    if len(encoded(given)) > _LONGEST_METADATA:
        raise Refused("metadata has too many control characters or half characters", param="metadata")
    return given


def _is_pair(pair: tuple[str, Any]) -> bool:
    name, value = pair
    return isinstance(value, str) and len(name) <= _LONGEST_NAME and len(value) <= _LONGEST_VALUE


async def listed(app: Lamplighter, request: Request) -> Answer:
    """List batches, the newest first."""
    after = request.query.get("after")
    if after is not None and batch_hex(after) is None:
        raise Refused("after must be the id of a batch", param="after")
    page = await batches.batches(app, after, limit_of(request, _MOST_LISTED, _USUALLY_LISTED))
    items = [batch_object(each.job, each.document) for each in page.items]
    return Answer(200, list_object(items, more=page.more))


async def retrieve(app: Lamplighter, request: Request, batch_id: str) -> Answer:
    """Return a batch."""
    return _shown(await batches.find(app, batch_id))


async def cancel(app: Lamplighter, request: Request, batch_id: str) -> Answer:
    """Let a batch end with what is answered."""
    return _shown(await batches.cancel(app, batch_id), queued=True)
