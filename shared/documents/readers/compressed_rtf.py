"""Unpack the rich text of Outlook messages, by Microsoft's [MS-OXRTFCP]."""

from __future__ import annotations

import struct

from shared.errors import DocumentRefused

_HEADER = struct.Struct("<IIII")
_PACKED, _PLAIN = 0x75465A4C, 0x414C454D
_WINDOW = 4096
# What the window holds at first, so that short texts are packed well.
_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def unpack(data: bytes) -> bytes:
    """Return the rich text, never more than its declared size. Raises DocumentRefused for damaged data."""
    if len(data) < _HEADER.size:
        raise _damaged()
    _, size, kind, _ = _HEADER.unpack_from(data)
    packed = data[_HEADER.size :]
    if kind == _PLAIN:
        return packed[:size]
    if kind != _PACKED:
        raise _damaged()
    return bytes(_unpacked(packed, size))


def _unpacked(packed: bytes, size: int) -> bytearray:
    """Follow the packed steps: each is a byte, or a place in the window and a length."""
    text, at = bytearray(_START), 0
    end = len(_START) + size
    while at < len(packed) and len(text) < end:
        kinds, at = packed[at], at + 1
        for bit in range(8):
            if not kinds >> bit & 1:
                text += packed[at : at + 1]
                at += 1
                continue
            place, length = divmod(int.from_bytes(packed[at : at + 2], "big"), 16)
            at += 2
            if place == len(text) % _WINDOW or at > len(packed):  # the first is the end mark
                end = min(end, len(text))
                break
            _copy(text, place, length + 2)
    if at > len(packed) and len(text) < len(_START) + size:
        raise _damaged()
    return text[len(_START) : end]


def _copy(text: bytearray, place: int, length: int) -> None:
    """Append what the window holds at a place. It holds the last 4,096 bytes."""
    back = (len(text) - place) % _WINDOW or _WINDOW
    for _ in range(length):
        text.append(text[-back] if back <= len(text) else 0x20)


def _damaged() -> DocumentRefused:
    return DocumentRefused("the mail is damaged: open it in Outlook and save it again")
