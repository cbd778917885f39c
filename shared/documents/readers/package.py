"""Open files that are ZIP archives of XML (Office and OpenDocument) within limits, as files are untrusted."""

from __future__ import annotations

import io
import zipfile
import zlib

from lxml import etree

from shared.documents.readers.archive import MEMBERS, RATIO, SMALL, UNPACKED
from shared.documents.readers.elements import damaged
from shared.documents.readers.xml import parse
from shared.errors import DocumentRefused

_TOO_LARGE = "the file unpacks to more than the app reads: save a smaller one, or its text"


class Package:
    """The members of a file. Every method raises DocumentRefused with a reason for the file's owner."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            raise damaged() from None
        members = self._zip.infolist()
        if len(members) > MEMBERS or sum(member.file_size for member in members) > UNPACKED:
            raise DocumentRefused(_TOO_LARGE)
        for member in members:
            if member.flag_bits & 1:
                raise DocumentRefused("the file is protected by a password: save it without one")
            if member.file_size > max(SMALL, RATIO * member.compress_size):
                raise DocumentRefused(_TOO_LARGE)
        self.names = [member.filename for member in members]
        self._own_names = {_compared(name): name for name in reversed(self.names)}

    def own_name(self, name: str) -> str:
        """Return what a member is called that programs find by this name."""
        known = name in self._zip.NameToInfo
        return name if known else self._own_names.get(_compared(name), name)

    def read(self, name: str) -> bytes | None:
        """Return a member's content, never more than its declared size; None if there is no such member."""
        try:
            return self._zip.read(name)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError):
            raise damaged() from None

    def xml(self, name: str) -> etree._Element | None:
        """Return the root of a member that is XML; None if there is no such member."""
        data = self.read(name)
        return None if data is None else parse(data)


def _compared(name: str) -> str:
    """Return how programs compare a name: without regard to case; some write backslashes."""
    return name.replace("\\", "/").lower()
