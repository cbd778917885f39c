"""Open a ZIP archive whose files are documents, within limits, as archives are untrusted. Imports no parser.

It is opened in the app's own process: of native code only the standard library's zlib works on it. No file is
unpacked further than to the size that the archive states for it, and nothing is written to a disk.
"""

from __future__ import annotations

import contextlib
import io
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shared.documents.litter import is_litter
from shared.errors import DocumentRefused

MEMBERS = 1000
UNPACKED = 200_000_000
"""Bytes of all members together."""
RATIO, SMALL = 100, 1_000_000
"""The most that a member larger than `SMALL` may unpack to, as a multiple of its packed size."""

_DIRECTORY = 1_000_000  # bytes: an entry, which takes 50 at least, takes ten times as many in memory
_OFFICE = {"[Content_Types].xml", "mimetype"}
_APPLE = ".iwa"  # the content of Pages, Numbers and Keynote
_ENTRY = 30  # bytes of an entry beside its name and content
_LONGEST_PATH = 400
_UTF8, _ENCRYPTED = 0x800, 1  # flags of an entry
_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError),
)
_DAMAGED = "the ZIP archive is damaged: zip its files again"
_TOO_MANY = f"the ZIP archive holds more than {MEMBERS:,} files: split it"
_TOO_LARGE = f"the ZIP archive unpacks to more than {UNPACKED:,} bytes: split it"
_PROTECTED = "it is protected by a password: zip it without one"


@dataclass(frozen=True)
class File:
    """A file in an archive. `path`: with its folders, safe to show. `size` and `packed`: bytes.

    `key` tells it from the others in its archive, and is the same whenever that is opened. `refusal`: why it
    is not unpacked; empty if it can be.
    """

    key: str
    path: str
    size: int
    refusal: str
    entry: zipfile.ZipInfo

    @property
    def packed(self) -> int:
        return self.entry.compress_size


class Archive:
    """The files of an archive, without folders and litter."""

    def __init__(self, opened: zipfile.ZipFile, files: tuple[File, ...]) -> None:
        self._zip = opened
        self.files = files

    def read(self, file: File) -> bytes:
        """Return a file's content. Raises DocumentRefused with a reason for its owner."""
        if file.refusal:
            raise DocumentRefused(file.refusal)
        try:
            with self._zip.open(file.entry) as content:
                data = content.read(file.size)  # with a size: without one, zlib unpacks all that there is
        except _FAULTS:
            data = b""
        if len(data) != file.size:
            raise DocumentRefused("it is damaged in the ZIP archive: zip it again")
        return data


class _Source(io.BytesIO):
    """The bytes of an archive. Opening it reads its directory at once, and makes an object of each entry."""

    opening = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.opening and size is not None and size > _DIRECTORY:
            raise DocumentRefused(_TOO_MANY)
        return super().read(size)


def opened(data: bytes) -> Archive | None:
    """Return the archive; None for an office file, and for one that cannot be opened as an archive.

    Raises DocumentRefused with a reason for the archive's owner.
    """
    source = _Source(data)
    try:
        found = zipfile.ZipFile(source)
    except _FAULTS:
        return None
    source.opening = False
    entries = found.infolist()
    if any(entry.filename in _OFFICE or entry.filename.endswith(_APPLE) for entry in entries):
        return None
    _refuse_overlaps(entries, found.start_dir)
    files = tuple(_files(entries))
    if not files:
        raise DocumentRefused("the ZIP archive holds no document")
    if len(files) > MEMBERS:
        raise DocumentRefused(_TOO_MANY)
    if all(file.refusal == _PROTECTED for file in files):
        raise DocumentRefused("the ZIP archive is protected by a password: zip its files without one")
    if sum(file.size for file in files if not file.refusal) > UNPACKED:
        raise DocumentRefused(_TOO_LARGE)
    return Archive(found, files)


def _refuse_overlaps(entries: Iterable[zipfile.ZipInfo], end: int) -> None:
    """Refuse entries that share bytes: so a few of them unpack to any size, each within the ratio."""
    for entry in sorted(entries, key=lambda each: each.header_offset, reverse=True):
        if entry.header_offset + _ENTRY + entry.compress_size > end:
            raise DocumentRefused(_DAMAGED)
        end = entry.header_offset


def _files(entries: Iterable[zipfile.ZipInfo]) -> Iterable[File]:
    alike: Counter[str] = Counter()
    for entry in entries:
        path = _path(entry)
        if entry.orig_filename.endswith(("/", "\\")) or is_litter(path):
            continue
        # With checksum and size: a corrected archive has other documents where it has other files.
        key = f"{entry.orig_filename}\n{entry.CRC}\n{entry.file_size}"
        alike[key] += 1
        yield File(f"{key}\n{alike[key]}", path, entry.file_size, _refusal(entry), entry)


def _refusal(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return _PROTECTED
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link: put the file itself into the ZIP archive"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is packed by a method that is not supported: zip it again with the method Deflate"
    if entry.file_size > max(SMALL, RATIO * entry.compress_size):
        return f"it unpacks to more than {RATIO} times its packed size: upload it by itself"
    return ""


def _path(entry: zipfile.ZipInfo) -> str:
    """Return the name that people see: slashes between folders, nothing that leads out of them or hides."""
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8:  # often it is UTF-8 nevertheless
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    seen = "".join("_" if sign == ":" or unicodedata.category(sign)[0] == "C" else sign for sign in name)
    steps = (step.strip().rstrip(". ") for step in re.split(r"[/\\]+", seen))
    return "/".join(step for step in steps if step)[-_LONGEST_PATH:].lstrip("/ ") or "unnamed"
