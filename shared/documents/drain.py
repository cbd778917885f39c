"""Requests → answers: one deployment's waiting documents, answered within its limits.

The caller holds the deployment's drain lease. Claims, the work lease and If-None-Match results keep every
promise even if it lost that lease: two drainers would only share the deployment's limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.alerts import Alert, alert, event
from shared.documents.ask import AnswerUnusable, Question, accept, question
from shared.documents.backlog import DocumentLedger
from shared.documents.intake import gone
from shared.documents.results import Results, result_name, source_of
from shared.documents.source import Sources
from shared.domain import DeploymentRecord, Document, DocumentState, Hosting, ModelAnswer, Prices
from shared.errors import (
    AccessDenied,
    Changed,
    DeploymentNotFound,
    DocumentRefused,
    Missing,
    ModelError,
    RateLimited,
    RequestRefused,
    StorageError,
)
from shared.hosting.leases import REQUEST_LIMIT, WORK_LEASE, WorkLease
from shared.hosting.ledger import Ledger
from shared.inference.pacer import Pacer
from shared.inference.retry import with_retry
from shared.planning.cost import token_cost
from shared.ports import Blobs, Clock, Model, Tables
from shared.waiting import first_done

AT_ONCE = 32
"""Documents in work at once at most; fewer where the deployment admits fewer requests a minute, so that a
claim is not spent on waiting for the pacer."""
MAX_ATTEMPTS = 5
"""Failures (not hand-overs or crashes) after which a document is a dead letter."""
MAX_CRASHES = 5
"""Claims that ran out, because the app died over the document or paused, before it is a dead letter."""
_LOOK = 2.0  # seconds between looks for new documents while others are in work
WARM_UP = timedelta(minutes=5)
"""For so long after its first answer a deployment may still say 404 here and there."""

_BOOKKEEPING = 10.0  # seconds for storing an answer within its claim
_LONGEST_REST = 600.0  # seconds that a rate limit may make a document rest
_FIRST_BACKOFF = timedelta(seconds=30)


@dataclass
class DrainReport:
    """What a slice did."""

    answered: int = 0
    settled: int = 0  # failed, superseded or withdrawn
    handed_back: int = 0
    halted: str = ""  # why nobody could be answered any more
    silent: bool = False  # because the deployment says that it does not exist
    errors: list[Exception] = field(default_factory=list)


class HandedBack(Exception):
    """The slice ends or the deployment closes: the document waits again, and nobody is to blame."""


class Drainer:
    """Answers the documents of a deployment."""

    def __init__(
        self,
        clock: Clock,
        tables: Tables,
        blobs: Blobs,
        model: Model,
        documents: DocumentLedger,
        results: Results,
        ledger: Ledger,
        prices: Prices,
        sources: Sources,
    ) -> None:
        self.sources = sources
        self.clock = clock
        self.tables = tables
        self.blobs = blobs
        self.model = model
        self.documents = documents
        self.results = results
        self.ledger = ledger
        self.prices = prices

    async def drain(self, hosting: Hosting, endpoint: str, until: float) -> DrainReport:
        """Answer what waits until nothing does, the deployment closes, or monotonic `until` has come.

        Requests that run at `until` end first. Raises StorageError when the fence cannot be entered.
        """
        if await anext(self.claimable(hosting.name), None) is None:
            return DrainReport()
        work = WorkLease(self.clock, self.tables, self.ledger, hosting.account, hosting.name)
        try:
            if not await work.enter():
                return DrainReport()
            assert work.record is not None
            slice_ = _Slice(self, hosting, endpoint, until, work, work.record)
            async with _renewed(self.clock, work):
                return await slice_.run()
        finally:
            await work.leave()

    async def claimable(self, deployment: str) -> AsyncIterator[Document]:
        """The documents that may be worked on now, oldest first: neither claimed nor at rest."""
        now = self.clock.now()
        async for document in self.documents.unfinished(deployment):
            claimed = document.claimed_until is not None and document.claimed_until > now
            resting = document.not_before is not None and document.not_before > now
            if not claimed and not resting:
                yield document


@contextlib.asynccontextmanager
async def _renewed(clock: Clock, work: WorkLease) -> AsyncIterator[None]:
    async def renew() -> None:
        while True:
            await clock.sleep(WORK_LEASE / 3)
            # A renewal that fails lets the lease run out, and with it the right to start requests.
            with contextlib.suppress(StorageError):
                await work.enter()

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()
        # A renewal under way must not write the lease again after it was left.
        await asyncio.wait([renewal])


class _Slice:
    """One slice of draining one deployment."""

    def __init__(
        self,
        drainer: Drainer,
        hosting: Hosting,
        endpoint: str,
        until: float,
        work: WorkLease,
        record: DeploymentRecord,
    ) -> None:
        self._of = drainer
        self._clock = drainer.clock
        self._hosting = hosting
        self._endpoint = endpoint
        self._until = until
        self._work = work
        self._opened_at = record.opened_at
        tokens = record.tokens_per_minute or hosting.spec.capacity * 1000
        requests = record.requests_per_minute or hosting.spec.capacity
        self._pacer = Pacer(drainer.clock, tokens, requests)
        self._at_once = min(AT_ONCE, requests)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._handed_back: set[str] = set()  # not again in this slice
        self._report = DrainReport()

    async def run(self) -> DrainReport:
        try:
            while self._may_go_on() and await self._work.is_open():
                await self._start_more()
                if not self._running:
                    break
                await first_done(self._clock, self._running.values(), _LOOK)
                self._running = {key: task for key, task in self._running.items() if not task.done()}
        finally:
            await asyncio.gather(*self._running.values())
        return self._report

    def _may_go_on(self) -> bool:
        return not self._report.halted and self._clock.monotonic() < self._until

    def _may_ask(self) -> bool:
        return self._may_go_on() and self._work.allows(REQUEST_LIMIT)

    async def _start_more(self) -> None:
        free = self._at_once - len(self._running)
        if free == 0:
            return
        async for document in self._of.claimable(self._hosting.name):
            if document.id in self._running or document.id in self._handed_back:
                continue
            self._running[document.id] = asyncio.create_task(self._work_on(document))
            free -= 1
            if free == 0:
                return

    async def _work_on(self, document: Document) -> None:
        """One document, whatever happens to it: no error of one ends the slice of the others."""
        try:
            async with self._of.sources.room_for(document, self._may_ask) as entered:
                claimed = await self._claim(document) if entered else None
                if claimed is not None:
                    await self._answer(claimed)
        except Changed:
            pass  # somebody else has it
        except Exception as error:
            self._report.errors.append(error)
            remedy = "the document is tried again when its claim runs out"
            fields = {"deployment": document.deployment, "document": document.id}
            alert(Alert.DRAIN_FAILED, remedy, error=type(error).__name__, **fields)

    async def _claim(self, document: Document) -> Document | None:
        """Make it ours until the work lease written by now would run out."""
        crashes = document.crashes + (document.state is DocumentState.CLAIMED)
        if crashes > MAX_CRASHES and await self._of.results.spent(document) is None:
            reason = f"the app died {crashes} times while working on it"
            await self._settle(document, DocumentState.FAILED, reason)
            return None
        return await self._of.documents.save(
            replace(
                document,
                state=DocumentState.CLAIMED,
                crashes=crashes,
                claimed_by=self._work.holder,
                claimed_until=self._clock.now() + timedelta(seconds=WORK_LEASE),
                not_before=None,
            )
        )

    async def _answer(self, document: Document) -> None:
        claim_allows = self._clock.monotonic() + WORK_LEASE - REQUEST_LIMIT - _BOOKKEEPING
        last_start = min(claim_allows, self._until)
        try:
            tried_before = document.crashes or document.reason
            if tried_before and (spent := await self._of.results.spent(document)):
                # Something came between storing and recording: the answer is there, and is not paid twice.
                # What it cost may be on the document already.
                await self._done(
                    replace(
                        document,
                        prompt_tokens=max(document.prompt_tokens, spent.prompt_tokens),
                        completion_tokens=max(document.completion_tokens, spent.completion_tokens),
                        cost=max(document.cost, spent.cost),
                    )
                )
                return
            container, name, version = source_of(document)
            try:
                text = await self._of.sources.text(container, name, version)
            except (Missing, Changed) as error:
                await self._settle(document, *gone(error, container))
                return
            asked = question(
                text,
                self._hosting,
                self._of.prices,
                spent=document.cost,
                tokens_per_minute=self._pacer.tokens_per_minute,
            )
            asked_at = self._clock.now()
            answer = await self._ask(asked, last_start)
            document = self._charged(document, answer.prompt_tokens, answer.completion_tokens)
            value = accept(answer, asked.request)
            await self._of.results.store(document, answer, value, asked_at, self._clock.now())
            await self._done(document)
        except (DocumentRefused, RequestRefused) as error:
            await self._settle(document, DocumentState.FAILED, str(error))
        except HandedBack as error:
            await self._give_back(document, str(error), blame=False)
        except (AccessDenied, DeploymentNotFound) as error:
            self._report.halted = str(error)
            self._report.silent = isinstance(error, DeploymentNotFound)
            await self._give_back(document, str(error), blame=False)
            denied = isinstance(error, AccessDenied)
            name = Alert.MODEL_ACCESS_DENIED if denied else Alert.DRAIN_FAILED
            alert(name, str(error), deployment=document.deployment)
        except RateLimited as error:
            rest = timedelta(seconds=min(error.retry_after or 0.0, _LONGEST_REST))
            await self._give_back(document, str(error), blame=False, rest=rest)
        except StorageError as error:
            # Not the document's fault, and no crash; what it has cost so far is kept.
            self._report.errors.append(error)
            await self._give_back(document, str(error), blame=False, rest=_FIRST_BACKOFF)
        except (ModelError, AnswerUnusable) as error:
            # Retries that the end of the slice cuts short are nobody's fault.
            cut_short = isinstance(error, ModelError) and self._until < claim_allows
            await self._give_back(document, str(error), blame=not cut_short)

    async def _ask(self, asked: Question, last_start: float) -> ModelAnswer:
        async def ask() -> ModelAnswer:
            tokens = self._pacer.estimate(asked.prompt_tokens, asked.request.max_output_tokens)
            if not await self._pacer.admit(min(tokens, self._pacer.tokens_per_minute), last_start):
                raise HandedBack("it waits for the deployment's rate limit")
            # The fence: nothing is awaited between this check and the request.
            if not self._work.allows(REQUEST_LIMIT):
                raise HandedBack("the deployment is closing")
            return await self._of.model.ask(
                self._endpoint, self._hosting.name, asked.request, timeout=REQUEST_LIMIT
            )

        warming_up = self._opened_at is not None and self._clock.now() - self._opened_at < WARM_UP
        answer = await with_retry(
            ask,
            self._clock,
            until=last_start,
            warming_up=warming_up,
            pause_everybody=self._pacer.pause,
        )
        self._pacer.learn(asked.prompt_tokens, answer.prompt_tokens, answer.remaining_tokens)
        return answer

    def _charged(self, document: Document, prompt_tokens: int, completion_tokens: int) -> Document:
        return replace(
            document,
            prompt_tokens=document.prompt_tokens + prompt_tokens,
            completion_tokens=document.completion_tokens + completion_tokens,
            cost=document.cost + token_cost(prompt_tokens, completion_tokens, self._of.prices),
        )

    async def _done(self, document: Document) -> None:
        finished = replace(document, result=result_name(document))
        await self._of.results.settle(finished, DocumentState.DONE, "answered", self._clock.now())
        self._report.answered += 1

    async def _settle(self, document: Document, state: DocumentState, reason: str) -> None:
        await self._of.results.settle(document, state, reason, self._clock.now())
        self._report.settled += 1

    async def _give_back(
        self, document: Document, reason: str, *, blame: bool, rest: timedelta = timedelta(0)
    ) -> None:
        attempts = document.attempts + blame
        if attempts >= MAX_ATTEMPTS:
            await self._settle(document, DocumentState.FAILED, f"gave up after {attempts} attempts: {reason}")
            return
        if blame:
            rest = _FIRST_BACKOFF * (1 << (attempts - 1))
        await self._of.documents.save(
            replace(
                document,
                state=DocumentState.WAITING,
                reason=reason[:500],
                attempts=attempts,
                claimed_by="",
                claimed_until=None,
                not_before=self._clock.now() + rest if rest else None,
            )
        )
        self._handed_back.add(document.id)
        self._report.handed_back += 1
        event("handed_back", deployment=document.deployment, document=document.id, attempts=attempts)
