"""Decode a file of text piece by piece. Damaged bytes spoil the rows that have them, and no others."""

from __future__ import annotations

import codecs

from shared.documents.read import is_mostly_utf8, marked_encoding

DAMAGED = "\udcff"
"""Stands for damaged bytes. It is half a surrogate pair, which no decoded text has."""
UNREADABLE = "its bytes are not text of the file's encoding: save the file again as UTF-8"
_HANDLER = "lamplighter-damaged"


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return DAMAGED, error.end


codecs.register_error(_HANDLER, _mark)


class Decoder:
    """UTF-8, UTF-16 or UTF-32 with a byte order mark, or an older encoding that the content identifies.

    A file is ASCII until its first other byte; the piece with that byte decides.
    """

    def __init__(self, head: bytes) -> None:
        mark = marked_encoding(head)
        self._decoder = _decoder(mark) if mark else None

    def text(self, data: bytes, final: bool = False) -> str:
        """Return the text of the next piece; a character that the piece cuts comes with the next one."""
        if self._decoder is None:
            if data.isascii():
                return data.decode("ascii")
            self._decoder = _decoder(_encoding(data))
        return self._decoder.decode(data, final)


def start_of(head: bytes) -> str:
    """Return the text of a file's first bytes, without a character that is cut."""
    return Decoder(head).text(head)


def _decoder(name: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(name)(_HANDLER)


def _encoding(data: bytes) -> str:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
        return "utf-8"
    except UnicodeDecodeError as error:
        if is_mostly_utf8(data, error.start):
            return "utf-8"
    from shared.documents.encodings import old_encoding  # imported where it is used: most files are UTF-8

    return old_encoding(data) or "utf-8"
