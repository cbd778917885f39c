"""Ask about the records of one file, in one try: many at once, each kept as soon as it is answered.

The claim is renewed while it lasts, and carries the progress. A record pays only for what is its own: what
its form or its content is refused for, and failures while others are answered (see `blame`). All else ends
the try, and the file waits again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from shared.alerts import Alert, alert
from shared.documents.ask import (
    AnswerUnusable,
    BatchQuestion,
    Question,
    accept,
    refuse_more_than_admitted,
    repair,
)
from shared.documents.blame import Witness
from shared.documents.claims import Claims
from shared.documents.drain_tools import DrainTools
from shared.documents.line import CapacityTooSmall, HandedBack, Line
from shared.documents.record_files.claim import RecordClaim
from shared.documents.record_files.writer import Writer
from shared.documents.records.answer_log import AnswerLog, Kind, Known, key_of
from shared.documents.records.record import Outcome, from_line, problem_of
from shared.documents.records.request import highest_cost, request_of
from shared.documents.records.staging import IN_PROGRESS, staged_lines
from shared.errors import DocumentRefused, ModelError, ModelUnavailable, RequestRefused, StorageError
from shared.model import Document

AT_ONCE = 256
"""The most requests of one file in progress at once."""
MAX_FAILURES = 3
"""Failed tries of a record, each while others are answered, after which it has no answer in this run."""
_TRIES = 4  # of one request in a row while the service is unavailable
_AHEAD = 5.0  # seconds: requests wait so long before the pacer admits them, at the deployment's rate
_LEAST_AHEAD = 2
_LONGEST_PAUSE = 5.0  # seconds between two of these: a try that ends so close to its limit may be cut short
_MOST_IN_PROGRESS = IN_PROGRESS // 4  # bytes of records, which are in memory several times


class Ended(StrEnum):
    """Why a try ended."""

    COMPLETE = "every record has an outcome"
    CAPPED = "the next request would exceed max_cost_per_file"
    CANCELLED = "somebody cancelled it"
    PAUSED = "the slice ends, or the service does not answer"
    LOST = "another worker has it"


class RecordRun:
    """One try of one file. Use it once."""

    def __init__(
        self,
        tools: DrainTools,
        line: Line,
        claims: Claims,
        witness: Witness,
        note_answer: Callable[[], Awaitable[None]],
        document: Document,
        until: float,
    ) -> None:
        """`document`: staged, and claimed by this worker. `until`: no request starts later (monotonic)."""
        self._tools = tools
        self._clock = tools.clock
        self._line = line
        self._claims = claims
        self._witness = witness
        self._note_answer = note_answer
        self._until = until
        self.document_id = document.id
        self._before = document  # with the cost of all earlier tries
        self._prompt_tokens = self._completion_tokens = 0  # charged to this try
        self._promised = 0.0  # cost of the requests in progress, at most
        self._capped = self._paused = False
        self._at_once, self._one_by_one = AT_ONCE, False  # in this lap, and in the next one
        self._error: BaseException | None = None
        self._unsent = self._bytes = 0  # requests that wait; bytes of records in progress
        self._room = asyncio.Event()
        self._running = set[asyncio.Task[None]]()
        self.log = AnswerLog(tools.blobs, document)
        self.known = Known.of(0)
        self.claim = RecordClaim(tools, claims, document, self._with_progress, self._room.set)
        self._writer = Writer(tools, self.log, self, until)
        self._kept = 0  # outcomes and failures, in this try
        self.why = ""
        """Why it was paused."""
        self.failed = False
        """Whether that is a failure, after which the next try comes later."""

    # --- what a request is charged to ------------------------------------------------------------

    @property
    def document(self) -> Document:
        """Return the document with its progress and the cost of all requests so far."""
        return self._with_progress(self.claim.saved)

    def _with_progress(self, document: Document) -> Document:
        charged = self._claims.charged(self._before, self._prompt_tokens, self._completion_tokens)
        return replace(
            document,
            prompt_tokens=charged.prompt_tokens,
            completion_tokens=charged.completion_tokens,
            cost=charged.cost,
            answered=self.known.answered,
            refused=self.known.refused + document.invalid,
            logged=self.log.size,
        )

    def charge(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add tokens and their cost."""
        self._prompt_tokens += prompt_tokens
        self._completion_tokens += completion_tokens

    @property
    def has_kept(self) -> bool:
        """Return whether this try has kept the outcome of a record."""
        return self._kept > 0

    # --- the try ----------------------------------------------------------------------------------

    async def run(self) -> Ended:
        """Ask until every record has an outcome, or no more may be asked. Raises StorageError."""
        self.known = await self.log.load(self.claim.saved.records)
        if self.known.spent is not None:
            self._before = self.known.spent.charged_to(self._before)
        complete, writer = False, asyncio.create_task(self._writer.run())
        async with self.claim.renewed():
            try:
                while not complete and self._may_go_on():
                    complete = await self._lap()
            finally:
                if self._running:
                    await asyncio.wait(self._running)
                self._writer.close()
                await asyncio.gather(writer)
        if self.claim.lost:
            return Ended.LOST
        if (error := self._error or self._writer.error) is not None:
            raise error
        if complete:
            return Ended.COMPLETE
        if self.claim.saved.cancelled:
            return Ended.CANCELLED
        return Ended.CAPPED if self._capped else Ended.PAUSED

    async def _lap(self) -> bool:
        """Ask every record that has no outcome, once; return whether there was none."""
        found, kept = 0, self._kept
        self._at_once, self._one_by_one = (1 if self._one_by_one else AT_ONCE), False
        async for number, line in staged_lines(self._tools.blobs, self.claim.saved):
            key = key_of(line)
            if self.known.kind(number, key) is not None:
                continue
            record = from_line(line)
            if record.problem is None:
                asked = request_of(record, self._line.config)
                found += 1
                if not await self._has_room(len(line), self._cost_of(asked)):
                    break
                self._start(number, key, asked, len(line))
        if self._running:
            await asyncio.wait(self._running)
        # What is left needs more than this slice has: a record for which Azure gave too little capacity.
        self._paused = self._paused or (found > 0 and self._kept == kept and not self._one_by_one)
        return not found

    async def _has_room(self, size: int, cost: float) -> bool:
        """Wait until another record may be started; False if none may."""
        rate = self._line.pacer.limits.requests_per_minute / 60
        while self._may_go_on() and not self._one_by_one:
            fits_cap = self._fits_cap(cost)
            if not fits_cap and not self._running:
                self._capped = True
                return False
            ahead = 0 if self._writer.stalls else max(_LEAST_AHEAD, int(rate * _AHEAD))
            fits = not self._running or self._bytes + size <= _MOST_IN_PROGRESS
            if fits_cap and fits and self._unsent < ahead and len(self._running) < self._at_once:
                return True
            self._room.clear()
            await self._room.wait()
        return False

    def _fits_cap(self, cost: float) -> bool:
        cap = self._line.config.task.max_cost_per_file
        return cap is None or self.document.cost + self._promised + cost <= cap

    def _cost_of(self, asked: Question | BatchQuestion) -> float:
        return highest_cost(asked, self._line.config, self._tools.prices)

    def _may_go_on(self) -> bool:
        if self._paused or self._capped or self.claim.saved.cancelled or self._witness.halted:
            return False
        seconds = self._tools.timing.request_seconds
        return self._clock.monotonic() < self._last_start and self._line.work.allows(seconds)

    @property
    def _last_start(self) -> float:
        """Return until when a request may start: it must end, and be kept, within the slice and the claim."""
        timing = self._tools.timing
        longest = timing.request_seconds + timing.bookkeeping_seconds
        return min(self._until, self.claim.until - longest)

    def _start(self, number: int, key: bytes, asked: Question | BatchQuestion, size: int) -> None:
        cost = self._cost_of(asked)
        self._unsent += 1
        self._bytes += size
        self._promised += cost
        task = asyncio.create_task(self._one(number, key, asked))
        self._running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            error = None if task.cancelled() else task.exception()
            self._error = self._error or error
            self._paused = self._paused or task.cancelled() or error is not None
            self._bytes -= size
            self._promised -= cost
            self._room.set()

        task.add_done_callback(ended)

    # --- one record -------------------------------------------------------------------------------

    async def _one(self, number: int, key: bytes, asked: Question | BatchQuestion) -> None:
        """Ask about one record, and keep its outcome. Its errors end at most this try."""
        waits = True

        def sent() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._unsent -= 1
                self._room.set()
            elif not self._fits_cap(0.0):  # its earlier tries ended without an answer, and were charged
                raise HandedBack("another try could exceed max_cost_per_file")

        asked_at, answers = self._clock.now(), self._witness.answers
        try:
            self._refuse_impossible(asked)
            outcome = await self._outcome(asked, sent)
            refused = outcome.response is not None and outcome.response["status_code"] >= 400
            kind = Kind.PROBLEM if refused else Kind.ANSWER
        except CapacityTooSmall as error:
            self._witness.saw_trouble(self._clock.now(), str(error), silent=False)
            alert(Alert.CAPACITY_TOO_SMALL, str(error), deployment=self._line.config.name)
            self.failed, self.why = True, str(error)
            return
        except HandedBack as error:  # if the slice or the deployment ends, `_may_go_on` says so
            self.why = str(error)
            return
        except RequestRefused as error:
            self._witness.saw_answer()
            kind, outcome = Kind.PROBLEM, problem_of(error.code or "refused", error)
        except DocumentRefused as error:
            kind, outcome = Kind.PROBLEM, problem_of("refused", error)
        except AnswerUnusable as error:
            kind, outcome = self._failed(number, "invalid_answer", error)
        except ModelError as error:
            if not await self._is_to_blame(asked, error, asked_at, answers):
                self.failed, self.why = True, str(error)
                return
            kind, outcome = self._failed(number, error.code or "unavailable", error)
        finally:
            if waits:
                sent()
        try:
            await self._writer.keep(self.log.entry(number, key, kind, outcome))
        except StorageError:
            return  # the writer has it, and the try ends
        self._kept += 1
        await self._note_answer()

    async def _is_to_blame(
        self, asked: Question | BatchQuestion, error: ModelError, asked_at: datetime, answers_before: int
    ) -> bool:
        """Return whether there is evidence against one record: see `blame`. If there is none, end the try.

        If several fail and none is answered, they are asked one by one first.
        """
        unavailable = isinstance(error, ModelUnavailable)
        cut_short = self._clock.monotonic() + _LONGEST_PAUSE > self._last_start
        heard = self._witness.answers > answers_before
        beside_others = self._at_once > 1 and (self._one_by_one or len(self._running) > 1)
        if unavailable and not heard and not cut_short and beside_others:
            self._one_by_one = True
            return False
        self._witness.saw_failure(error, asked_at, answers_before, cut_short=cut_short)
        admitted = self._line.pacer.limits.tokens_at_once
        in_doubt = (cut_short and unavailable) or (not heard and len(self._running) > 1)
        if in_doubt or not await self._witness.accuses(self.document, asked, error, answers_before, admitted):
            self._paused = True
            return False
        return True

    def _refuse_impossible(self, asked: Question | BatchQuestion) -> None:
        """Raise DocumentRefused for what is too long, CapacityTooSmall if Azure gave too little for it."""
        refuse_more_than_admitted(asked.tokens, self._line.config, "shorten the record")
        self._line.refuse_beyond_capacity(asked.tokens)

    async def _outcome(self, asked: Question | BatchQuestion, sent: Callable[[], None]) -> Outcome:
        line, until = self._line, self._last_start
        if isinstance(asked, BatchQuestion):
            response = await line.complete(self, asked, until, sent, _TRIES)
            body = {"status_code": response.status, "request_id": response.request_id, "body": response.body}
            return Outcome(response=body)
        answer = await line.ask(self, asked, until, sent, _TRIES)
        try:
            return Outcome(accept(answer, asked.request))
        except AnswerUnusable as unusable:
            again = repair(asked, answer, unusable)
            if again is None or not self._fits_cap(self._cost_of(again)):
                raise
            repaired = await line.ask(self, again, until, sent, _TRIES)
            return Outcome(accept(repaired, again.request))

    def _failed(self, number: int, code: str, error: Exception) -> tuple[Kind, Outcome]:
        """Return what is kept of a failure that the record is to blame for."""
        last = self.known.failures.get(number, 0) + 1 >= MAX_FAILURES
        return Kind.PROBLEM if last else Kind.FAILURE, problem_of(code, error)
