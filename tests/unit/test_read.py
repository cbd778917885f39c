"""Files → text: encodings, what is no text, and the reason that its owner reads."""

from __future__ import annotations

import codecs
import random
import sys
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import encodings
from shared.documents.likelihood import likelihood
from shared.documents.read import read_text
from shared.errors import DocumentRefused

GERMAN = "Name;Straße;Größe\nMüller;Königsallee 5;groß\nJäger;Bäckerweg 7;übergroß\n"
RUSSIAN = "Имя;Улица;Размер\nИванов;Ленинский проспект 5;большой\nПетров;Невский проспект 7;средний\n"
JAPANESE = "これは長い日本語の文書です。契約書の条項を確認してください。\n"
CHINESE = "这是一份很长的中文文件。请检查合同的条款。\n"


def refusal(data: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(DocumentRefused) as raised:
        read_text(data)
    return str(raised.value)


# --- text --------------------------------------------------------------------------------------------


LINES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")) | st.sampled_from("\t\r\n\f"))
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize(
    "text", [GERMAN, RUSSIAN, JAPANESE, "plain", "emoji 📄", '{"a": "ä"}', "a\r\nb\tc\f"]
)
def test_unicode_is_read_as_it_is(text: str) -> None:
    """UTF-8, also without a byte order mark; UTF-16, which Windows calls Unicode, and UTF-32 with theirs."""
    assert read_text(text.encode()) == text
    for encoding, mark in MARKS.items():
        assert read_text(mark + text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", [*MARKS, "cp1252", "cp932", "gb18030"])
def test_a_large_text_is_read_in_stretches(encoding: str) -> None:
    """Characters on their borders stay whole; at its peak the text is in memory no more than twice."""
    line = {"cp1252": GERMAN, "cp932": JAPANESE, "gb18030": CHINESE}.get(encoding, RUSSIAN)
    text = line * (6_000_000 // len(line.encode(encoding)) + 1)
    data = MARKS.get(encoding, b"") + text.encode(encoding)
    assert read_text(MARKS.get(encoding, b"") + (line * 100).encode(encoding))  # what is kept for later files
    tracemalloc.start()
    try:
        assert read_text(data) == text
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * sys.getsizeof(text), peak / sys.getsizeof(text)


@given(LINES, st.sampled_from([*MARKS]))
def test_a_text_that_says_its_encoding_is_never_garbled(text: str, encoding: str) -> None:
    """It is read to the last line end, or refused."""
    try:
        found = read_text(MARKS[encoding] + text.encode(encoding))
    except DocumentRefused:
        return
    assert found == text


@given(st.binary(max_size=400) | st.text().map(str.encode))
def test_whatever_a_file_holds_it_is_text_or_refused(data: bytes) -> None:
    """Never another error; and what is read is a text."""
    try:
        text = read_text(data)
    except DocumentRefused as refused:
        assert str(refused)
    else:
        assert text.strip() and "\0" not in text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Müller;5\n", "cp1252"),
        ("Café", "cp1252"),
        ("señor", "cp1252"),
        ("São Paulo; ações", "cp1252"),
        ("naïve façade", "cp1252"),
        ("“quotes” – it’s 100 € for each of the documents", "cp1252"),
        ("Le présent contrat est conclu entre les parties; le prix est payé à l'échéance.", "cp1252"),
        ("Привет", "cp1251"),
        ("item;price;name\n1;2;Иванов\n3;4;Петров\n", "cp1251"),
    ],
)
@pytest.mark.parametrize("times", [1, 40])
def test_an_old_encoding_is_detected_from_what_the_file_holds(text: str, encoding: str, times: int) -> None:
    """Office on Windows still writes CSV so; a wrong guess would ask the model about garbled names."""
    lines = "\n".join([text] * times)
    assert read_text(lines.encode(encoding)) == lines


def test_an_old_encoding_is_detected_even_if_it_shows_late() -> None:
    """The sample is taken from where the file stops being ASCII."""
    text = "plain text here\n" * 20_000 + RUSSIAN * 100
    assert read_text(text.encode("cp1251")) == text


@pytest.mark.parametrize(
    ("line", "encoding"), [(JAPANESE, "cp932"), (CHINESE, "gb18030"), (RUSSIAN, "koi8_r")]
)
@pytest.mark.parametrize("times", [1100, 1500, 4000, 9000])
def test_no_character_is_cut_by_the_sample(line: str, encoding: str, times: int) -> None:
    """However long the file is: half a character at the sample's end would make it another encoding's."""
    assert read_text((line * times).encode(encoding)) == line * times


def test_utf_8_that_is_damaged_late_is_detected_from_what_stands_before() -> None:
    """What follows the damage may be long and of another encoding: two files in one, not an old one."""
    intact = GERMAN.encode() * 20_000
    assert "the file is UTF-8, damaged at byte" in refusal(intact + GERMAN.encode("cp1252") * 20_000)


def test_no_more_is_weighed_of_a_larger_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The language is detected from a sample: five megabytes cost no more than a tenth of them."""
    weighed = 0

    def counted(pieces: Sequence[str], languages: Sequence[str]) -> float:
        nonlocal weighed
        weighed += sum(map(len, pieces))
        return likelihood(pieces, languages)

    monkeypatch.setattr(encodings, "likelihood", counted)
    found = []
    for times in (7_000, 70_000):
        text, weighed = GERMAN * times, 0
        assert read_text(text.encode("cp1252")) == text
        found.append(weighed)
    assert found[0] == found[1] > 0


# --- no text -----------------------------------------------------------------------------------------


def test_an_empty_file_is_refused() -> None:
    """Nothing was uploaded, or its upload failed."""
    assert refusal(b"") == "the file is empty"


@pytest.mark.parametrize(
    "data", [b" ", b"\n\r\n\t", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, " \u3000".encode()]
)
def test_white_space_is_no_document(data: bytes) -> None:
    """Nor is a byte order mark alone."""
    assert refusal(data) == "the file holds nothing but white space"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "a picture: run text recognition (OCR) on it, and upload its text"),
        (b"\xff\xd8\xff\xe0", "a picture: run text recognition (OCR) on it, and upload its text"),
        (b"GIF89a", "a picture: run text recognition (OCR) on it, and upload its text"),
        (b"\x1f\x8b\x08", "compressed: unpack it"),
    ],
)
def test_well_known_kinds_of_file_are_named(data: bytes, reason: str) -> None:
    """The owner of a picture reads that it is one, and what to do."""
    assert refusal(data) == f"the file is {reason}"


@pytest.mark.parametrize(
    "data",
    [
        b"text with a \0 in it",
        GERMAN.encode("cp1252") + b"\0",
        codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"),
        b"\x7fELF\x02\x01\x01" + bytes(64),
        b"\x01\x02\x03\xff\xfe\xfd" * 20,
    ],
)
def test_binary_files_are_refused(data: bytes) -> None:
    """No text holds NUL, and none in an old encoding other control characters."""
    assert refusal(data).startswith("the file is binary, not plain text")


def test_random_bytes_are_refused() -> None:
    """Of a thousand files of noise not one is taken for text."""
    noise = random.Random(4)
    for _ in range(1000):
        assert refusal(noise.randbytes(noise.choice([100, 300, 2000])))


@pytest.mark.parametrize(
    ("intact", "damage", "rest"),
    [
        (GERMAN.encode(), "ü".encode()[:1], b""),  # cut off
        (RUSSIAN.encode(), "Имя".encode()[:1], b""),
        (JAPANESE.encode(), "文".encode()[:2], b""),
        (GERMAN.encode(), b"\xff", GERMAN.encode()),
        (GERMAN.encode(), "ü".encode("cp1252"), GERMAN.encode()),  # two encodings in one file
        (b"plain\n" * 20_000 + GERMAN.encode(), b"\xff", b""),
        (RUSSIAN.encode() * 20_000, b"\xff", b""),  # megabytes from the start
        (GERMAN.encode("utf-16"), b"x", b""),
        ("Größe".encode("utf-16"), b"\x00\xd8", "b".encode("utf-16-le")),  # half a surrogate pair
    ],
)
def test_damaged_unicode_is_refused_with_the_place(intact: bytes, damage: bytes, rest: bytes) -> None:
    """Cut off or mixed up, it is not guessed to be something else, which would garble every umlaut."""
    assert read_text(intact)
    name = "UTF-16" if intact.startswith(codecs.BOM_UTF16_LE) else "UTF-8"
    assert refusal(intact + damage + rest) == (
        f"the file is {name}, damaged at byte {len(intact):,}: save it again as UTF-8"
    )


def test_utf_32_without_a_mark_is_refused_where_it_is_damaged() -> None:
    """All its bytes are ASCII, and four of them name no character."""
    assert refusal("Please confirm the date. ".encode("utf-32-le") * 500 + b"AAAA").startswith(
        "the file is UTF-32-LE, damaged at"
    )


def test_what_may_be_several_encodings_is_refused() -> None:
    """A name whose one byte is `å` on Windows, and `ĺ` in Prague: nothing decides."""
    data = "Lĺr;10\n".encode("cp1250") * 20
    assert refusal(data) == "the file's encoding cannot be determined: save it again as UTF-8"


def test_an_encoding_that_changes_half_way_is_refused() -> None:
    """What follows the sample does not decode as the sample did."""
    data = GERMAN.encode("cp1252") * 3000 + b"\x81\x8d\x8f\n"
    assert refusal(data) == "the file's encoding cannot be determined: save it again as UTF-8"
