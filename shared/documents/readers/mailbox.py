"""Read mailbox files (mbox, RFC 4155): mails one after the other. A single mail may be kept so, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from shared.documents.readers import mail
from shared.documents.readers.part import Part, ReadInside
from shared.errors import DocumentRefused

_BEGIN = re.compile(  # after an empty line, and before a field: people write lines like it
    rb"(?:\A\s*|(?<=\n\n)|(?<=\r\n\r\n))From [^\r\n]{0,200}\d\d:\d\d[^\r\n]{0,60}\r?\n(?=[!-9;-~]{1,80}:)"
)
_QUOTED = re.compile(rb"^>(?=>*From )", re.MULTILINE)  # a line of a mail that might look like a beginning


def read(data: bytes, read_inside: ReadInside) -> Iterator[Part]:
    """Yield the parts of a mail; of a mailbox with several, those of each with `inside`.

    Raises DocumentRefused if no mail can be read; for others that cannot, a part says so.
    """
    starts = [found.start() for found in _BEGIN.finditer(data)]
    if len(starts) < 2 or data[: starts[0]].strip():
        yield from mail.read(data, read_inside)
        return
    readable = False
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True), 1):
        content = _QUOTED.sub(b"", data[start:end].lstrip().partition(b"\n")[2])
        name = f"mail {number}: {mail.subject(content)}".rstrip(": ")
        try:
            for part in mail.read(content, read_inside):
                yield replace(part, inside=(name, *part.inside))
            readable = True
        except DocumentRefused as refusal:
            if number == len(starts) and not readable:
                raise
            yield Part(f"[It was not read: {refusal}]", inside=(name,))
