"""Recognise raw mails and raw forms by their content: they wrap a document, but are not its text."""

from __future__ import annotations

import codecs
import re

_LOOKED_AT = 64 * 1024  # bytes
_FIELD = re.compile(r"[!-9;-~]{1,80}:")
_MAIL = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "return-path",
    "received",
    "delivered-to",
    "content-type",
}
_BY_A_SERVER = re.compile(  # the value of a Received field, which people write, too
    r"\s*(?:from\s+\S+\s*[(\[]|(?:from|by)\s+\S+\.\S+|by\s+\S+\s+(?:with|id)\b)", re.IGNORECASE
)
_SURELY = {"mime-version", "content-transfer-encoding", "received"}
_FORM = re.compile(
    rb"\s{0,9}--([^\r\n]{1,200})\r?\n(?:[\w-]{1,80}:[^\r\n]*\r?\n){0,9}?content-disposition:[ \t]*form-data",
    re.IGNORECASE,
)


def is_raw_mail(data: bytes) -> bool:
    """Return whether it begins with the header of a mail, and not with lines copied from one.

    Programs write a MIME-Version, a Content-Transfer-Encoding or a Received field, people do not.
    """
    names = set[str]()
    for line in data[:_LOOKED_AT].removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n").decode("latin-1").split("\n"):
        if line[:1] in (" ", "\t") and names:
            continue
        if not names and line.startswith(("From ", ">From ")):  # as each mail of a mailbox file begins
            continue
        if not _FIELD.match(line):
            break
        name, _, value = line.partition(":")
        if name.lower() != "received" or _BY_A_SERVER.match(value):
            names.add(name.lower())
    return bool(names & _SURELY) and len(names & (_MAIL | _SURELY)) >= 2


def is_raw_form(data: bytes) -> bool:
    """Return whether it is the body of a form (multipart/form-data), saved with its wrapping."""
    match = _FORM.match(data[:_LOOKED_AT])
    return match is not None and b"--" + match[1] in data[match.end() :]
