"""ZIP archives of documents: what is in them, under which names, and what is refused of hostile ones."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest

from shared.documents.readers import archive
from shared.documents.readers.archive import opened
from shared.errors import DocumentRefused

MB = 1_000_000
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def zipped(*members: tuple[str | zipfile.ZipInfo, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive; of one name it may have several files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        for name, content in members:
            file.writestr(name, content, method)
    return data.getvalue()


def patched(data: bytes, **fields: int) -> bytes:
    """Return an archive with other values in the headers of all its entries."""
    places = {
        "flags": (6, 8, "<H"),
        "crc": (14, 16, "<L"),
        "size": (22, 24, "<L"),
        "offset": (None, 42, "<L"),
    }
    changed = bytearray(data)
    for name, value in fields.items():
        *offsets, form = places[name]
        for mark, offset in zip((LOCAL, CENTRAL), offsets, strict=True):
            at = changed.find(mark)
            while at >= 0:
                if offset is not None:
                    struct.pack_into(form, changed, at + offset, value)
                at = changed.find(mark, at + 1)
    return bytes(changed)


def link(name: str) -> zipfile.ZipInfo:
    """Return the entry of a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def peak(work: Callable[[], object]) -> int:
    """Return the bytes that the work has in memory at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def paths(data: bytes) -> list[str]:
    found = opened(data)
    assert found is not None
    return [file.path for file in found.files]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("2026/a.txt", "2026/a.txt"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a.txt", "a.txt"),
        ("..\\a\\b.txt", "a/b.txt"),
        ("C:\\docs\\a.txt", "C_/docs/a.txt"),
        ("a\x1b[2J\u202eb\n.txt", "a_[2J_b_.txt"),
        (" a. / b.txt. ", "a/b.txt"),
        ("Größe/契約.txt", "Größe/契約.txt"),
        ("..", "unnamed"),
        (f"{'x/' * 5000}a.txt", f"{'x/' * 197}a.txt"),
    ],
)
def test_a_name_leads_nowhere_else_and_can_be_shown(name: str, shown: str) -> None:
    """Names are untrusted; folders stay."""
    assert paths(zipped((name, "text"))) == [shown]


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_a_name_of_no_stated_encoding_is_read(encoding: str) -> None:
    """Programs of macOS write UTF-8 so, others the characters of DOS."""
    stored = "Größe.txt".encode(encoding)
    placeholder = b"x" * len(stored)
    assert paths(zipped((placeholder.decode(), "text")).replace(placeholder, stored)) == ["Größe.txt"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_folders_and_litter_are_no_documents_and_equal_names_are_two() -> None:
    """Each file keeps its key, and a corrected one has another."""
    members = [("d/", ""), ("d\\", ""), ("__MACOSX/._a.txt", "x"), ("d/.DS_Store", "x"), ("~$a.docx", "x")]
    same = [("a.txt", "one"), ("a.txt", "one"), ("a.txt", "two")]
    first, again = opened(zipped(*members, *same)), opened(zipped(*same, ("a.txt", "three")))
    assert first is not None and again is not None
    assert [first.read(file) for file in first.files] == [b"one", b"one", b"two"]
    keys = [file.key for file in again.files]
    assert [file.key for file in first.files] == keys[:3] and len(set(keys)) == 4


@pytest.mark.parametrize(
    "members",
    [
        [("[Content_Types].xml", ""), ("word/document.xml", "")],
        [("mimetype", "application/epub+zip"), ("a.xhtml", "")],
        [("Index/Document.iwa", ""), ("preview.jpg", "")],
    ],
)
def test_office_files_and_the_like_are_no_archives_of_documents(members: list[tuple[str, str]]) -> None:
    """Their readers say what is to be said, as they do of one that is cut off."""
    assert opened(zipped(*members)) is None
    assert opened(zipped(("a.txt", "text"))[:-30]) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped(), "holds no document"),
        (zipped(("d/", ""), ("Thumbs.db", "x")), "holds no document"),
        (zipped(*((f"{number}.txt", "") for number in range(1001))), "more than 1,000 files"),
        (patched(zipped(("a.txt", "text"), ("b.txt", "text")), flags=1), "protected by a password"),
        (patched(zipped(("a.txt", "text"), ("b.txt", "text")), offset=0), "is damaged"),
        (zipped(("a.txt", b"x" * 600), ("b.txt", b"y" * 500)), "unpacks to more than"),
    ],
)
def test_an_archive_is_refused_as_a_whole(data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it, too much in it, or entries that share their bytes, as in bombs."""
    monkeypatch.setattr(archive, "UNPACKED", 1099)
    with pytest.raises(DocumentRefused, match=reason):
        opened(data)


def test_a_directory_of_any_length_is_not_read() -> None:
    """Two hundred thousand entries would take ten times their size in memory."""
    entry = zipped(("a", ""))
    at, end = entry.find(CENTRAL), entry.find(b"PK\x05\x06")
    directory = entry[at:end] * 200_000
    data = entry[:at] + directory + entry[end : end + 12] + struct.pack("<LLH", len(directory), at, 0)

    def refused() -> None:
        with pytest.raises(DocumentRefused, match="more than 1,000 files"):
            opened(data)

    assert peak(refused) < MB


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped(("a.txt", "text" * 99), method=zipfile.ZIP_LZMA), "method Deflate"),
        (zipped((link("a.txt"), "../b.txt")), "it is a link"),
        (zipped(("a.txt", bytes(2 * MB))), "more than 100 times"),
        (patched(zipped(("a.txt", "text")), crc=7), "damaged"),
        (patched(zipped(("a.txt", "text")), size=9), "damaged"),
        (zipped(("a.txt", "text"), method=zipfile.ZIP_STORED).replace(b"text", b"tent"), "damaged"),
        (zipped(("a.txt", "text")).replace(LOCAL, b"PK\x03\x05"), "damaged"),
    ],
)
def test_a_file_is_refused_alone(data: bytes, reason: str) -> None:
    """Its reason is its own: others in the archive are documents nevertheless."""
    found = opened(data)
    assert found is not None
    with pytest.raises(DocumentRefused, match=reason):
        found.read(found.files[0])


def test_a_file_is_not_unpacked_further_than_the_archive_says() -> None:
    """Ten bytes are stated, and 50 MB are packed."""
    data = patched(zipped(("a.txt", bytes(50 * MB))), size=10, crc=zlib.crc32(bytes(10)))
    found = opened(data)
    assert found is not None
    assert peak(lambda: found.read(found.files[0])) < MB


def test_whatever_is_damaged_is_refused() -> None:
    """A thousand archives with some other bytes: no other error escapes."""
    dice = random.Random(7)
    whole = zipped(("a.txt", "some text " * 9), ("2026/b.txt", dice.randbytes(200)), (link("c"), "a.txt"))
    read = refused = 0
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.choice((0, 1, 0xFF, dice.randrange(256)))
        try:
            if (found := opened(bytes(data[: dice.choice((len(data), dice.randrange(len(data))))]))) is None:
                continue
            for file in found.files:
                read += len(found.read(file)) > 0
        except DocumentRefused:
            refused += 1
    assert read > 100 and refused > 100
