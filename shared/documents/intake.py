"""An upload becomes a ledger row; the sweep finds what events missed.

What can be told to be unanswerable from the file and the settings is refused here, before anything is
deployed for it: the reason is on the document, and the file goes to `failed`. A dead letter gets its next run
by the same checks.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.alerts import Alert, alert, event
from shared.documents.backlog import INBOX, UNKNOWN_DEPLOYMENT, DocumentLedger, identify, is_final
from shared.documents.results import Results, source_of
from shared.documents.source import Sources
from shared.domain import Document, DocumentState, Hosting, Settings
from shared.errors import Changed, DocumentRefused, LamplighterError, Missing, StorageError
from shared.ports import BlobItem, BlobPage, Blobs, Clock, Replace, Tables

SWEEP_SECONDS = 10.0
SWEEPS = "sweeps"  # table
_AT_ONCE, _PAGE = 8, 500
_INSTEAD_OF_REQUEUE = {
    DocumentState.DONE: "submit it again for another answer",
    DocumentState.SUPERSEDED: "see the newer document",
    DocumentState.WITHDRAWN: "its file was deleted; submit it again",
}
_DEPLOYMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass
class SweepReport:
    """What a sweep saw and did."""

    seen: int = 0
    taken_in: int = 0
    settled: int = 0
    complete: bool = False
    errors: list[Exception] = field(default_factory=list)

    @property
    def unaccounted(self) -> int:
        """Uploads that could not be recorded, which the next sweep tries again. Target 0."""
        return len(self.errors)


@dataclass(frozen=True)
class LastSweep:
    """What is kept of a sweep."""

    began_at: datetime
    unaccounted: int  # uploads that could not be recorded; target 0


class Intake:
    """Records uploads. Safe to repeat: the same version of a blob is always the same document."""

    def __init__(
        self,
        clock: Clock,
        tables: Tables,
        blobs: Blobs,
        ledger: DocumentLedger,
        results: Results,
        settings: Settings,
        sources: Sources,
    ) -> None:
        self.sources = sources
        self._clock = clock
        self._tables = tables
        self._blobs = blobs
        self._ledger = ledger
        self._results = results
        self._settings = settings
        self._by_folder = {name.lower(): hosting for name, hosting in settings.deployments.items()}

    def hosting(self, folder: str) -> Hosting | None:
        """The deployment that a folder of the inbox names, in whatever case."""
        return self._by_folder.get(folder.lower())

    async def arrived(self, name: str) -> Document | None:
        """Record the blob of that name as it stands; None if it is gone again."""
        item = await self._blobs.stat(INBOX, name)
        return await self.take_in(item) if item else None

    async def take_in(self, item: BlobItem) -> Document:
        """Record an upload, or end what was begun for it. Raises StorageError if that cannot be done."""
        folder, slash, _ = item.name.partition("/")
        hosting = self.hosting(folder) if slash else None
        document = identify(item, _partition(folder if slash else "", hosting))
        known = await self._ledger.get(document.id)
        if known is not None and (is_final(known) or hosting is not None):
            if is_final(known):
                await self._results.clear_inbox(known)
            return known
        try:
            if hosting is None:
                raise DocumentRefused(self.no_such_deployment(folder) if slash else self._outside())
            refuse_by_size(item.size, self._settings.max_document_bytes)
            await self.sources.look_at(INBOX, item.name, item.etag, item.size, hosting, self._settings.prices)
        except DocumentRefused as refusal:
            if known is not None:
                await self._results.settle(known, DocumentState.FAILED, str(refusal), self._clock.now())
            else:
                await self._results.refuse(document, str(refusal), self._clock.now())
        except (Missing, Changed) as error:
            state, reason = gone(error)
            now = self._clock.now()
            await self._ledger.add(replace(document, state=state, reason=reason, finished_at=now))
        else:
            await self._ledger.add(document)
        return await self._ledger.get(document.id) or document

    def no_such_deployment(self, folder: str) -> str:
        """That no deployment has this name, and which was likely meant."""
        close = difflib.get_close_matches(folder.lower(), self._by_folder, n=1)
        names = ", ".join(sorted(self._settings.deployments))
        hint = f"did you mean {self._by_folder[close[0]].name!r}?" if close else f"known are {names}"
        return f"no deployment is called {folder[:64]!r}: {hint}"

    def _outside(self) -> str:
        names = ", ".join(sorted(self._settings.deployments))
        return f"it lies outside any folder: put it into the folder of a deployment ({names})"

    async def requeue(self, document: Document) -> Document:
        """Give a dead letter its next run, read from where it was moved to; its cost goes on summing up.

        Safe to repeat, also at the same time: what is unfinished is left as it is. Raises DocumentRefused
        with what stands in the way.
        """
        hosting = self._settings.deployments.get(document.deployment)
        if hosting is None:
            raise DocumentRefused(self.no_such_deployment(document.deployment))
        if not is_final(document):
            return document
        if document.state is not DocumentState.FAILED:
            remedy = _INSTEAD_OF_REQUEUE[document.state]
            raise DocumentRefused(f"it is {document.state}, and only what failed is requeued: {remedy}")
        if not document.moved_to:
            raise DocumentRefused("its source was not kept: submit it again")
        container, name, _ = source_of(document)
        try:
            item = await self._blobs.stat(container, name)
            if item is None:
                raise Missing
            refuse_by_size(item.size, self._settings.max_document_bytes)
            prices = self._settings.prices
            await self.sources.look_at(container, name, None, item.size, hosting, prices, spent=document.cost)
        except Missing:
            raise DocumentRefused(
                f"its source is not there any more in {container}: submit it again"
            ) from None
        requeued = replace(
            document,
            size=item.size,
            state=DocumentState.WAITING,
            run=document.run + 1,
            reason="",
            attempts=0,
            crashes=0,
            finished_at=None,
        )
        if await self._ledger.try_reopen(requeued):
            event("requeued", deployment=document.deployment, document=document.id, run=requeued.run)
        return await self._ledger.get(document.id) or requeued

    # --- the sweep ----------------------------------------------------------------------------

    async def sweep(self) -> SweepReport:
        """Walk the inbox, for 10 s at most, from where the last walk stopped, and account for everything."""
        until, report = self._clock.monotonic() + SWEEP_SECONDS, SweepReport()
        row = await self._tables.get(SWEEPS, INBOX, "walk")
        token = str(row.values["token"]) if row and row.values.get("token") else None
        whole_walk, present, began_at = token is None, set[str](), self._clock.now()
        waiting = {document.id: document async for document in self._waiting()}
        while True:
            page = await self._page(token, began_at)
            identities = [(item, self._identity(item)) for item in page.items]
            present.update(identity for _, identity in identities)
            unknown = [item for item, identity in identities if identity not in waiting]
            report.seen += len(page.items)
            for start in range(0, len(unknown), _AT_ONCE):
                await asyncio.gather(
                    *(self._account_for(item, report) for item in unknown[start : start + _AT_ONCE])
                )
                if self._clock.monotonic() > until:
                    break
            else:
                token = page.token
            if token is None or self._clock.monotonic() > until:
                break
        report.complete = token is None
        if report.complete and whole_walk:
            await self._settle_vanished(waiting, present, began_at, report)
        walk = Replace(
            "walk",
            {"token": token or "", "began_at": began_at, "unaccounted": report.unaccounted},
            etag=None,
        )
        await self._tables.write(SWEEPS, INBOX, [walk])
        event("sweep", seen=report.seen, taken_in=report.taken_in, unaccounted=report.unaccounted)
        if report.unaccounted:
            remedy = f"{report.unaccounted} upload(s) could not be recorded; the next sweep tries again"
            first = report.errors[0]
            told = str(first) if isinstance(first, LamplighterError) else type(first).__name__
            alert(Alert.UNACCOUNTED_DOCUMENTS, f"{remedy}: {told}")
        for name in self._settings.deployments:
            for leftover in await self._ledger.leftovers(name):
                await self._results.clear(leftover)
        return report

    async def _page(self, token: str | None, began_at: datetime) -> BlobPage:
        """The next page. A token that storage refuses is dropped: the next sweep begins anew."""
        try:
            return await self._blobs.list(INBOX, token, _PAGE)
        except StorageError:
            if token is not None:
                walk = Replace("walk", {"token": "", "began_at": began_at, "unaccounted": 0}, etag=None)
                await self._tables.write(SWEEPS, INBOX, [walk])
            raise

    async def last_sweep(self) -> LastSweep | None:
        """When the inbox was last walked, and what could not be recorded; None if it never was."""
        row = await self._tables.get(SWEEPS, INBOX, "walk")
        if row is None:
            return None
        began_at, unaccounted = row.values["began_at"], row.values.get("unaccounted", 0)
        assert isinstance(began_at, datetime)
        return LastSweep(began_at, int(str(unaccounted)))

    async def _waiting(self) -> AsyncIterator[Document]:
        for name in self._settings.deployments:
            async for document in self._ledger.unfinished(name):
                yield document

    def _identity(self, item: BlobItem) -> str:
        folder, slash, _ = item.name.partition("/")
        return identify(item, _partition(folder if slash else "", self.hosting(folder))).id

    async def _account_for(self, item: BlobItem, report: SweepReport) -> None:
        try:
            await self.take_in(item)
            report.taken_in += 1
        except Exception as error:  # one bad upload must not keep the others, or the passes, waiting
            report.errors.append(error)

    async def _settle_vanished(
        self, waiting: dict[str, Document], present: set[str], began_at: datetime, report: SweepReport
    ) -> None:
        """What waited and is not in the inbox any more was overwritten or deleted by its owner."""
        for document in waiting.values():
            if document.id in present or (document.claimed_until and document.claimed_until > began_at):
                continue
            if document.moved_to:
                continue  # requeued: its source does not lie in the inbox
            item = await self._blobs.stat(INBOX, document.name)
            if item is not None and item.etag == document.source_etag:
                continue
            state, reason = gone(Changed() if item else Missing())
            await self._results.settle(document, state, reason, self._clock.now())
            report.settled += 1


def refuse_by_size(size: int, limit: int) -> None:
    """Raises DocumentRefused for an empty file and one above the limit (both in bytes)."""
    if size == 0:
        raise DocumentRefused("the file is empty")
    if size > limit:
        raise DocumentRefused(f"the file has {size:,} bytes; limits.max_document_bytes is {limit:,}")


def gone(error: Missing | Changed, container: str = INBOX) -> tuple[DocumentState, str]:
    """The final state of a document whose source is not what it was in that container, and the reason."""
    if isinstance(error, Missing):
        place = "the inbox" if container == INBOX else container
        return DocumentState.WITHDRAWN, f"the file was deleted from {place} before it was answered"
    return DocumentState.SUPERSEDED, "the file was overwritten before it was answered; see the newer document"


def _partition(folder: str, hosting: Hosting | None) -> str:
    if hosting is not None:
        return hosting.name
    return folder if _DEPLOYMENT_NAME.fullmatch(folder) else UNKNOWN_DEPLOYMENT
