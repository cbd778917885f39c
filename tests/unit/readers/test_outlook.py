"""Outlook messages (MSG) → parts: header, text in any of its forms, attachments."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from shared.documents.readers.compressed_rtf import unpack
from shared.documents.readers.outlook import read
from shared.documents.readers.part import Part
from shared.errors import DocumentRefused
from tests.unit.readers.compound import Tree, compound

CLASS, SUBJECT, SENDER, ADDRESS, SMTP, TO, CC = 0x001A, 0x0037, 0x0C1A, 0x0C1F, 0x5D01, 0x0E04, 0x0E03
BODY, RTF, HTML, DATE, CODE_PAGE, HTML_CODE_PAGE = 0x1000, 0x1009, 0x1013, 0x0039, 0x3FFD, 0x3FDE
DATA, NAME, SHORT_NAME, MEDIA_TYPE, CONTENT_ID, FLAGS, HIDDEN = (
    0x3701,
    0x3707,
    0x3704,
    0x370E,
    0x3712,
    0x3714,
    0x7FFE,
)
NINE = 134_380_836_000_000_000  # FILETIME
TOLD = Part("Subject: Order")
# The examples of [MS-OXRTFCP], section 4; the second repeats what it has just written.
HELLO = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
LETTERS = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


def storage(properties: Mapping[int, Any], *attachments: Mapping[int, Any], header: int = 24) -> Tree:
    """A message's storage. A property: a text (in an old encoding: a pair), bytes, a number or a storage."""
    fixed, tree = bytes(header), dict[str, bytes | Tree]()
    for identifier, value in properties.items():
        match value:
            case int():
                fixed += struct.pack("<HHIq", 0x0003, identifier, 6, value)
            case str():
                tree[f"__substg1.0_{identifier:04X}001F"] = value.encode("utf-16-le")
            case (text, encoding):
                tree[f"__substg1.0_{identifier:04X}001E"] = text.encode(encoding)
            case _:
                kind = 0x0102 if isinstance(value, bytes) else 0x000D
                tree[f"__substg1.0_{identifier:04X}{kind:04X}"] = value
    for number, attachment in enumerate(attachments):
        tree[f"__attach_version1.0_#{number:08X}"] = storage(attachment, header=8)
    return tree | {"__properties_version1.0": fixed}


def message(properties: Mapping[int, Any], *attachments: Mapping[int, Any]) -> bytes:
    """A file of one message."""
    return compound(storage({SUBJECT: "Order"} | properties, *attachments, header=32))


def inside(data: bytes, name: str) -> Iterator[Part]:
    """Stand in for the reader of files inside: a part with the name and the content."""
    yield Part(f"{name}={data.decode('utf-8-sig', 'replace')}".strip())


def parts(properties: Mapping[int, Any], *attachments: Mapping[int, Any]) -> list[Part]:
    """The parts of a message but its header."""
    header, *rest = read(message(properties, *attachments), inside)
    assert header == TOLD
    return rest


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, "Subject: Order"),
        (
            {SENDER: "Ana Ruiz", SMTP: "ana@x.org", ADDRESS: "/O=X", TO: "Bo; Cy", CC: "Di", DATE: NINE},
            "From: Ana Ruiz <ana@x.org>\nTo: Bo; Cy\nCc: Di\nDate: Mon, 02 Nov 2026 09:00:00 GMT\n"
            "Subject: Order",
        ),
        ({SENDER: "Ana", ADDRESS: "/O=X/CN=ANA", DATE: 2**62}, "From: Ana\nSubject: Order"),
        ({ADDRESS: "ana@x.org"}, "From: ana@x.org\nSubject: Order"),
        ({SUBJECT: "Größe\0"}, "Subject: Größe"),
    ],
)
def test_the_header_is_the_first_part(properties: Mapping[int, Any], expected: str) -> None:
    """It is written as in other mails; a name within Exchange says nothing to people."""
    assert [part.text for part in read(message(properties), inside)] == [expected]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({BODY: "Hello,\r\n\r\nfirst\r\nline", HTML: b"<p>html"}, ["Hello,", "first\nline"]),
        ({BODY: "long " * 5000}, [("long " * 5000).strip()]),  # in sectors of its own
        ({BODY: ("Größe", "cp1252")}, ["Größe"]),
        ({BODY: ("Привет, как дела?", "cp1251"), CODE_PAGE: 1251}, ["Привет, как дела?"]),
        ({BODY: ("納期を確認してください。", "cp932"), CODE_PAGE: 932}, ["納期を確認してください。"]),
        ({BODY: " \r\n", HTML: b"<p>html"}, ["=<!doctype html><p>html"]),
        ({HTML: "<p>Größe".encode("cp1252"), HTML_CODE_PAGE: 1252}, ["=<!doctype html><p>Größe"]),
        ({HTML: "<p>Größe"}, ["=<!doctype html><p>Größe"]),
        ({RTF: HELLO}, ["={\\rtf1\\ansi\\ansicpg1252\\pard hello world}"]),
    ],
)
def test_the_text_is_plain_or_html_or_rich(properties: Mapping[int, Any], expected: list[str]) -> None:
    """The first of these forms that holds a text."""
    assert [part.text for part in parts(properties)] == expected


