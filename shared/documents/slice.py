"""Run one slice of draining: claim, read, ask and store, for as many documents at once as the limits admit.

Claims, the work lease and If-None-Match results keep every promise even if another drainer runs concurrently.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import Sequence
from datetime import timedelta

from shared.alerts import Alert, alert
from shared.documents.answers import carry_out
from shared.documents.ask import AnswerUnusable
from shared.documents.blame import Witness
from shared.documents.candidates import LOOK, Candidates
from shared.documents.checkpoints import Checkpoints, forget
from shared.documents.claims import LAST_BACKOFF, Claims, backoff
from shared.documents.drain_report import DrainReport
from shared.documents.drain_tools import DrainTools
from shared.documents.evidence import Searchable, check
from shared.documents.identity import gone
from shared.documents.job import Job
from shared.documents.line import LONGEST_PAUSE, CapacityTooSmall, HandedBack, Line
from shared.documents.places import source_of
from shared.documents.plan import Plan, Rank, plan
from shared.documents.readers.part import Part
from shared.documents.record_files.attempt import work_on_records
from shared.documents.search_order import Orders
from shared.documents.source import apart
from shared.documents.waiting import first_done
from shared.errors import (
    BlobRefused,
    Changed,
    DocumentRefused,
    IsRecordFile,
    IsZipArchive,
    Missing,
    ModelError,
    ModelUnavailable,
    RateLimited,
    ReaderUnavailable,
    RequestRefused,
    StorageError,
)
from shared.hosting.answering import note_slice
from shared.hosting.leases import WorkLease
from shared.model import DeploymentConfig, DeploymentRecord, Document, DocumentState, Large

AT_ONCE = 256
"""The most documents in progress at once."""
_AHEAD = 5.0  # seconds: documents are claimed so long before the pacer admits them, at the deployment's rate
_LEAST_AHEAD = 2


class Slice:
    """Drain one deployment for one slice."""

    def __init__(
        self,
        tools: DrainTools,
        config: DeploymentConfig,
        endpoint: str,
        until: float,
        work: WorkLease,
        record: DeploymentRecord,
    ) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._timing = tools.timing
        self._config = config
        self._until = until
        self._work = work
        self._running: dict[str, asyncio.Task[None]] = {}
        self._unsent: set[str] = set()  # those in progress that the pacer has not admitted yet
        self._candidates = Candidates(tools, config.name)
        self._read_record_at = -math.inf  # monotonic seconds
        self._alone = ""  # the suspect in progress: no other document is started beside it
        self._claims = Claims(tools, work.holder)
        self._witness = Witness(tools.model, tools.documents, work, endpoint, config.name)
        self._orders = Orders(tools, config, endpoint)
        self._line = Line(tools, config, endpoint, work, record, self._witness)
        self._noted = False
        self._errors: list[Exception] = []

    async def run(self) -> DrainReport:
        """Answer documents until none is left, the deployment closes, or the time is up. Call it once."""
        try:
            while self._may_go_on() and await self._is_open():
                await self._start_more()
                if not self._running:
                    break
                await first_done(self._clock, self._running.values(), LOOK)
                self._running = {key: task for key, task in self._running.items() if not task.done()}
        finally:
            if self._clock.monotonic() < self._until:  # an error or a refusal has ended it early
                self._work.stop()
            await asyncio.gather(*self._running.values())
        return DrainReport(
            answered=self._claims.answered,
            settled=self._claims.settled,
            handed_back=self._claims.handed_back,
            halted=self._witness.halted,
            heard=self._witness.answers > 0,
            trouble=self._witness.trouble,
            errors=tuple(self._errors),
        )

    async def _is_open(self) -> bool:
        """Read the record every few seconds, and follow the limits that passes have seen meanwhile."""
        if self._clock.monotonic() < self._read_record_at:
            return True
        is_open = await self._work.is_open()
        self._read_record_at = self._clock.monotonic() + LOOK
        if self._work.record is not None:
            self._line.pacer = self._tools.pacer(self._config, self._work.record.generation)
        return is_open

    def _may_go_on(self) -> bool:
        return not self._witness.halted and self._clock.monotonic() < self._until

    def _may_ask(self) -> bool:
        return self._may_go_on() and self._work.allows(self._timing.request_seconds)

    async def _start_more(self) -> None:
        if self._alone in self._running:
            return
        await self._candidates.look(self._running, self._claims.left)
        ahead = max(_LEAST_AHEAD, int(self._line.pacer.limits.requests_per_minute / 60 * _AHEAD))
        while len(self._unsent) < ahead and len(self._running) < AT_ONCE:
            document = self._candidates.take()
            if document is None:
                break
            self._unsent.add(document.id)
            self._running[document.id] = asyncio.create_task(self._work_beside_others(document))
        suspect = self._candidates.suspect
        if suspect is not None and not self._running:
            self._alone = suspect.id
            self._running[suspect.id] = asyncio.create_task(self._work_alone(suspect))

    async def _work_beside_others(self, document: Document) -> None:
        try:
            async with self._tools.gate.shared():
                if self._may_go_on():
                    await self._work_on(document, alone=False)
        finally:
            self._unsent.discard(document.id)

    async def _work_alone(self, document: Document) -> None:
        """Process a suspect alone; it waits for a later slice if others are in progress.

        See Note [who is to blame for a crash].
        """
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._until - self._clock.monotonic())):
                    await stack.enter_async_context(self._tools.gate.alone())
                await self._work_on(document, alone=True)

    async def _work_on(self, document: Document, *, alone: bool) -> None:
        """Process one document. Its errors do not end the slice."""
        try:
            async with self._tools.sources.room_for(document, self._may_ask) as entered:
                claimed = await self._claims.claim(document, alone=alone) if entered else None
                if claimed is not None:
                    await self._answer(claimed)
        except Changed:
            pass  # another worker has claimed it
        except Exception as error:
            self._errors.append(error)
            self._claims.left.add(document.id)
            remedy = "the document is tried again when its claim runs out"
            fields = {"deployment": document.deployment, "document": document.id}
            alert(Alert.DRAIN_FAILED, remedy, error=type(error).__name__, **fields)

    async def _answer(self, document: Document) -> None:
        timing = self._timing
        longest = timing.request_seconds + timing.bookkeeping_seconds
        assert document.claimed_until is not None
        # Its write may have waited for others, or its answer may have been lost.
        claimed_for = (document.claimed_until - self._clock.now()).total_seconds()
        claim_allows = self._clock.monotonic() + claimed_for - longest
        last_start = min(claim_allows, self._until)
        try:
            tried_before = document.crashes or document.reason
            if tried_before and (stored := await self._tools.results.found(document)):
                await self._claims.finish_as_stored(document, stored)
                return
            (container, name, version), memory = source_of(document), None
            try:
                if document.form is not None:
                    raise IsRecordFile
                parts = await self._tools.sources.read(container, name, version, document.size, self._config)
            except (Missing, Changed) as error:
                await self._claims.settle(document, *gone(error, container))
                return
            except BlobRefused as error:
                await self._claims.settle(document, DocumentState.FAILED, error.reason)
                return
            except IsZipArchive as archive:
                if document.unpacked_from:
                    raise
                memory = archive.memory  # of the error nothing else is kept: it holds the file
            except IsRecordFile:
                self._unsent.discard(document.id)  # it paces its own requests
                tools, witness, note = self._tools, self._witness, self._note_answer
                await work_on_records(tools, self._line, self._claims, witness, note, document, self._until)
                return
            if memory is not None:
                unpacked = await self._tools.unpacker.unpack(document, memory)
                await self._claims.settle(unpacked, DocumentState.DONE, unpacked.reason)
                return
            most, kept = self._most(), self._tools.results.checkpoints(document)
            document, rank = await self._orders.rank(document, parts, most, kept, last_start)
            planned = await self._plan(document, parts, most, rank)
            self._line.refuse_beyond_capacity(planned.largest.tokens)
        except DocumentRefused as error:
            await self._claims.settle(document, DocumentState.FAILED, str(error))
        except CapacityTooSmall as error:
            self._witness.saw_trouble(self._clock.now(), str(error), silent=False)
            alert(Alert.CAPACITY_TOO_SMALL, str(error), deployment=document.deployment)
            await self._claims.give_back(document, str(error), rest=LAST_BACKOFF)
        except (StorageError, ReaderUnavailable) as error:
            await self._storage_failed(document, error)
        else:
            cut_short = self._until < claim_allows
            await self._ask_about(document, parts, planned, rank, kept, last_start, cut_short=cut_short)

    async def _ask_about(
        self,
        document: Document,
        parts: Sequence[Part],
        planned: Plan,
        rank: Rank,
        checkpoints: Checkpoints,
        last_start: float,
        *,
        cut_short: bool,
    ) -> None:
        asked_at, answers_before, task = self._clock.now(), self._witness.answers, self._config.task
        keeps = planned.has_many or task.large is not Large.WHOLE
        kept = checkpoints if keeps else None
        text = await apart(parts, Searchable, parts) if task.quotes else None
        sent = functools.partial(self._unsent.discard, document.id)
        job = Job(document, self._line, self._claims, last_start, sent, kept, text)
        try:
            value = await carry_out(
                job, planned, task, lambda most: self._plan(job.document, parts, most, rank)
            )
            evidence = check(value, task.quotes, text) if text else None
            now = self._clock.now()
            await self._tools.results.store(job.document, job.whole_answer, value, asked_at, now, evidence)
            await self._claims.done(job.document)
            await self._note_answer()
        except (DocumentRefused, RequestRefused) as error:
            self._witness.saw_answer()
            await self._claims.settle(job.document, DocumentState.FAILED, str(error))
            await self._note_answer()
        except AnswerUnusable as error:
            await self._claims.give_back(job.document, str(error), blame=True)
        except HandedBack as error:
            await self._claims.give_back(job.document, str(error))
            if job.progressed:  # its claim has ended, perhaps before the slice: it goes on where it was
                self._claims.left.discard(document.id)
            return
        except StorageError as error:
            await self._storage_failed(job.document, error)
        except ModelError as error:
            self._witness.saw_failure(error, asked_at, answers_before, cut_short=cut_short)
            # Retries that the slice's end cuts short are no evidence.
            in_doubt = cut_short and isinstance(error, ModelUnavailable)
            admitted = self._line.pacer.limits.tokens_at_once
            asked = job.refused or planned.largest
            # A limit that admitted some of its requests admits the others later.
            passing = in_doubt or (job.progressed and isinstance(error, RateLimited))
            blame = not passing and await self._witness.accuses(
                job.document, asked, error, answers_before, admitted
            )
            rest = self._rest(job.document, error)
            await self._claims.give_back(job.document, str(error), blame=blame, rest=rest)
        if document.id not in self._claims.left:  # it is finished
            await forget(kept)

    def _most(self) -> int | None:
        """Return the most tokens of a request about a document that may be cut; None for any other."""
        cut = self._config.task.large is not Large.WHOLE
        return self._line.pacer.limits.tokens_at_once if cut else None

    async def _plan(self, document: Document, parts: Sequence[Part], most: int | None, rank: Rank) -> Plan:
        """Plan the requests, of at most `most` tokens. An earlier try may have paid for some."""
        config, prices, spent = self._config, self._tools.prices, document.cost
        tried = bool(document.crashes or document.reason)
        return await apart(
            parts, plan, parts, config, prices, spent=spent, most=most, resumed=tried, rank=rank
        )

    async def _note_answer(self) -> None:
        """Record an answer at once if passes may soon delete the deployment for never answering."""
        record = self._work.record
        if record is None or record.generation.unanswered_since is None or self._noted:
            return
        self._noted = True
        with contextlib.suppress(StorageError):
            await note_slice(
                self._tools.ledger,
                self._config.hosted_id,
                self._clock.now(),
                answered=True,
                trouble=None,
            )

    def _rest(self, document: Document, error: ModelError) -> timedelta:
        """Return the pause of a document that is not to blame."""
        if isinstance(error, RateLimited):
            return timedelta(seconds=min(error.retry_after or 0.0, LONGEST_PAUSE))
        return backoff(document.unanswered + 1, self._timing)

    async def _storage_failed(self, document: Document, error: StorageError | ReaderUnavailable) -> None:
        """Give it back if storage or the reader failed: no attempt and no crash. Keep its cost so far."""
        self._errors.append(error)
        await self._claims.give_back(
            document, str(error), rest=backoff(document.unanswered + 1, self._timing)
        )
