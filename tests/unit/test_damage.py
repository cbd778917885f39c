"""Texts that a program damaged or wrapped are refused with the reason; prose about such texts is read."""

from __future__ import annotations

import pytest

from shared.documents.read import read_text
from shared.documents.readers.formats import Format, format_of
from tests.unit.test_read import refusal

LETTER = "Für die Prüfung der fünf Verträge benötigen wir größere Mengen Öl, schöne Grüße.\n" * 20
ENGLISH = "The parties agree that the goods are delivered in March, and paid within thirty days.\n" * 40
MAIL = (
    "From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: The contract\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="b1"\r\n\r\n'
    "--b1\r\nContent-Type: text/plain\r\n\r\nDear Bob\r\n--b1--\r\n"
)
FORM = (
    '--WebKitBoundary7MA\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    "Content-Type: text/plain\r\n\r\nDear Bob\r\n--WebKitBoundary7MA--\r\n"
)


@pytest.mark.parametrize("lost", ["\ufffd", "ï¿½", "锟斤拷"])
def test_a_text_whose_letters_were_lost_is_refused(lost: str) -> None:
    """As U+FFFD, and as what a second wrong reading makes of it. A few are what a text may discuss."""
    assert "were lost when a program saved it" in refusal(LETTER.replace("ü", lost).encode())
    assert read_text((LETTER + f"Damaged files show {lost}, {lost} and {lost}.").encode())


@pytest.mark.parametrize(
    "text", ["\ufffd", "Gr\ufffd\ufffde, J\ufffdrg", "GrÃ¼ÃŸe", "Ã¼ber", "Gr\x01\x02\x03e"]
)
def test_a_short_text_that_is_mostly_damaged_is_refused(text: str) -> None:
    """Where a few damaged characters are no trace, but a large part of it."""
    assert "save" in refusal(text.encode())


@pytest.mark.parametrize("misread_as", ["cp1252", "latin-1", "cp1251", "cp437", "cp850", "mac_roman"])
@pytest.mark.parametrize("text", [LETTER, LETTER[:81], "Договор заключён на срок до мая, счёт приложен.\n"])
def test_utf_8_that_was_read_in_another_encoding_is_refused(text: str, misread_as: str) -> None:
    """In a line and in a letter."""
    misread = text.encode().decode(misread_as, "ignore")
    assert "a program read this UTF-8 file in another encoding" in refusal(misread.encode())


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH + "Mojibake such as Ã¤ for ä, Ã¶ for ö, Ã¼ for ü or â€™ for ’ shows a wrong encoding.",
        ENGLISH + "The table reads: Ã¤, Ã¶, Ã¼, ÃŸ.",
        "„Viel Spaß“ wünscht „HALLÖ“ – „der Imbiß“; à la «CAFÉ»: là »\n" * 3,
        "Він каже: Ві, Єї, Її, Ді – і це все.\n" * 30,
        "Ãgua, AÇÃO, ÀS VEZES, SÃO PAULO, É «CAFÉ» – NÃO É ‘À’\n" * 10,
        LETTER,
        ENGLISH + "\x1b[31mred\x1b[0m",
    ],
)
def test_a_text_about_wrong_encodings_is_read(text: str) -> None:
    """And one whose own letters happen to look like it."""
    assert read_text(text.encode()) == text


def test_a_text_of_many_control_characters_is_refused() -> None:
    """Those of old printers, and those that Windows-1252 becomes when it is read as Latin-1."""
    assert "control characters" in refusal(b"name\x01value\x02" * 50)
    misread = ("“quoted” – it’s\n" * 50).encode("cp1252").decode("latin-1")
    assert "control characters" in refusal(misread.encode())
    assert read_text((ENGLISH + "\x07\x08").encode())


@pytest.mark.parametrize(
    "mail",
    [
        MAIL,
        "\ufeff" + MAIL,
        MAIL.replace("\r\n", "\n"),
        "From ann@example.com Mon Mar  3 10:00:00 2025\n" + MAIL,
        "Return-Path: <a@b>\nReceived: from x (y [1.2.3.4])\n\tby z; Mon, 3 Mar 2025\nSubject: Hi\n\nText\n",
    ],
)
def test_a_raw_mail_is_recognised(mail: str) -> None:
    """Whatever the file is called."""
    assert format_of(mail.encode()) is Format.MAIL


@pytest.mark.parametrize(
    "text",
    [
        "From: Ann\nTo: Bob\nDate: 3 March\nSubject: The contract\n\nDear Bob\n",
        "From: Ann\nSubject: How mail works\n\nA mail has MIME-Version: 1.0 and\nReceived: lines\n",
        "Received: 3 March\n\nDear Bob, it has come.\n",
        "Received: 12 March 2024\nFrom: Ann\nDate: today\nFile: 77-A\n\nDear Bob\n",
        "Received: 500 packets\nDate: today\nLost: 3\n",
        "Dear Bob,\n\n" + MAIL,
        "-- \nAnn\nContent-Disposition: form-data\n",
    ],
)
def test_prose_that_looks_like_a_mail_is_read(text: str) -> None:
    """People copy a mail's first lines, and write about mail."""
    assert format_of(text.encode()) is None
    assert read_text(text.encode()) == text


def test_the_body_of_a_form_is_refused() -> None:
    """As a script saves it that posts a form to a folder."""
    assert "send the document by itself" in refusal(FORM.encode())
    assert "send the document by itself" in refusal(FORM.encode() + b"\xff\x00")


# --- text in ASCII that means other characters -------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "let a = b+c; i++; x = '+ADw-'; y = a+b-c;\n",
        "UTF-7 writes a smaller sign as +ADw- and so on.\n",
        "Call +49 30 123456, or +1-800-555-0100.\n",
        "a+bcd-e a+abcd- 1+1=2\n",
        "q=one+two+three+fourteen-five\n",
        "\\def\\a{x~{\\o}~} % ~{ab~} and ~{\n",
        "ruby -e 'puts \"~{abcd~}\"'\n",
        "\x1b[1mbold\x1b[0m \x1b(B\x1b[m done\n",
        "cost \x1b$5 and \x1b$A\n",
    ],
)
def test_source_code_and_logs_are_read_as_they_are(text: str) -> None:
    """Their signs do not keep the rules of an encoding, or say nothing in it."""
    assert read_text(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("契約は期間を定めずに締結されました。".encode("iso2022_jp")[:-5] + b"\x1b$", "ISO-2022-JP"),
        (b"\x1b$)A\x0e" + bytes(b & 0x7F for b in "合同条款".encode("gb2312")) + b"\x0f\n", "ISO-2022-CN"),
        ("请检查合同的条款。".encode("hz") + b"~x\n", "HZ"),
        ("Für die Prüfung der größeren Mengen\n".encode("utf-7") + b"+A\n", "UTF-7"),
    ],
)
def test_what_is_damaged_in_such_an_encoding_is_refused(data: bytes, name: str) -> None:
    """Its escape codes would be asked about as text."""
    assert f"the file is {name}" in refusal(data)
    assert "save it again as UTF-8" in refusal(data)
