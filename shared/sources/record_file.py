"""Make record files of rows: one line of JSON each. The same rows always make the same file."""

from __future__ import annotations

import hashlib
import json

from shared.model.sources import KEY, TEXT, VERSION
from shared.ports import SourceRow
from shared.sources.known import Known, digest_of

MOST_ROWS = 5_000
MOST_BYTES = 20_000_000


class RecordFile:
    """A file of rows that are not known yet."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self.digests = list[int]()
        self.size = 0
        self._most = most_rows
        self._in = set[int]()
        self._lines = list[bytes]()

    def lacks(self, row: SourceRow, known: Known) -> bool:
        """Return whether neither the file nor an earlier one has that version of the row."""
        digest = digest_of(row.key, row.version)
        return digest not in self._in and not known.has(digest)

    def add(self, row: SourceRow) -> None:
        """Add a row that it lacks."""
        line = json.dumps({KEY: row.key, VERSION: row.version, TEXT: row.text or ""}).encode() + b"\n"
        digest = digest_of(row.key, row.version)
        self._in.add(digest)
        self.digests.append(digest)
        self._lines.append(line)
        self.size += len(line)

    @property
    def is_full(self) -> bool:
        """Return whether another row belongs into the next file."""
        return len(self._lines) >= self._most or self.size >= MOST_BYTES

    @property
    def data(self) -> bytes:
        """Return its bytes."""
        return b"".join(self._lines)


def name_of(deployment: str, data: bytes) -> str:
    """Return the name of the blob that holds such a file."""
    return f"{deployment}/{hashlib.sha256(data).hexdigest()[:32]}.jsonl"
