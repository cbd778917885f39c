"""Refuse text that another program damaged before the upload: a model's answer to it would be worthless."""

from __future__ import annotations

import functools
import re

from shared.errors import DocumentRefused

_FEW = 3
_TRACE = 1000
"""Refused: more than a few damaged characters, and more than one in this many."""
_MUCH = 10
"""Refused: one damaged character in fewer than this many, however short the text is."""
_MISREAD_TRACE = 500
"""Refused: more than a few misread characters, more than one in this many, and more than all others."""
_LOOKED_AT = 256 * 1024  # characters that are searched for signs of misreading
# U+FFFD, and its bytes misread as Windows-1252 or as GBK.
_REPLACED = ("\ufffd", "ï¿½", "锟斤拷")
_CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)))
for _allowed in "\t\n\v\f\r\x1a\x1b\x85":  # line and page ends, the end mark of DOS, the colours of logs
    del _CONTROLS[ord(_allowed)]
_MISREAD_AS = ("cp1252", "cp1251", "cp437", "cp850", "mac_roman")


def refuse_damaged(text: str) -> None:
    """Raise DocumentRefused if more than a trace of the text is damaged."""
    trace = min(max(_FEW, len(text) // _TRACE), len(text) // _MUCH)
    if (replaced := sum(map(text.count, _REPLACED))) > trace:
        raise DocumentRefused(
            f"{replaced:,} of its characters were lost when a program saved it (each is a \ufffd now): "
            "save the original again as UTF-8"
        )
    if not text.isascii() and _is_misread(text[:_LOOKED_AT]):
        raise DocumentRefused(
            "a program read this UTF-8 file in another encoding and saved it so (as Ã¤ for ä): "
            "save the original again as UTF-8"
        )
    if (controls := sum(text.count(chr(control)) for control in _CONTROLS)) > trace:
        raise DocumentRefused(
            f"the file holds {controls:,} control characters, as binary files and damaged texts do: "
            "save it again as plain text in UTF-8"
        )


def _is_misread(start: str) -> bool:
    beyond_ascii = len(start) - len(start.encode("ascii", "ignore"))
    for encoding in _MISREAD_AS:
        found = [match.end() - match.start() for match in _misread(encoding).finditer(start)]
        others = beyond_ascii - sum(found)
        trace = min(max(_FEW - 1, len(start) // _MISREAD_TRACE), len(start) // _MUCH)
        if len(found) > max(trace, others):
            return True
    return False


@functools.cache
def _misread(encoding: str) -> re.Pattern[str]:
    """Return a pattern for a character's UTF-8 bytes of which every byte was read as one character."""
    signs = [bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in range(0x80, 0x100)]
    following = re.escape("".join(signs[:0x40])) + "\x80-\x9f"  # as Latin-1 reads them
    first = ("".join(signs[0x42:0x60]), "".join(signs[0x60:0x70]), "".join(signs[0x70:0x75]))
    forms = (f"[{re.escape(lead)}][{following}]{{{count}}}" for count, lead in enumerate(first, start=1))
    return re.compile("|".join(forms))
