"""Keep the ledger of documents: one row for every document, and a second row while it is unfinished.

Every deployment has a partition. `d <id>` is the document's row, written on arrival and when it is finished;
`w <id>` exists while it is unfinished and holds its claim and attempts. Ids begin with the time of arrival,
so waiting documents are read oldest first, a page at a time, however long the history is. Finishing and
requeueing are one transaction in one partition. `f <id>` exists while the document is failed, so that failed
documents are found without reading the history. `c <id>` exists while a copy of a finished document's source
is still to be deleted. `e …` are events that are still to be sent. `n <folder>`, in the partition of no
deployment, names another such partition.
"""

from __future__ import annotations

import bisect
import contextlib
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from shared.documents.grouped_writes import GroupedWrites
from shared.documents.identity import (
    SHORT_ID,
    UNKNOWN_DEPLOYMENT,
    arrived_at,
    is_final,
    patience,
    short_id,
    short_id_at,
)
from shared.errors import AlreadyExists, Changed
from shared.model import Demand, Document, DocumentState
from shared.notify.outbox import Outbox
from shared.planning.batch_wait import Patience, latest_start
from shared.ports import Clock, Insert, Remove, Replace, Tables
from shared.rows import from_row, to_values

DOCUMENTS = "documents"  # table
FOLDERS = 1000
"""The most folders of no deployment that are read: uploads may create any number of them."""

_PAGE = 200
_APART = 1.0  # seconds between two transactions of a partition with claims and outcomes
_ARRIVALS_APART = 0.1  # the same before one with arrivals
_EVENTS_APART = 0.5  # the same before one with arrivals by events, of which many more come at once
_MOST = 1000  # rows in one answer of Azure
_SPARSE = 10  # if fewer than one row in 10 is wanted, reading single rows by key is cheaper
_ID = re.compile(rf"[A-Za-z0-9_.-]{{1,64}}~{SHORT_ID}")
_KINDS = {DocumentState.FAILED: "f ", DocumentState.WAITING: "w ", DocumentState.CLAIMED: "w "}


@dataclass(frozen=True)
class Leftover:
    """A copy of a finished document's source, outside of the inbox, that is still to be deleted."""

    document: str  # id
    place: str  # container/name
    version: str  # its ETag


@dataclass(frozen=True)
class Stretch:
    """Unfinished documents, oldest first, whether more follow, and the server's time of the answer."""

    documents: tuple[Document, ...]
    more: bool
    server_time: datetime


@dataclass(frozen=True)
class History:
    """Documents by arrival, whether more follow, and the short id after which the next ones are read."""

    documents: tuple[Document, ...]
    more: bool
    read_to: str = ""


