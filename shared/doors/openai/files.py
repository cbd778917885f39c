"""The routes of files."""

from __future__ import annotations

import re
from typing import Any

from shared.app import Lamplighter
from shared.batches.objects import deleted_object, file_object, list_object, result_object
from shared.batches.rows import StoredFile, file_hex
from shared.documents.threads import in_thread
from shared.doors.forms import DamagedForm, Part, content_type_of, parts_of
from shared.doors.openai.wire import Answer, Refused, Request
from shared.operations import files
from shared.operations.inputs import count

MOST_CONTENT = 100_000_000
"""Bytes of a response: the worker holds all of it in memory."""
_MOST_LISTED, _USUALLY_LISTED = 10_000, 1000  # Azure reads a thousand rows at a time
_PURPOSES = ("batch", "batch_output", "assistants", "fine-tune", "vision", "user_data", "evals")
_RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")
_FORM = "send a form (multipart/form-data) with the fields file and purpose=batch, as the openai client does"


async def create(app: Lamplighter, request: Request) -> Answer:
    """Store an uploaded file."""
    content_type = content_type_of(request.headers.get("Content-Type"))
    if content_type.get_content_type() != "multipart/form-data":
        raise Refused(_FORM, param="file")
    try:
        parts = await in_thread(len(request.body), parts_of, request.body, content_type)
    except DamagedForm as error:
        raise Refused(f"{error}: {_FORM}", param="file") from None
    unknown = next((part.field for part in parts if part.field not in ("file", "purpose")), None)
    if unknown is not None:
        raise Refused(
            f"Unknown parameter: {unknown[:64]!r}. Files stay until they are deleted.",
            param=unknown[:64],
            code="unknown_parameter",
        )
    file, purpose = _only(parts, "file"), bytes(_only(parts, "purpose").data[:64])
    if file.file_name is None:
        raise Refused(f"file has no name: {_FORM}", param="file")
    if purpose != b"batch":
        raise Refused(
            "purpose must be batch: other files are not kept here", param="purpose", code="invalid_purpose"
        )
    stored = await files.upload(app, file.file_name, file.data)
    return Answer(200, file_object(stored))


def _only(parts: list[Part], field: str) -> Part:
    found = [part for part in parts if part.field == field]
    if len(found) != 1:
        raise Refused(f"{field} must be given once: {_FORM}", param=field)
    return found[0]


async def listed(app: Lamplighter, request: Request) -> Answer:
    """List the uploaded files."""
    query = request.query
    order, purpose, after = query.get("order", "desc"), query.get("purpose", "batch"), query.get("after")
    if order not in ("asc", "desc"):
        raise Refused("order must be asc or desc", param="order")
    if purpose not in _PURPOSES:
        raise Refused(f"purpose must be one of {', '.join(_PURPOSES)}", param="purpose")
    if after is not None and file_hex(after) is None:
        raise Refused("after must be the id of an uploaded file", param="after")
    limit = min(limit_of(request, _MOST_LISTED, _USUALLY_LISTED), _USUALLY_LISTED)
    if purpose != "batch":
        return Answer(200, list_object([], more=False))
    page = await files.files(app, after, limit, oldest_first=order == "asc")
    return Answer(200, list_object([file_object(each) for each in page.items], more=page.more))


def limit_of(request: Request, most: int, usual: int) -> int:
    """Return how many items a page has. Raises Refused."""
    given = request.query.get("limit")
    try:
        return count(given, most) if given is not None else usual
    except ValueError as error:
        raise Refused(f"limit: {error}", param="limit") from None


async def retrieve(app: Lamplighter, request: Request, file_id: str) -> Answer:
    """Return what is known of a file."""
    return Answer(200, _object(await files.find(app, file_id)))


def _object(file: StoredFile | files.ResultFile) -> dict[str, Any]:
    if isinstance(file, StoredFile):
        return file_object(file)
    return result_object(file.job, file.kind, file.size, file.created_at)


async def content(app: Lamplighter, request: Request, file_id: str) -> Answer:
    """Return the content of a file, or the part that a Range header asks for."""
    file = await files.find(app, file_id)
    asked = _RANGE.fullmatch(request.headers.get("Range") or "")
    start = int(asked[1]) if asked else 0
    end = min(int(asked[2]) + 1 if asked and asked[2] else file.size, file.size)
    if asked and start >= end:
        return Answer(416, b"", {"Content-Range": f"bytes */{file.size}"})
    if end - start > MOST_CONTENT:
        where = "" if isinstance(file, StoredFile) else f", or read the blob results/{file.name}"
        raise Refused(
            f"the file has {file.size:,} bytes, and a response {MOST_CONTENT:,} at most: ask for its parts "
            f"with the header Range: bytes=0-{MOST_CONTENT - 1}, and so on{where}",
            status=413,
        )
    headers = {"Accept-Ranges": "bytes"}
    if asked:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    return Answer(206 if asked else 200, await files.content(app, file, start, end - start), headers)


async def delete(app: Lamplighter, request: Request, file_id: str) -> Answer:
    """Delete a file."""
    await files.delete(app, file_id)
    return Answer(200, deleted_object(file_id))
