"""Read Outlook messages (MSG): their header, their text and their attachments, by Microsoft's [MS-OXMSG]."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import olefile

from shared.documents.readers.charset import any_text, codec_of_page
from shared.documents.readers.compound import CompoundFile, translated
from shared.documents.readers.compressed_rtf import unpack
from shared.documents.readers.letter import as_page, header, paragraphs
from shared.documents.readers.part import Part, ReadInside
from shared.errors import DocumentRefused

_DEPTH = 20  # messages inside of messages
_ATTACHMENTS = 1000
_PROPERTIES = "__properties_version1.0"
_SUBJECT, _DATE, _DELIVERED = 0x0037, 0x0039, 0x0E06
_SENDER, _SMTP_ADDRESS, _ADDRESS = 0x0C1A, 0x5D01, 0x0C1F
_TO, _CC = 0x0E04, 0x0E03
_CLASS, _BODY, _HTML, _RTF = 0x001A, 0x1000, 0x1013, 0x1009
_CODE_PAGE, _HTML_CODE_PAGE = 0x3FFD, 0x3FDE
_DATA, _NAMES = 0x3701, (0x3707, 0x3704, 0x3001)
_MEDIA_TYPE, _CONTENT_ID, _FLAGS, _IS_HIDDEN = 0x370E, 0x3712, 0x3714, 0x7FFE
_SHOWN_IN_TEXT = 4  # among the flags
_UNICODE, _OLD_TEXT, _BINARY, _OBJECT = 0x001F, 0x001E, 0x0102, 0x000D
_ENTRY = struct.Struct("<HH4xq")  # of the fixed properties: type, identifier, value
_OF_MESSAGE, _OF_INNER, _OF_ATTACHMENT = 32, 24, 8  # bytes before the fixed properties
_BEFORE = datetime(1601, 1, 1, tzinfo=UTC)
_DAMAGED = "the file is damaged: open it in Outlook and save it again"
_SEALED = "the mail is encrypted, or wrapped in its signature: open it in Outlook and save its text"
_TOO_DEEP = "the mail is nested too deeply: save its attachments by themselves"
_SMIME = re.compile(r"ipm\.note\.(?:smime|secure)(?!\.multipartsigned)", re.IGNORECASE)


def read(data: bytes, read_inside: ReadInside) -> Iterator[Part]:
    """Yield the header, the body, and the parts of each attachment with `inside`.

    Raises DocumentRefused for a mail that is damaged, encrypted, or has too many attachments.
    """
    file = CompoundFile(data)
    if file.root.kids_dict.get(_PROPERTIES) is None:
        raise DocumentRefused("the file is no mail of Outlook: save it as docx, xlsx, pptx or PDF")
    yield from _message(_Storage(file, file.root), read_inside, 0)


@dataclass(frozen=True)
class _Storage:
    """A message, or an attachment, with its properties."""

    file: CompoundFile
    entry: Any
    code_page: str = "cp1252"  # of its texts that are not in Unicode

    def inner(self, name: str) -> Any | None:
        """Return a stream or storage in it by its name; None if there is none."""
        return self.entry.kids_dict.get(name.lower())

    def binary(self, identifier: int, kind: int = _BINARY) -> bytes:
        """Return a property, empty if it is not there."""
        entry = self.inner(f"__substg1.0_{identifier:04X}{kind:04X}")
        is_stream = entry is not None and entry.entry_type == olefile.STGTY_STREAM
        return translated(lambda: self.file.content(entry)) if is_stream else b""

    def text(self, identifier: int) -> str:
        """Return a property that is text."""
        if wide := self.binary(identifier, _UNICODE):
            return wide.decode("utf-16-le", "replace").replace("\0", "").replace("\r\n", "\n")
        return any_text(self.binary(identifier, _OLD_TEXT).rstrip(b"\0"), self.code_page)

    def numbers(self, header_size: int) -> dict[int, int]:
        """Return the properties of fixed size, by identifier."""
        entry = self.inner(_PROPERTIES)
        data = b"" if entry is None else translated(lambda: self.file.content(entry))
        rest = data[header_size:]
        whole = rest[: len(rest) // _ENTRY.size * _ENTRY.size]
        return {identifier: value for _, identifier, value in _ENTRY.iter_unpack(whole)}


def _message(storage: _Storage, read_inside: ReadInside, depth: int) -> Iterator[Part]:
    if depth > _DEPTH:
        raise DocumentRefused(_TOO_DEEP)
    numbers = storage.numbers(_OF_INNER if depth else _OF_MESSAGE)
    page = codec_of_page(numbers[_CODE_PAGE] & 0xFFFF) if _CODE_PAGE in numbers else None
    message = replace(storage, code_page=page or storage.code_page)
    if _SMIME.match(message.text(_CLASS)):
        raise DocumentRefused(_SEALED)
    date = _date(numbers.get(_DATE) or numbers.get(_DELIVERED) or 0)
    found = header(_sender(message), message.text(_TO), message.text(_CC), date, message.text(_SUBJECT))
    if found is not None:
        yield found
    html = message.binary(_HTML) or message.text(_HTML).encode("utf-8", "replace")
    yield from _body(message, html, numbers, read_inside)
    yield from _attachments(message, html, read_inside, depth)


def _sender(message: _Storage) -> str:
    name, address = message.text(_SENDER), message.text(_SMTP_ADDRESS) or message.text(_ADDRESS)
    if not name or "@" not in address:  # without it: a name within Exchange
        return name or address
    return name if address in name else f"{name} <{address}>"


def _date(filetime: int) -> str:
    """Write a time of Windows (units of 100 ns since 1601, UTC) as other mails do."""
    if filetime <= 0:
        return ""
    try:
        return format_datetime(_BEFORE + timedelta(microseconds=filetime // 10), usegmt=True)
    except OverflowError:
        return ""


def _body(message: _Storage, html: bytes, numbers: dict[int, int], read_inside: ReadInside) -> Iterable[Part]:
    text = message.text(_BODY)
    if text.strip():
        return paragraphs(text)
    if html.strip():
        page = numbers.get(_HTML_CODE_PAGE)
        return read_inside(as_page(html, None if page is None else codec_of_page(page & 0xFFFF)), "")
    rich = message.binary(_RTF)
    return read_inside(unpack(rich), "") if rich else ()


def _attachments(message: _Storage, html: bytes, read_inside: ReadInside, depth: int) -> Iterator[Part]:
    found = [entry for entry in message.entry.kids if entry.name.lower().startswith("__attach_version1.0_")]
    if len(found) > _ATTACHMENTS:
        raise DocumentRefused(f"the mail has more than {_ATTACHMENTS:,} attachments: save them by themselves")
    attachments = (_Storage(message.file, entry, message.code_page) for entry in found)
    attached = (attachment for attachment in attachments if not _is_in_text(attachment, html))
    for number, attachment in enumerate(attached, 1):
        name = _name(attachment) or f"attachment {number}"
        for part in _attached(attachment, name, read_inside, depth):
            yield replace(part, inside=(name, *part.inside))


def _name(attachment: _Storage) -> str:
    return next((name for name in (" ".join(attachment.text(key).split()) for key in _NAMES) if name), "")


def _is_in_text(attachment: _Storage, html: bytes) -> bool:
    """Return whether it is a picture that the text shows, such as a signature's."""
    if not attachment.text(_MEDIA_TYPE).lower().startswith("image/"):
        return False
    identifier, numbers = attachment.text(_CONTENT_ID).strip("<> "), attachment.numbers(_OF_ATTACHMENT)
    if identifier and f"cid:{identifier}".encode() in html:
        return True
    return bool(numbers.get(_FLAGS, 0) & _SHOWN_IN_TEXT or numbers.get(_IS_HIDDEN, 0) & 1)


def _attached(attachment: _Storage, name: str, read_inside: ReadInside, depth: int) -> Iterator[Part]:
    inner = attachment.inner(f"__substg1.0_{_DATA:04X}{_OBJECT:04X}")
    message = inner and _Storage(attachment.file, inner, attachment.code_page)
    if message is None or message.inner(_PROPERTIES) is None:  # not there: a linked file, or an object
        yield from read_inside(attachment.binary(_DATA), name)
        return
    try:
        yield from _message(message, read_inside, depth + 1)
    except DocumentRefused as refusal:
        yield Part(f"[The attachment {name} was not read: {refusal}]")