class DocumentLedger:
    """Read and write documents. Saving names the version to replace and raises Changed if it is stale.

    Every method may raise StorageError.
    """

    def __init__(self, tables: Tables, clock: Clock, outbox: Outbox | None = None) -> None:
        """`outbox`: makes the rows of events; without it there are none."""
        self._tables = tables
        self._outbox = outbox
        self._writes = GroupedWrites(tables, DOCUMENTS, clock)
        self._noted: set[str] = set()

    async def add(self, document: Document, *, by_event: bool = False) -> bool:
        """Record an arrival, or an upload refused at once (in a final state). False if it is known."""
        key, values = short_id(document), to_values(document)
        changes: list[Insert | Replace | Remove] = [Insert(f"d {key}", values)]
        if not is_final(document):
            changes.append(Insert(f"w {key}", values))
        if document.state is DocumentState.FAILED:
            changes.append(Replace(f"f {key}", values, etag=None))
        changes += self._events(document)
        try:
            apart = _EVENTS_APART if by_event else _ARRIVALS_APART
            await self._writes.write(document.deployment, changes, apart=apart)
        except AlreadyExists:
            return False
        return True

    async def note_folder(self, folder: str) -> None:
        """Record that this folder, which is no deployment's, has documents. Safe to repeat."""
        if folder == UNKNOWN_DEPLOYMENT or folder in self._noted:
            return
        with contextlib.suppress(AlreadyExists):
            await self._tables.write(
                DOCUMENTS, UNKNOWN_DEPLOYMENT, [Insert(f"n {folder}", {"folder": folder})]
            )
        if len(self._noted) >= FOLDERS:
            self._noted.clear()
        self._noted.add(folder)

    async def folders(self, limit: int = FOLDERS) -> tuple[list[str], bool]:
        """Return folders of no deployment that have documents, by name, and whether more follow."""
        page = await self._tables.page(DOCUMENTS, UNKNOWN_DEPLOYMENT, "n ", "n ~", limit)
        return [row.key.removeprefix("n ") for row in page.rows], page.more

    async def knows(self, deployment: str) -> bool:
        """Return whether any document was ever recorded for a deployment or folder of that name."""
        return bool((await self._tables.keys(DOCUMENTS, deployment, "d ", "d ~", 1)).keys)

    async def get(self, document_id: str) -> Document | None:
        """Return a document's current row; None for an unknown or malformed id."""
        if not _ID.fullmatch(document_id):
            return None
        deployment, _, key = document_id.partition("~")
        unfinished = await self._tables.get(DOCUMENTS, deployment, f"w {key}")
        row = unfinished or await self._tables.get(DOCUMENTS, deployment, f"d {key}")
        return from_row(Document, row) if row else None

    async def unfinished(self, deployment: str) -> AsyncIterator[Document]:
        """Yield every unfinished document of a deployment, oldest first."""
        async for document in self._each(deployment, "w "):
            yield document

    async def unfinished_after(self, deployment: str, document_id: str) -> Stretch:
        """Return a page of the unfinished documents after `document_id`; from the first on if it is empty."""
        start = f"w {document_id.partition('~')[2]} " if document_id else "w "
        page = await self._tables.page(DOCUMENTS, deployment, start, "w ~", _MOST)
        return Stretch(tuple(from_row(Document, row) for row in page.rows), page.more, page.server_time)

    async def unfinished_among(self, deployment: str, document_ids: Collection[str]) -> set[str]:
        """Return those of these documents that are certainly unfinished. Nothing is known of the others.

        Reads the rows between the first and the last of them as long as that finds many: ids begin with the
        time of arrival, so documents that were uploaded together have adjacent rows.
        """
        wanted = {f"w {document_id.partition('~')[2]}": document_id for document_id in document_ids}
        keys, at, found = sorted(wanted), 0, set[str]()
        while at < len(keys):
            read = await self._tables.keys(DOCUMENTS, deployment, keys[at], f"{keys[-1]} ", _MOST)
            hits = {wanted[key] for key in read.keys if key in wanted}
            found |= hits
            if not read.more or len(hits) * _SPARSE < len(read.keys):
                break
            at = bisect.bisect_right(keys, read.keys[-1])
        return found

    async def recorded_at(self, deployment: str, at: datetime) -> set[str]:
        """Return the ids of the documents that arrived in the second of `at`, a thousand at most."""
        start = f"d {short_id_at(at)}-"
        found = await self._tables.keys(DOCUMENTS, deployment, start, f"{start}~", _MOST)
        return {f"{deployment}~{key.removeprefix('d ')}" for key in found.keys}

    async def _each(self, deployment: str, kind: str) -> AsyncIterator[Document]:
        start, more = kind, True
        while more:
            page = await self._tables.page(DOCUMENTS, deployment, start, f"{kind}~", _PAGE)
            for row in page.rows:
                yield from_row(Document, row)
                start = row.key + " "
            more = page.more

    async def has_unfinished(self, deployment: str) -> bool:
        """Return whether a document of a deployment is unfinished."""
        return bool((await self._tables.keys(DOCUMENTS, deployment, "w ", "w ~", 1)).keys)

    async def demand(self, deployment: str) -> Demand:
        """See the port. Reads on until it has seen a document that does not say how long it may wait."""
        start, size = "w ", _PAGE
        count, arrivals, patient = 0, list[datetime](), list[tuple[datetime, Patience]]()
        while True:
            found = await self._tables.keys(DOCUMENTS, deployment, start, "w ~", size)
            for key in found.keys:
                short = key.removeprefix("w ")
                if (waits := patience(short)) is None:
                    arrivals.append(arrived_at(short))
                else:
                    patient.append((arrived_at(short), waits))
            count += len(found.keys)
            if arrivals or not found.more:
                break
            start, size = f"{found.keys[-1]} ", _MOST
        return Demand(
            count,
            found.more,
            tuple(arrivals),
            latest_start=latest_start(patient),
            patient_since=patient[0][0] if patient else None,
        )

    async def listed(self, deployment: str, state: DocumentState | None, start: str, limit: int) -> History:
        """Return documents of a state, or of any, whose short id is not below `start`, oldest first.

        Reads at most `limit` rows. For states other than failed, waiting and claimed these are rows of all
        documents, so the answer may have fewer documents although more follow.
        """
        kind = _KINDS.get(state, "d ") if state else "d "
        page = await self._tables.page(DOCUMENTS, deployment, f"{kind}{start}", f"{kind}~", limit)
        found = [from_row(Document, row) for row in page.rows]
        if state is None:
            found = await self._as_they_stand(deployment, found)
        kept = tuple(document for document in found if state in (None, document.state))
        return History(kept, page.more, short_id(found[-1]) if found else "")

    async def _as_they_stand(self, deployment: str, documents: list[Document]) -> list[Document]:
        """Return the current rows of the documents: an unfinished one's row of arrival is outdated."""
        keys = [short_id(document) for document in documents if not is_final(document)]
        if not keys:
            return documents
        start, stop = f"w {keys[0]}", f"w {keys[-1]} "
        page = await self._tables.page(DOCUMENTS, deployment, start, stop, len(documents))
        found = {row.key.removeprefix("w "): from_row(Document, row) for row in page.rows}
        missing = [
            document for document in documents if not is_final(document) and short_id(document) not in found
        ]
        for document in missing:  # finished since
            found[short_id(document)] = await self.get(document.id) or document
        return [found.get(short_id(document), document) for document in documents]

    async def failed_since(self, deployment: str, since: datetime) -> tuple[int, bool]:
        """Count failed documents that arrived since then, up to a page; return whether there are more."""
        start = f"f {short_id_at(since)}"
        found = await self._tables.keys(DOCUMENTS, deployment, start, "f ~", _PAGE)
        return len(found.keys), found.more

    async def asked(self, deployment: str, since: datetime, limit: int) -> tuple[datetime, ...] | None:
        """Return when documents since then arrived and were finished; None if there are more than `limit`."""
        page = await self._tables.page(DOCUMENTS, deployment, f"d {short_id_at(since)}", "d ~", limit)
        found = (from_row(Document, row) for row in page.rows)
        times = tuple(
            at for document in found for at in (document.arrived_at, document.finished_at) if at is not None
        )
        return None if page.more else times

    async def save(self, document: Document) -> Document:
        """Compare-and-swap an unfinished document: its claim, attempts, reason."""
        assert document.etag is not None and not is_final(document)
        key = f"w {short_id(document)}"
        change = Replace(key, to_values(document), document.etag)
        etag = (await self._writes.write(document.deployment, [change], apart=_APART))[0]
        return replace(document, etag=etag)

    async def finish(self, document: Document, leftover: Leftover | None = None) -> None:
        """Write the final state, remove the unfinished row, and record a leftover: all or none."""
        assert document.etag is not None and is_final(document)
        key = short_id(document)
        changes: list[Insert | Replace | Remove] = [
            Replace(f"d {key}", to_values(document), etag=None),
            Remove(f"w {key}", document.etag),
        ]
        if document.state is DocumentState.FAILED:
            changes.append(Replace(f"f {key}", to_values(document), etag=None))
        if leftover is not None:
            changes.append(Replace(f"c {key}", to_values(leftover), etag=None))
        changes += self._events(document)
        await self._writes.write(document.deployment, changes, apart=_APART)

    def _events(self, document: Document) -> list[Replace]:
        return self._outbox.of_document(document) if self._outbox else []

    async def try_finish(self, document: Document, leftover: Leftover | None = None) -> bool:
        """Finish it; False if another process has changed it meanwhile."""
        try:
            await self.finish(document, leftover)
        except Changed:
            return False
        return True

    async def try_reopen(self, document: Document) -> bool:
        """Write the next run of a final document: all rows or none. False if another process was first."""
        assert document.etag is not None and not is_final(document)
        key, values = short_id(document), to_values(document)
        changes: list[Insert | Replace | Remove] = [
            Replace(f"d {key}", values, document.etag),
            Insert(f"w {key}", values),
        ]
        failed = await self._tables.get(DOCUMENTS, document.deployment, f"f {key}")
        if failed is not None:
            changes.append(Remove(failed.key, failed.etag))
        try:
            await self._tables.write(DOCUMENTS, document.deployment, changes)
        except (AlreadyExists, Changed):
            return False
        return True

    async def failed(self, deployment: str) -> AsyncIterator[Document]:
        """Yield every dead letter of a deployment, oldest first."""
        async for document in self._each(deployment, "d "):
            if document.state is DocumentState.FAILED:
                yield document

    async def leftovers(self, deployment: str) -> list[Leftover]:
        """Return a page of the leftovers of a deployment's documents."""
        page = await self._tables.page(DOCUMENTS, deployment, "c ", "c ~", _PAGE)
        return [from_row(Leftover, row) for row in page.rows]

    async def cleared(self, leftover: Leftover) -> None:
        """Remove the row of a leftover that was deleted. Safe to repeat."""
        deployment, _, key = leftover.document.partition("~")
        row = await self._tables.get(DOCUMENTS, deployment, f"c {key}")
        if row is not None:
            with contextlib.suppress(Changed):
                await self._tables.write(DOCUMENTS, deployment, [Remove(row.key, row.etag)])
