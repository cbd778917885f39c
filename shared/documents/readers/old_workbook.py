"""Find in the records of an XLS file what calamine leaves out: which rows and columns are hidden.

See [MS-XLS] 2.4.28 (BoundSheet8), 2.4.53 (ColInfo) and 2.4.221 (Row).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from shared.documents.readers.compound import CompoundFile, translated
from shared.documents.readers.hidden_cells import MOST_COLUMNS, Hidden

_BOUND_SHEET, _END, _ROW, _COLUMNS = 0x85, 0x0A, 0x208, 0x7D
_ROW_HIDDEN, _COLUMN_HIDDEN = 0x20, 1
_STREAMS = ("workbook", "book")


class OldWorkbook:
    """The records of a file. Raises DocumentRefused for a damaged one."""

    def __init__(self, data: bytes) -> None:
        file = CompoundFile(data)
        entries = (file.root.kids_dict.get(name) for name in _STREAMS)
        entry = next(entry for entry in entries if entry is not None)
        self._stream = translated(lambda: file.content(entry))
        self._starts = [
            struct.unpack_from("<I", self._stream, at)[0]
            for kind, at, size in self._records(0)
            if kind == _BOUND_SHEET and size >= 4
        ]

    def hidden(self, sheet: int) -> Hidden:
        """Return what is hidden of the sheet of that number, from 0."""
        hidden = Hidden()
        for kind, at, size in self._records(self._starts[sheet]) if sheet < len(self._starts) else ():
            if kind == _ROW and size >= 16 and self._stream[at + 12] & _ROW_HIDDEN:
                hidden.rows.add(self._number(at) + 1)
            elif kind == _COLUMNS and size >= 10 and self._number(at + 8) & _COLUMN_HIDDEN:
                last = min(self._number(at + 2), MOST_COLUMNS)
                hidden.columns.update(range(self._number(at) + 1, last + 2))
        return hidden

    def _records(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Yield kind, place and size of each record from one to the end of its sheet."""
        while at + 4 <= len(self._stream):
            kind, size = struct.unpack_from("<HH", self._stream, at)
            at += 4
            if kind == _END or at + size > len(self._stream):
                return
            yield kind, at, size
            at += size

    def _number(self, at: int) -> int:
        return int.from_bytes(self._stream[at : at + 2], "little")
