"""Extract the document from the body of a submission: HTTP clients wrap files in forms by default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from shared.errors import LamplighterError

AS_IT_IS = "send the file as it is: curl --data-binary @letter.txt -H 'Content-Type: text/plain'"
LARGEST_WRAPPING = 64 * 1024
"""Bytes that a form may add to its file."""
_MOST_PARTS = 100
_LONGEST_HEADER = 16 * 1024  # bytes of a part's header
_LONGEST_BOUNDARY = 70  # RFC 2046, 5.1.1
_FORM_FIELDS = re.compile(rb"\s*[\w.+%*\[\]-]{1,100}=[^\s&=]*(?:&[\w.+%*\[\]-]{1,100}=[^\s&=]*)*\s*")


class UnsupportedBody(LamplighterError):
    """The body is not a document. The message says what it is, and how to send the document instead."""


@dataclass(frozen=True)
class Submission:
    """A document, and its name if the body gives one."""

    data: bytes
    name: str | None = None


def unwrap(body: bytes, content_type: str | None) -> Submission:
    """Return the document in a body of this Content-Type: the body itself unless that is a form.

    Raises UnsupportedBody for a form without a file or with several, and for a body that is no document.
    """
    header = Message()
    header["Content-Type"] = re.sub(r"[\r\n]", " ", content_type or "application/octet-stream")
    kind = header.get_content_type()
    if kind == "multipart/form-data":
        return _only_file(body, header.get_boundary(""))
    if kind.startswith("multipart/"):
        raise UnsupportedBody(f"a body of the type {kind[:64]} is no document: {AS_IT_IS}")
    # Clients such as curl and urllib use this type by default, so the body may be a document. One without
    # line breaks was joined by `curl -d @file`.
    if kind == "application/x-www-form-urlencoded" and body:
        if b"\n" not in body and b"\r" not in body:
            raise UnsupportedBody(
                "the body came as a web form, in one line: curl -d removes the ends of the lines. " + AS_IT_IS
            )
        if _FORM_FIELDS.fullmatch(body):
            raise UnsupportedBody(f"the body holds the fields of a web form, and no document: {AS_IT_IS}")
    return Submission(body)


def _only_file(body: bytes, boundary: str) -> Submission:
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise UnsupportedBody(f"the form's Content-Type names no boundary between its parts: {AS_IT_IS}")
    files = [part for part in _parts(body, boundary) if part.name is not None]
    if len(files) != 1:
        found = f"{len(files)} files" if files else "no file"
        raise UnsupportedBody(f"the form holds {found}, and a submission is one: {AS_IT_IS}")
    return files[0]


def _parts(body: bytes, boundary: str) -> list[Submission]:
    """Return the parts of a form; a part that is no file has no name."""
    delimiter = b"--" + boundary.encode("utf-8", "replace")
    # Each begins a line, and only white space may follow it on that line.
    lines = re.compile(rb"(?:^|\r?\n)" + re.escape(delimiter) + rb"(--)?[ \t]{0,100}(?:\r?\n|$)")
    parts, start = list[Submission](), -1
    for match in lines.finditer(body):
        if start >= 0:
            parts.append(_part(body, start, match.start()))
        if match[1]:
            return parts
        start = match.end()
        if len(parts) >= _MOST_PARTS:
            raise UnsupportedBody(f"the form has more than {_MOST_PARTS} parts: {AS_IT_IS}")
    raise UnsupportedBody(f"the form is cut off or damaged: its last boundary is missing. {AS_IT_IS}")


def _part(body: bytes, start: int, end: int) -> Submission:
    blank = re.compile(rb"\r?\n\r?\n").search(body, start, min(end, start + _LONGEST_HEADER))
    if blank is None:
        raise UnsupportedBody(f"a part of the form has no header that can be read: {AS_IT_IS}")
    header = HeaderParser().parsestr(body[start : blank.start()].decode("utf-8", "replace"))
    if header.get_content_disposition() != "form-data":
        raise UnsupportedBody(f"a part of the form is not marked as form-data: {AS_IT_IS}")
    encoding = str(header.get("Content-Transfer-Encoding", "binary")).strip().lower()
    if encoding not in ("binary", "8bit", "7bit"):
        raise UnsupportedBody(f"the form's file is encoded for mail: {AS_IT_IS}")
    if header.get_content_maintype() == "multipart":
        raise UnsupportedBody(f"the form holds several files in one part: {AS_IT_IS}")
    name = header.get_filename()
    # Some browsers send the whole path.
    return Submission(body[blank.end() : end], None if name is None else re.split(r"[/\\]", name)[-1])
