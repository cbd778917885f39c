"""Find the parts of a form (multipart/form-data, RFC 7578) in a request's body, without a copy of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from shared.errors import LamplighterError

_MOST_PARTS = 100
_LONGEST_HEADER = 16 * 1024  # bytes of a part's header
_LONGEST_BOUNDARY = 70  # RFC 2046, 5.1.1
_END_OF_LINE = re.compile(rb"(--)?[ \t]{0,100}(?:\r?\n|\Z)")


class DamagedForm(LamplighterError):
    """The body is no form that can be read. The message says why, without a remedy."""


@dataclass(frozen=True)
class Part:
    """A part of a form: a field, or a file if it has a file's name."""

    field: str
    file_name: str | None
    data: memoryview


def content_type_of(text: str | None) -> Message:
    """Return a Content-Type to ask for its type and parameters; without one, that of unknown bytes."""
    header = Message()
    header["Content-Type"] = re.sub(r"[\r\n]", " ", text or "application/octet-stream")
    return header


def parts_of(body: bytes, content_type: Message) -> list[Part]:
    """Return the parts of a form in their order. Raises DamagedForm."""
    boundary = str(content_type.get_boundary(""))
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise DamagedForm("the form's Content-Type names no boundary between its parts")
    delimiter = b"--" + boundary.encode("utf-8", "replace")
    parts, start, at = list[Part](), -1, 0
    while (found := body.find(delimiter, at)) >= 0:
        at = found + len(delimiter)
        line = _END_OF_LINE.match(body, at)
        before = _before_line(body, found)
        # Each begins a line, and only white space may follow it on that line.
        if line is None or before is None or before < start:
            continue
        if start >= 0:
            parts.append(_part(body, start, before))
        if line[1]:
            return parts
        start = at = line.end()
        if len(parts) >= _MOST_PARTS:
            raise DamagedForm(f"the form has more than {_MOST_PARTS} parts")
    raise DamagedForm("the form is cut off or damaged: its last boundary is missing")


def _before_line(body: bytes, at: int) -> int | None:
    """Return where the line before the one that begins at `at` ends; None if no line begins there."""
    if at == 0:
        return 0
    if body[at - 1 : at] != b"\n":
        return None
    return at - 2 if body[at - 2 : at - 1] == b"\r" else at - 1


def _part(body: bytes, start: int, end: int) -> Part:
    blank = re.compile(rb"\r?\n\r?\n").search(body, start, min(end, start + _LONGEST_HEADER))
    if blank is None:
        raise DamagedForm("a part of the form has no header that can be read")
    header = HeaderParser().parsestr(body[start : blank.start()].decode("utf-8", "replace"))
    if header.get_content_disposition() != "form-data":
        raise DamagedForm("a part of the form is not marked as form-data")
    encoding = str(header.get("Content-Transfer-Encoding", "binary")).strip().lower()
    if encoding not in ("binary", "8bit", "7bit"):
        raise DamagedForm("the form's file is encoded for mail")
    if header.get_content_maintype() == "multipart":
        raise DamagedForm("the form holds several files in one part")
    name, field = header.get_filename(), header.get_param("name", "", "content-disposition")
    # Some browsers send the whole path.
    file_name = None if name is None else re.split(r"[/\\]", name)[-1]
    return Part(field if isinstance(field, str) else "", file_name, memoryview(body)[blank.end() : end])
