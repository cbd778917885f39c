"""Look at a source once: claim what is new or changed, and make documents of it.

Nobody is asked what changed since a time: a transaction that commits late would lie before it. Each look goes
through all rows by their keys, and leaves out what the ledger knows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared.documents.litter import is_nobodys
from shared.errors import AlreadyExists, ContainerMissing, ReaderUnavailable, StorageError
from shared.model import DeploymentConfig
from shared.ports import BlobItem, Blobs, Clock, Folder, Rows
from shared.sources.arrivals import TAKEN, Arrivals
from shared.sources.known import digest_of
from shared.sources.record_file import MOST_ROWS, RecordFile, name_of
from shared.sources.taken import CLAIMS_AT_ONCE, Claim, Taken

_PAGE = 2_000  # rows
_LISTED = 1_000  # files
_TEXTS = 500  # rows whose texts are in memory


class Overtaken(Exception):
    """Another process claims from the same source now: what it has not claimed is left to the next look."""


@dataclass
class Look:
    """One look. `start`: where it begins, and then where the next one goes on; empty: at the beginning."""

    clock: Clock
    blobs: Blobs
    arrivals: Arrivals
    config: DeploymentConfig
    taken: Taken
    start: str
    until: float  # monotonic: no page is read later
    most_rows: int = MOST_ROWS
    claimed: int = field(default=0, init=False)

    async def rows(self, rows: Rows) -> None:
        """Look at rows. Raises Overtaken, SourceError, StorageError, ReaderUnavailable."""
        file, start = RecordFile(self.most_rows), self.start
        while True:
            page = await rows.page(start, _PAGE)
            new = [row.key for row in page.rows if file.lacks(row, self.taken.known)]
            for first in range(0, len(new), _TEXTS):
                for row in await rows.texts(page, new[first : first + _TEXTS]):
                    if file.lacks(row, self.taken.known):
                        file.add(row)
                    if file.is_full:
                        await self._claim_rows(file)
                        file = RecordFile(self.most_rows)
            start = page.next
            if not start or self.clock.monotonic() > self.until:
                break
        if file.digests:
            await self._claim_rows(file)
        self.start = start

    async def _claim_rows(self, file: RecordFile) -> None:
        data = file.data
        name = name_of(self.config.name, data)
        with contextlib.suppress(AlreadyExists):  # by a look that a crash has ended
            await self.blobs.create(TAKEN, name, data, "application/jsonl")
        item = await self.blobs.stat(TAKEN, name)
        if item is None:
            raise ContainerMissing(f"a blob in {TAKEN} is gone")
        rows, now = len(file.digests), self.clock.now()
        claim = self.taken.claim(self.taken.next, name, item.etag, len(data), rows, now)
        if not await self.taken.make([claim], [file.digests]):
            raise Overtaken
        self.claimed += rows
        await self.arrivals.rows(self.config, claim)

    async def files(self, folder: Folder) -> None:
        """Look at files. Raises Overtaken, StorageError, ReaderUnavailable."""
        token = self.start or None
        while True:
            page = await folder.page(token, _LISTED)
            for some in _groups([item for item in page.items if self._is_new(item)]):
                await self._claim_files(some, folder)
            token = page.token
            if not token or self.clock.monotonic() > self.until:
                break
        self.start = token or ""

    def _is_new(self, item: BlobItem) -> bool:
        """Return whether to take a file. Empty ones may still be written, archived ones rehydrated."""
        if not item.size or item.archived or item.is_folder or is_nobodys(item):
            return False
        return not self.taken.known.has(digest_of(item.name, item.etag))

    async def _claim_files(self, items: Sequence[BlobItem], folder: Folder) -> None:
        now, number = self.clock.now(), self.taken.next
        claims = [
            self.taken.claim(number + at, item.name, item.etag, item.size, 0, now)
            for at, item in enumerate(items)
        ]
        if not await self.taken.make(claims, [[digest_of(item.name, item.etag)] for item in items]):
            raise Overtaken
        self.claimed += len(claims)
        await self.take(claims, folder)

    async def take(self, claims: Sequence[Claim], folder: Folder) -> None:
        """Make the documents of claims of files, and close the claims; those left open are taken later.

        One that fails hinders no other. Raises StorageError, ReaderUnavailable: the first one, at the end.
        """
        failed = list[StorageError | ReaderUnavailable]()
        for claim in claims:
            if self.clock.monotonic() > self.until:
                break
            try:
                await self.arrivals.file(self.config, claim, folder)
                await self.taken.close(claim)
            except (StorageError, ReaderUnavailable) as error:
                failed.append(error)
        if failed:
            raise failed[0]


def _groups(items: Sequence[BlobItem]) -> Iterator[Sequence[BlobItem]]:
    for first in range(0, len(items), CLAIMS_AT_ONCE):
        yield items[first : first + CLAIMS_AT_ONCE]