def test_rich_text_is_unpacked_to_its_size_and_no_further() -> None:
    """A file of 2 kB cannot become one of 2 GB; one that is cut off is refused."""
    assert unpack(HELLO) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert unpack(LETTERS) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
    assert unpack(struct.pack("<4I", 15, 3, 0x414C454D, 0) + b"plain") == b"pla"
    assert (
        unpack(struct.pack("<4I", 0, 99, 0x75465A4C, 0) + b"\xff" + b"\0\x0f" * 8)
        == b"{\\rtf1\\ansi\\mac\\d" * 5 + b"{\\rtf1\\ansi\\ma"
    )
    for damaged in (HELLO[:40], HELLO[:10], HELLO.replace(b"LZFu", b"LZFx")):
        with pytest.raises(DocumentRefused, match="is damaged"):
            unpack(damaged)


def test_attachments_follow_in_their_order() -> None:
    """Also files that are only linked; but no picture that the text shows itself."""
    logo = {DATA: b"png", MEDIA_TYPE: "image/png"}
    assert parts(
        {HTML: b"<img src='cid:logo@1'>"},
        {DATA: b"1;2", NAME: "prices 2026.csv", SHORT_NAME: "prices~1.csv"},
        logo | {CONTENT_ID: "logo@1"},
        logo | {HIDDEN: 1},
        logo | {FLAGS: 4},
        logo | {SHORT_NAME: "plan.png"},
        {},
    )[1:] == [
        Part("prices 2026.csv=1;2", inside=("prices 2026.csv",)),
        Part("plan.png=png", inside=("plan.png",)),
        Part("attachment 3=", inside=("attachment 3",)),
    ]


def test_a_message_inside_is_read_as_one() -> None:
    """Its own attachments are inside of it. One that cannot be read says so, and costs nothing else."""
    old = storage({SUBJECT: "Old", BODY: "text"}, {DATA: b"x", NAME: "a.txt"})
    sealed = storage({CLASS: "IPM.Note.SMIME"})
    assert parts({}, {DATA: old, NAME: "Old mail"}, {DATA: sealed, NAME: "Sealed"}) == [
        Part("Subject: Old", inside=("Old mail",)),
        Part("text", inside=("Old mail",)),
        Part("a.txt=x", inside=("Old mail", "a.txt")),
        Part(
            "[The attachment Sealed was not read: the mail is encrypted, or wrapped in its signature: "
            "open it in Outlook and save its text]",
            inside=("Sealed",),
        ),
    ]


def test_messages_in_messages_end_somewhere() -> None:
    """Twenty deep is deeper than people forward mails."""
    tree = storage({BODY: "innermost"})
    for _ in range(40):
        tree = storage({}, {DATA: tree, NAME: "n"})
    (part,) = read(compound(storage({}, {DATA: tree, NAME: "n"}, header=32)), inside)
    assert "nested too deeply" in part.text and len(part.inside) == 21


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (message({CLASS: "IPM.Note.SMIME"}), "is encrypted"),
        (compound({"WordDocument": b"x"}), "no mail of Outlook"),
        (message({BODY: "long " * 5000})[:-20_000], "is damaged"),
        (b"\xd0\xcf\x11\xe0", "is damaged"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str) -> None:
    """A reader that guesses would leave out text."""
    with pytest.raises(DocumentRefused, match=reason):
        list(read(data, inside))


def test_streams_that_share_their_content_are_refused() -> None:
    """A small file could hold a thousand large attachments that are one and the same."""
    data = bytearray(message({}, {DATA: bytes(50_000)}, *[{DATA: bytes(5000)}] * 9))
    name = "__substg1.0_37010102".encode("utf-16-le")
    first, *others = (
        match.start() + 116 for match in re.finditer(name, data)
    )  # where its first sector stands
    for at in others:
        data[at : at + 8] = data[first : first + 8]
    with pytest.raises(DocumentRefused, match="is damaged"):
        list(read(bytes(data), inside))


def test_damaged_messages_are_read_or_refused() -> None:
    """Whatever the bytes are; and every part is a text."""
    whole = message(
        {SENDER: "Ana", TO: "Bo", BODY: ("Größe", "cp1252"), CODE_PAGE: 1252, DATE: NINE},
        {DATA: b"1;2", NAME: "a.csv"},
        {DATA: storage({RTF: HELLO}), NAME: "Old"},
    )
    noise = random.Random(7)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(noise.randint(1, 8)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        try:
            found = list(read(bytes(data[: noise.randint(1, 3 * len(data))]), inside))
        except DocumentRefused as refusal:
            assert str(refusal)
        else:
            assert found and all(part.text == part.text.strip() != "" for part in found)
