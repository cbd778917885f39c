"""Mails (EML) → parts: header, text, attachments; whatever their structure is worth."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.documents.readers import mailbox
from shared.documents.readers.mail import read
from shared.documents.readers.part import Part
from shared.errors import DocumentRefused

HEAD = "From: Ana <ana@example.com>\r\nSubject: Order\r\nMIME-Version: 1.0\r\n"
TOLD = "From: Ana <ana@example.com>\nSubject: Order"


def inside(data: bytes, name: str) -> Iterator[Part]:
    """Stand in for the reader of files inside: a part with the name and the content."""
    yield Part(
        f"{name}={data.decode('utf-8-sig', 'replace')}".strip(), inside=("deeper",) if name == "deep" else ()
    )


def mail(body: str, head: str = HEAD, encoding: str = "utf-8") -> list[Part]:
    """The parts of a mail with this body after the header."""
    return list(read((head + body).replace("\n", "\r\n").replace("\r\r", "\r").encode(encoding), inside))


def texts(body: str, head: str = HEAD, encoding: str = "utf-8") -> list[str]:
    """The text of each part but the header."""
    first, *rest = mail(body, head, encoding)
    assert first == Part(TOLD)
    return [part.text for part in rest]


def several(kind: str, *parts: str) -> str:
    """A body of parts."""
    line = f"={kind}={len(''.join(parts))}"
    return (
        f'Content-Type: multipart/{kind};\n boundary="{line}"\n\n'
        + "".join(f"--{line}\n{part}\n" for part in parts)
        + f"--{line}--\nafterwards"
    )


PLAIN = "Content-Type: text/plain\n\nplain"
HTML = 'Content-Type: text/html\n\n<p>html <img src="cid:logo@1">'
LOGO = "Content-Type: image/png\nContent-ID: <logo@1>\n\npng"
FILE = "Content-Type: text/csv; name=a.csv\nContent-Disposition: attachment; filename=b.csv\n\n1;2"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\n", "Subject: Größe"),
        ("Subject: =?utf-8?b?R3LDtsM=?=\n =?UTF-8?B?n2U=?= 5\n", "Subject: Größe 5"),  # cut in a character
        ("Subject: =?koi8-r?B?8NLJ18XU?= =?nonsense?b?*?=\n", "Subject: Привет*"),
        ("Subject: Größe 5 =?broken\n", "Subject: Größe 5 =?broken"),
        (
            "Received: by x\nTO: a@x.org,\n\tb@x.org\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x.org>\n"
            "Date: Mon, 2 Nov 2026 09:00:00 +0100\nCc: c@x.org\nSubject: first\nSubject: second\n",
            "From: Jürgen <j@x.org>\nTo: a@x.org, b@x.org\nCc: c@x.org\n"
            "Date: Mon, 2 Nov 2026 09:00:00 +0100\nSubject: first",
        ),
    ],
)
def test_the_header_is_the_first_part(head: str, expected: str) -> None:
    """A mail without text is its header."""
    assert mail("\n", head) == [Part(expected)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("\nHello,\n\n  first\nline\n \nBye\n", ["Hello,", "first\nline", "Bye"]),
        ("Content-Type: text/plain; charset=nonsense\n\nGröße", ["Größe"]),
        ("Content-Transfer-Encoding: quoted-printable\n\nGr=C3=B6=\n=C3=9Fe =ZZ", ["Größe =ZZ"]),
        ("Content-Transfer-Encoding: base64\n\nSGVsbG8\n*gdGhlcmU", ["Hello there"]),
        ("Content-Transfer-Encoding: base64\n\nPlain words.", ["Plain words."]),
        (HTML, ['=<!doctype html><p>html <img src="cid:logo@1">']),
        (several("alternative", PLAIN, HTML), ["plain"]),
        (several("alternative", "\n  \n", several("related", HTML, LOGO)), [f"=<!doctype html>{HTML[25:]}"]),
        (several("signed", PLAIN, "Content-Type: application/pgp-signature\n\nx"), ["plain"]),
        (several("mixed", PLAIN, FILE, "\nfooter"), ["plain", "footer", "b.csv=1;2"]),
        (several("alternative", PLAIN, several("mixed", HTML, FILE, LOGO)), ["plain", "b.csv=1;2"]),
        (several("mixed", PLAIN, LOGO), ["plain", "attachment 1=png"]),  # no text shows the picture
        (
            several("mixed", PLAIN, "Content-Type: message/rfc822\n\nSubject: Old\n\nText"),
            ["plain", "Old=Subject: Old\r\n\r\nText"],
        ),
        ("Content-Type: multipart/mixed\n\n--x\nContent-Type: text/plain\n\na\n--x\n\nb", ["a", "b"]),
        ("Content-Type: multipart/mixed; boundary=y\n\nno part", ["no part"]),
        (several("mixed", PLAIN, FILE)[:-26], ["plain", "b.csv=1;2"]),  # cut off
        ("not a field\n\ntext", ["not a field", "text"]),
    ],
)
def test_the_text_is_followed_by_the_attachments(body: str, expected: list[str]) -> None:
    """Plain text before HTML. Damaged encodings and structures cost no text."""
    assert texts(body) == expected


@pytest.mark.parametrize("says_as_much", [True, False])
def test_plain_text_that_only_points_to_the_html_is_not_chosen(says_as_much: bool) -> None:
    """People see the HTML."""
    page = f"Content-Type: text/html\n\n<p>{'The order is cancelled. ' * 30}"
    plain = "The order is cancelled. " * 20 if says_as_much else "Your program does not show this mail."
    found = texts(several("alternative", f"Content-Type: text/plain\n\n{plain}", page))
    assert ("<p>" in found[0]) is not says_as_much
    assert len(found) == 1


def test_a_text_in_an_old_encoding_is_read_by_its_name_or_its_content() -> None:
    """Mail programs of old wrote none, or that of another computer."""
    for named in ("; charset=windows-1252", "; charset=us-ascii", "; charset=utf-8", ""):
        body = f"Content-Type: text/plain{named}\n\nSchöne Grüße aus München, 50 € für Sie"
        assert texts(body, encoding="cp1252") == ["Schöne Grüße aus München, 50 € für Sie"], named


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ("Content-Disposition: attachment; filename*=utf-8''%C3%9Cber.pdf", "Über.pdf"),
        ("Content-Disposition: attachment; filename*0=long; filename*1=name.pdf", "longname.pdf"),
        ("Content-Disposition: attachment; filename*=a; filename*0=b", "x.bin"),  # it contradicts itself
        ('Content-Disposition: attachment; filename="=?utf-8?q?=C3=9Cber?=.pdf"', "Über.pdf"),
        ("Content-Disposition: inline", "x.bin"),
    ],
)
def test_an_attachment_is_read_under_its_name(fields: str, name: str) -> None:
    """Its parts are inside of it, and what is inside of it in turn stays there."""
    part = f"Content-Type: application/octet-stream; name=x.bin\n{fields}\n\ndata"
    assert mail(several("mixed", part))[1] == Part(f"{name}=data", inside=(name,))
    deep = "Content-Type: application/zip; name=deep\n\ndata"
    assert mail(several("mixed", deep))[1] == Part("deep=data", inside=("deep", "deeper"))


def test_each_mail_of_a_mailbox_is_read() -> None:
    """In its order, as attachments are; lines that only look like a beginning are text."""
    begin = "From ana@example.com Mon Nov  2 09:00:00 2026\n"
    sealed = "Subject: Sealed\nContent-Type: application/pkcs7-mime\n\nxyz\n"
    texted = "\nFrom 09:00 on\n\nFrom 10:00 to 11:00\nwe meet\n\n>From here\n>>From there\n"
    box = f"{begin}{HEAD}{texted}\n{begin}{sealed}\n{begin}Date: today\n{several('mixed', PLAIN, FILE)}\n"
    order, last = ("mail 1: Order",), ("mail 3",)
    reason = (
        "the mail is encrypted, or wrapped in its signature: open it in its mail program and save its text"
    )
    expected = [
        *(Part(text, inside=order) for text in (TOLD, "From 09:00 on", "From 10:00 to 11:00\nwe meet")),
        Part("From here\n>From there", inside=order),
        Part(f"[It was not read: {reason}]", inside=("mail 2: Sealed",)),
        *(Part("Date: today", inside=last), Part("plain", inside=last)),
        Part("b.csv=1;2", inside=(*last, "b.csv")),
    ]
    for text in (box, box.replace("\n", "\r\n")):
        found = list(mailbox.read(text.encode(), inside))
        assert [replace(part, text=part.text.replace("\r", "")) for part in found] == expected
    with pytest.raises(DocumentRefused, match="encrypted"):
        list(mailbox.read((f"{begin}{sealed}\n" * 2).encode(), inside))
    single = f"{HEAD}Content-Type: text/plain\n\nForwarded:\n\n{begin}{HEAD}\n\n{begin}{HEAD}"
    assert list(mailbox.read(single.encode(), inside)) == list(read(single.encode(), inside))


@pytest.mark.parametrize(
    "body",
    [
        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nxyz",
        several("encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1", PLAIN),
        "\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----",
        several("mixed", PLAIN, "Content-Type: application/x-pkcs7-mime\n\nxyz"),
    ],
)
def test_encrypted_mails_are_refused(body: str) -> None:
    """Their owner can read them, and knows where."""
    with pytest.raises(DocumentRefused, match=r"is encrypted.*save its text"):
        mail(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(50_000)),
            "too deeply",
        ),
        (several("mixed", *["\n"] * 1001), "more than 1,000 parts"),
    ],
)
def test_bombs_are_refused_at_once(body: str, reason: str) -> None:
    """The standard library's parser raises RecursionError for the first, after minutes for a larger one."""
    with pytest.raises(DocumentRefused, match=reason):
        mail(body)


def test_damaged_mails_are_read_or_refused() -> None:
    """Whatever the bytes are; and every part is a text."""
    encoded = base64.b64encode("Größe".encode()).decode()
    body = several(
        "mixed",
        several("alternative", PLAIN, HTML),
        f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{encoded}",
        "Content-Transfer-Encoding: x-uuencode\nContent-Type: a/b; name*=utf-8''a\n\nbegin 6 a\nend",
        FILE,
    )
    noise = random.Random(6)
    for _ in range(300):
        data = bytearray((HEAD + "To: =?utf-8?q?=C3=9C?= <a@b>\n" + body).encode())
        for _ in range(noise.randint(1, 8)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        try:
            parts = list(read(bytes(data[: noise.randint(1, len(data))]), inside))
        except DocumentRefused as refusal:
            assert str(refusal)
        else:
            assert parts and all(part.text == part.text.strip() != "" for part in parts)
