"""Extract the document from the body of a submission: HTTP clients wrap files in forms by default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

from shared.doors.forms import DamagedForm, content_type_of, parts_of
from shared.errors import LamplighterError

AS_IT_IS = "send the file as it is: curl --data-binary @letter.txt -H 'Content-Type: text/plain'"
LARGEST_WRAPPING = 64 * 1024
"""Bytes that a form may add to its file."""
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
    header = content_type_of(content_type)
    kind = header.get_content_type()
    if kind == "multipart/form-data":
        return _only_file(body, header)
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


def _only_file(body: bytes, content_type: Message) -> Submission:
    try:
        files = [part for part in parts_of(body, content_type) if part.file_name is not None]
    except DamagedForm as error:
        raise UnsupportedBody(f"{error}: {AS_IT_IS}") from None
    if len(files) != 1:
        found = f"{len(files)} files" if files else "no file"
        raise UnsupportedBody(f"the form holds {found}, and a submission is one: {AS_IT_IS}")
    return Submission(bytes(files[0].data), files[0].file_name)
