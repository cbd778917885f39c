"""Keep the ledger of what was taken from a source. Its partition is a log of claims, numbered from 0.

`f <number>` is a claim: which versions of rows or files it holds (digests), and the document that it
becomes. `o <number>` exists while something is left to do for it. `s` is where the last look stopped, and
when the next is due.

Note [Taken once]. A look reads all claims first, and claims what none of them holds by inserting the next
number: of two looks that know the same claims, one inserts it, and the other ends. So each version is claimed
once. What a claim needs is stored before it is made (a file of rows: its bytes, in a blob named by them), and
everything after it follows from the claim alone: the document's id is that of the claim, and its row is
inserted only if it is absent. So a crash at any point, or two processes at once, only repeats steps.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.documents.identity import short_id_at
from shared.errors import AlreadyExists, Changed
from shared.model import Source
from shared.ports import Insert, Remove, Replace, Row, Tables
from shared.rows import from_row, to_values
from shared.sources.known import Known, packed, unpacked

SOURCES = "sources"  # table
_TEXT = 30_000  # characters of one column: Azure allows 32,768
_CLAIMS = 20  # read at once: each may have 60 kB of digests
_OPEN = 200  # read at once
CLAIMS_AT_ONCE = 40
"""Claims of one transaction: each is two rows, and Azure takes a hundred."""


@dataclass(frozen=True)
class Claim:
    """What was taken as one document. `name`, `version`, `size`: of the file.

    That is the file of the source; or, for rows, the blob of ours that holds them.
    """

    number: int
    document: str  # id
    name: str
    version: str  # ETag
    size: int  # bytes
    taken_at: datetime
    rows: int = 0
    written: int = 0  # the run whose answers are in the target; 0: none
    etag: str | None = None


@dataclass(frozen=True)
class Progress:
    """Where the last look stopped, and when it is time to look, to try to write, and to write again.

    Written again are the answers of documents that were requeued.
    """

    start: str = ""
    next_look: datetime | None = None
    failed_looks: int = 0
    next_write: datetime | None = None
    failed_writes: int = 0
    next_again: datetime | None = None


class Taken:
    """The ledger of one source of one deployment. Methods may raise StorageError."""

    def __init__(self, tables: Tables, deployment: str, source: Source) -> None:
        self._tables = tables
        self._deployment = deployment
        digest = hashlib.sha256(source.place.encode()).hexdigest()[:16]
        self._partition = f"{deployment} {digest}"
        self.known = Known()
        self.next = 0
        """The number of the next claim."""

    async def read(self) -> None:
        """Read the claims that were made since the last call."""
        more = True
        while more:
            page = await self._tables.page(SOURCES, self._partition, _key("f", self.next), "f ~", _CLAIMS)
            for row in page.rows:
                self.known.add(unpacked(_digests(row)))
                self.next = int(row.key.removeprefix("f ")) + 1
            more = page.more

    def claim(self, number: int, name: str, version: str, size: int, rows: int, now: datetime) -> Claim:
        """Return a claim that is not made yet."""
        digest = hashlib.sha256(f"{self._partition}\n{number}".encode()).hexdigest()[:16]
        document = f"{self._deployment}~{short_id_at(now)}-{digest}"
        return Claim(number, document, name, version, size, now, rows)

    async def make(self, claims: Sequence[Claim], digests: Sequence[Sequence[int]]) -> bool:
        """Make claims with the next numbers. `digests`: of each. False if another process made one first."""
        changes = list[Insert | Replace | Remove]()
        for claim, own in zip(claims, digests, strict=True):
            values = to_values(claim)
            changes.append(Insert(_key("f", claim.number), values | _columns(packed(own))))
            changes.append(Insert(_key("o", claim.number), values))
        try:
            await self._tables.write(SOURCES, self._partition, changes)
        except AlreadyExists:
            return False
        for own in digests:
            self.known.add(own)
        self.next = claims[-1].number + 1
        return True

    async def open(self) -> list[Claim]:
        """Return the claims for which something is left to do, oldest first."""
        found, start, more = list[Claim](), "o ", True
        while more:
            page = await self._tables.page(SOURCES, self._partition, start, "o ~", _OPEN)
            found += [from_row(Claim, row) for row in page.rows]
            start, more = f"{page.rows[-1].key} " if page.rows else "o ~", page.more
        return found

    async def save(self, claim: Claim) -> None:
        """Replace an open claim; another process may have done so."""
        with contextlib.suppress(Changed):
            change = Replace(_key("o", claim.number), to_values(claim), claim.etag)
            await self._tables.write(SOURCES, self._partition, [change])

    async def close(self, claim: Claim) -> None:
        """Note that nothing is left to do for a claim. Safe to repeat."""
        row = await self._tables.get(SOURCES, self._partition, _key("o", claim.number))
        if row is not None:
            with contextlib.suppress(Changed):
                await self._tables.write(SOURCES, self._partition, [Remove(row.key, row.etag)])

    async def progress(self) -> Progress:
        """Return the progress."""
        row = await self._tables.get(SOURCES, self._partition, "s")
        return from_row(Progress, row) if row else Progress()

    async def save_progress(self, progress: Progress) -> None:
        """Replace the progress. Of two processes the last counts: it is no more than a hint."""
        await self._tables.write(SOURCES, self._partition, [Replace("s", to_values(progress), None)])


def _key(kind: str, number: int) -> str:
    return f"{kind} {number:010}"


def _columns(data: bytes) -> dict[str, str]:
    text = base64.b64encode(data).decode()
    return {f"digests{at // _TEXT:03}": text[at : at + _TEXT] for at in range(0, len(text), _TEXT)}


def _digests(row: Row) -> bytes:
    names = sorted(name for name in row.values if name.startswith("digests"))
    return base64.b64decode("".join(str(row.values[name]) for name in names))
