"""Open compound files (OLE2), in which Outlook messages and old Office files are stored."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeVar

import olefile

from shared.errors import DocumentRefused

_DAMAGED = "the file is damaged: open it in its program and save it again"
_STRICT = olefile.DEFECT_INCORRECT  # shortened streams are damage
_Result = TypeVar("_Result")


class CompoundFile(olefile.OleFileIO):  # type: ignore[type-arg]  # generic in its stubs only
    """A compound file. `root`: its directory, which is searched by name in constant time, unlike by path.

    Raises DocumentRefused for a damaged file.
    """

    root: Any

    def __init__(self, data: bytes) -> None:
        self.unread = len(data)
        translated(lambda: super(CompoundFile, self).__init__(io.BytesIO(data), raise_defects=_STRICT))

    @property
    def names(self) -> set[str]:
        """Return the names of what lies at the top, in small letters."""
        return set(self.root.kids_dict)

    def _check_duplicate_stream(self, first_sect: int, minifat: bool = False) -> None:
        """Do not search for streams that share their content, in quadratic time: `content` finds them."""

    def content(self, entry: Any) -> bytes:
        """Return a stream's content. All streams together are no longer than the file unless it is a bomb."""
        self.unread -= entry.size
        if self.unread < 0:
            raise DocumentRefused(_DAMAGED)
        return self._open(entry.isectStart, entry.size).read() if entry.size else b""


def translated(action: Callable[[], _Result]) -> _Result:
    """Refuse a damaged file. olefile raises errors of many types, RecursionError among them."""
    try:
        return action()
    except DocumentRefused:
        raise
    except Exception:
        raise DocumentRefused(_DAMAGED) from None
