"""Open files that are ZIP archives of XML (Office and OpenDocument) within limits, as files are untrusted."""

from __future__ import annotations

import io
import zipfile
import zlib

from lxml import etree

from shared.documents.readers.xml import parse
from shared.errors import DocumentRefused

_UNPACKED = 200_000_000  # bytes of all members
_MEMBERS = 1000
_RATIO, _SMALL = 100, 1_000_000  # unpacked size over packed size, of members that are larger than this
_DAMAGED = "the file is damaged: open it and save it again"
_TOO_LARGE = "the file unpacks to more than the app reads: save a smaller one, or its text"


class Package:
    """The members of a file. Every method raises DocumentRefused with a reason for the file's owner."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            raise DocumentRefused(_DAMAGED) from None
        members = self._zip.infolist()
        if len(members) > _MEMBERS or sum(member.file_size for member in members) > _UNPACKED:
            raise DocumentRefused(_TOO_LARGE)
        for member in members:
            if member.flag_bits & 1:
                raise DocumentRefused("the file is protected by a password: save it without one")
            if member.file_size > max(_SMALL, _RATIO * member.compress_size):
                raise DocumentRefused(_TOO_LARGE)
        self.names = [member.filename for member in members]

    def read(self, name: str) -> bytes | None:
        """Return a member's content, never more than its declared size; None if there is no such member."""
        try:
            return self._zip.read(name)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError):
            raise DocumentRefused(_DAMAGED) from None

    def xml(self, name: str) -> etree._Element | None:
        """Return the root of a member that is XML; None if there is no such member."""
        data = self.read(name)
        return None if data is None else parse(data)
