"""Read mails (EML): their header, their text and their attachments.

The standard library parses parameters and decodes contents, each by itself. Its parser of whole mails
recurses without a limit, and takes quadratic time for nested parts: the parts are found here, by position.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from email.utils import collapse_rfc2231_value
from functools import cached_property
from urllib.parse import unquote

from shared.documents.readers.charset import any_text, codec, encoded_words
from shared.documents.readers.letter import as_page, header, paragraphs
from shared.documents.readers.part import Part, ReadInside
from shared.errors import DocumentRefused

_DEPTH = 20  # parts inside of parts
_PARTS = 1000
_REMARK = 200  # characters by which HTML may be longer than twice the plain text beside it
_LONGEST_FIELD = 4000  # characters of a field with parameters that are parsed: it takes quadratic time
_FIELDS = re.compile(rb"(?:\r?\n(?:[!-9;-~]++[ \t]*+:|[ \t]++[^\s]|>?From )(?:[^\r\n]|\r(?!\n))*+)*+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(rb"\r?\n|\Z")
_ANY_BOUNDARY = re.compile(rb"\n--([^\s\"<>]{1,70})[ \t]*\r?\n(?:content-|\r?\n)", re.IGNORECASE)
_NO_BASE64 = re.compile(rb"\s*+[^\s]++[ \t]++[^\s]")  # its first line has words
_PICTURE_USED = re.compile(rb"cid:([^\s\"'<>)]{1,200})", re.IGNORECASE)
_BODIES = ("text/plain", "text/html")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")
_ARMOUR = "-----BEGIN PGP MESSAGE-----"
_SEALED = "the mail is encrypted, or wrapped in its signature: open it in its mail program and save its text"


def read(data: bytes, read_inside: ReadInside) -> Iterator[Part]:
    """Yield the header, the body, and the parts of each attachment with `inside`.

    Raises DocumentRefused for a mail that is encrypted, nested too deeply, or has too many parts.
    """
    mail = b"\n" + data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    whole = _entity(mail, 0, len(mail))
    leaves = list(_Leaves(mail, read_inside).of(whole))
    found = header(*(encoded_words(whole.text(name)) for name in ("from", "to", "cc", "date", "subject")))
    if found is None and not any(leaf.content.strip() for leaf in leaves):
        raise DocumentRefused("the file is damaged: open the mail in its mail program and save it again")
    if found is not None:
        yield found
    for leaf in leaves:
        if leaf.is_body and not leaf.is_spare:
            yield from _body(leaf, read_inside)
    yield from _attachments(leaves, read_inside)


def subject(data: bytes) -> str:
    """Return the subject of a mail, empty if it has none."""
    content = b"\n" + data
    return encoded_words(_entity(content, 0, len(content)).text("subject"))


@dataclass(frozen=True)
class _Entity:
    """A mail or a part of one: its header, and where its content stands: from a line end on."""

    fields: Mapping[str, bytes]
    mail: bytes
    start: int
    end: int
    is_spare: bool = False
    """Another form of a text that is read; it may hold attachments."""

    def text(self, name: str) -> str:
        """Return a field; its bytes beyond ASCII, which no standard allows, as far as they are known."""
        return any_text(self.fields.get(name, b""))

    @cached_property
    def parameters(self) -> Message:
        """The fields that have parameters, parsed."""
        message = Message()
        for name in ("content-type", "content-disposition"):
            if value := " ".join(self.text(name)[:_LONGEST_FIELD].split()):
                message[name] = value
        return message

    @property
    def kind(self) -> str:
        """The type of the content, such as text/plain."""
        return self.parameters.get_content_type()

    @cached_property
    def name(self) -> str:
        """The file name, empty if it has none."""
        return encoded_words(
            self.parameter("filename", "content-disposition") or self.parameter("name", "content-type")
        )

    def parameter(self, name: str, field: str) -> str:
        """Return a parameter of a field, empty if there is none."""
        try:
            value = collapse_rfc2231_value(self.parameters.get_param(name, "", field))
        except (TypeError, ValueError, LookupError):  # one in pieces that contradict each other
            return ""
        return value.encode("utf-8", "replace").decode()

    @property
    def is_body(self) -> bool:
        """Return whether it is text to read, and not a file."""
        attached = self.parameters.get_content_disposition() == "attachment"
        return (self.kind in _BODIES and not attached and not self.name) or self.kind.startswith("multipart/")

    @cached_property
    def content(self) -> bytes:
        """The decoded content; as it is if it cannot be decoded."""
        at = _LINE_END.match(self.mail, self.start, self.end)
        raw = self.mail[at.end() if at else self.start : self.end]
        encoding = self.text("content-transfer-encoding").strip()
        if encoding.lower() == "base64" and _NO_BASE64.match(raw):
            return raw
        message = Message()
        message["content-transfer-encoding"] = encoding
        message.set_payload(raw.decode("ascii", "surrogateescape"))
        try:
            decoded = message.get_payload(decode=True)
        except (ValueError, LookupError):
            return raw
        return decoded if isinstance(decoded, bytes) and decoded else raw

    @property
    def codec(self) -> str | None:
        """The encoding that it names for its text."""
        return codec(self.parameter("charset", "content-type"))


def _entity(mail: bytes, start: int, end: int) -> _Entity:
    """Parse the header of a part, which begins with the line end before it."""
    head = _FIELDS.match(mail, start, end)
    assert head is not None, "the pattern matches nothing too"
    blank = _LINE_END.match(mail, head.end(), end)
    follows = blank and _LINE_END.match(mail, blank.end(), end)
    content = blank.end() if blank and follows else head.end()
    return _Entity(_fields(head[0]), mail, content, end)


def _fields(head: bytes) -> dict[str, bytes]:
    """Return the fields by their names in small letters; of several of a name, the first."""
    fields = dict[str, bytes]()
    for line in _FOLD.sub(b" ", head).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower().decode("ascii", "replace"), value)
    return fields


class _Leaves:
    """Find the parts of a mail that hold no other parts."""

    def __init__(self, mail: bytes, read_inside: ReadInside) -> None:
        self._mail = mail
        self._read_inside = read_inside
        self._found = 0

    def of(self, entity: _Entity, depth: int = 0) -> Iterator[_Entity]:
        """Yield the parts in their order; each alternative of a text, of which one is not spare."""
        if depth > _DEPTH:
            raise DocumentRefused(
                "the mail is nested too deeply: save its text and its attachments by themselves"
            )
        if entity.kind in _ENCRYPTED:
            raise DocumentRefused(_SEALED)
        children = list(self._children(entity)) if entity.kind.startswith("multipart/") else []
        if not children:
            yield entity
        elif entity.kind == "multipart/alternative":
            yield from _one_of([list(self.of(child, depth + 1)) for child in children], self._read_inside)
        else:
            for child in children:
                yield from self.of(child, depth + 1)

    def _children(self, entity: _Entity) -> Iterator[_Entity]:
        boundary = entity.parameter("boundary", "content-type").rstrip().encode()
        line = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*+(?=\r?\n|\Z)")
        if not boundary or not line.search(self._mail, entity.start, entity.end):
            seen = _ANY_BOUNDARY.search(self._mail, entity.start, entity.end)
            if seen is None:
                return
            line = re.compile(rb"\n--" + re.escape(seen[1]) + rb"(--)?[ \t]*+(?=\r?\n|\Z)")
        start = None
        for match in line.finditer(self._mail, entity.start, entity.end):
            if start is not None:
                yield self._child(start, match.start())
            start = match.end()
            if match[1]:
                return
        if start is not None:  # the mail is cut off
            yield self._child(start, entity.end)

    def _child(self, start: int, end: int) -> _Entity:
        self._found += 1
        if self._found > _PARTS:
            raise DocumentRefused(
                f"the mail has more than {_PARTS:,} parts: save its attachments by themselves"
            )
        end -= self._mail.endswith(b"\r", start, end)
        return _entity(self._mail, start, end)


def _one_of(alternatives: list[list[_Entity]], read_inside: ReadInside) -> Iterator[_Entity]:
    """Choose plain text before HTML, if it says as much. The attachments of the others are kept."""
    best = max(alternatives, key=_rank)
    page = max(alternatives, key=lambda alternative: _rank(alternative) == 1)
    if _rank(best) == 2 and _rank(page) == 1:
        plain, shown = (_length(alternative, read_inside) for alternative in (best, page))
        if shown > _REMARK + 2 * plain:  # such as: this mail needs a program that shows HTML
            best = page
    for alternative in alternatives:
        for leaf in alternative:
            yield leaf if alternative is best else replace(leaf, is_spare=True)


def _rank(alternative: Iterable[_Entity]) -> int:
    kinds = {leaf.kind for leaf in alternative if leaf.is_body and leaf.content.strip()}
    return 2 if "text/plain" in kinds else int("text/html" in kinds)


def _length(alternative: Iterable[_Entity], read_inside: ReadInside) -> int:
    bodies = (leaf for leaf in alternative if leaf.is_body and not leaf.is_spare)
    return sum(len(part.text) for leaf in bodies for part in _body(leaf, read_inside))


def _body(leaf: _Entity, read_inside: ReadInside) -> Iterable[Part]:
    if leaf.kind == "text/html":
        return read_inside(as_page(leaf.content, leaf.codec), "")
    text = any_text(leaf.content, leaf.codec)
    if text.lstrip().startswith(_ARMOUR):
        raise DocumentRefused(_SEALED)
    return paragraphs(text)


def _attachments(leaves: list[_Entity], read_inside: ReadInside) -> Iterator[Part]:
    pictures = {
        unquote(cid.decode("ascii", "replace"))
        for leaf in leaves
        if leaf.kind == "text/html"
        for cid in _PICTURE_USED.findall(leaf.content)
    }
    attached = [leaf for leaf in leaves if _is_attached(leaf, pictures)]
    for number, leaf in enumerate(attached, 1):
        name = leaf.name or _subject(leaf) or f"attachment {number}"
        for part in read_inside(leaf.content, name):
            yield replace(part, inside=(name, *part.inside))


def _is_attached(leaf: _Entity, pictures: set[str]) -> bool:
    """Return whether it is a file for the reader: no body, no signature, no picture within the text."""
    if leaf.is_body or leaf.kind in _SIGNATURES:
        return False
    if leaf.kind.startswith("image/") and leaf.text("content-id").strip(" \t\r\n<>") in pictures:
        return False
    attached = leaf.parameters.get_content_disposition() == "attachment"
    return not leaf.is_spare or bool(leaf.name) or attached


def _subject(leaf: _Entity) -> str:
    """Return what an attached mail is called."""
    return subject(leaf.content) if leaf.kind == "message/rfc822" else ""
