"""Claim the documents of one slice, and record them as done, settled or given back.

The rules for attempts, crashes and costs of a document are here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.alerts import event
from shared.documents.alone import crashes_of
from shared.documents.condemned import condemned
from shared.documents.drain_tools import DrainTools
from shared.documents.places import result_name
from shared.documents.records.answer_log import AnswerLog
from shared.documents.stored_result import Stored
from shared.errors import StorageError
from shared.model import Document, DocumentState
from shared.money.cost import token_cost
from shared.timing import Timing

MAX_ATTEMPTS = 5
"""Failures (without hand-overs and crashes) after which a document is a dead letter."""
LAST_BACKOFF = timedelta(minutes=2)
"""The longest pause of a document between two attempts."""


class Claims:
    """Write one slice's changes of its documents, and count the outcomes."""

    def __init__(self, tools: DrainTools, holder: str) -> None:
        """`holder`: the holder of the slice's work lease."""
        self._tools = tools
        self._holder = holder
        self.answered = 0
        self.settled = 0
        self.handed_back = 0
        self.left: set[str] = set()
        """Documents that this slice does not claim again."""

    async def claim(self, document: Document, *, alone: bool) -> Document | None:
        """Claim it for the duration of a work lease that is written now. None: it must not be asked now.

        Raises Changed if another worker was first, StorageError.
        """
        counted = await self._with_crash(document)
        lone_crashes = counted.lone_crashes
        if lone_crashes > document.lone_crashes and await self._tools.results.spent(document) is None:
            if (reason := condemned(document)) is not None:
                await self.settle(counted, DocumentState.FAILED, reason)
            else:
                # Another cause may be killing workers now, so the next try comes later.
                rest = backoff(lone_crashes + 1, self._tools.timing)
                await self.give_back(counted, "the app died while it worked on it", rest=rest)
            return None
        lasts = timedelta(seconds=self._tools.timing.work_lease_seconds)
        claimed = replace(
            counted,
            state=DocumentState.CLAIMED,
            alone=alone,
            claimed_by=self._holder,
            claimed_until=self._tools.clock.now() + lasts,
            not_before=None,
        )
        try:
            return await self._tools.documents.save(claimed)
        except StorageError:
            # If only the answer was lost, it is ours: nobody would work on it until the claim expires.
            found = await self._tools.documents.get(document.id)
            if found is None or found.claimed_by != self._holder:
                raise
            return found

    async def _with_crash(self, document: Document) -> Document:
        """Return it with the crash of an expired claim counted. A file that got further is not to blame."""
        crashes, lone_crashes = crashes_of(document)
        kept = document.logged
        if document.form is not None and crashes > document.crashes:
            kept = await AnswerLog(self._tools.blobs, document).length()
            if kept > document.logged:
                crashes = lone_crashes = 0
        return replace(document, crashes=crashes, lone_crashes=lone_crashes, alone=False, logged=kept)

    async def renew(self, document: Document) -> Document:
        """Claim it for longer, and save its progress and cost. Raises Changed, StorageError."""
        lasts = timedelta(seconds=self._tools.timing.work_lease_seconds)
        return await self._tools.documents.save(
            replace(document, claimed_until=self._tools.clock.now() + lasts)
        )

    async def done(self, document: Document) -> None:
        """Record it as done: its answer is stored. Raises StorageError."""
        finished = replace(document, result=result_name(document))
        await self._tools.results.settle(finished, DocumentState.DONE, "answered", self._tools.clock.now())
        self.answered += 1

    async def finish_as_stored(self, document: Document, stored: Stored) -> None:
        """Record what a stored result says: an earlier worker stored it and could not record that.

        The cost of that answer may be on the document already. Raises StorageError.
        """
        charged = replace(stored.applied_to(document), result=result_name(document))
        now = self._tools.clock.now()
        await self._tools.results.settle(charged, stored.state, stored.reason, now)
        self.answered += 1

    async def settle(self, document: Document, state: DocumentState, reason: str) -> None:
        """Give it a final state without an answer. Raises StorageError."""
        await self._tools.results.settle(document, state, reason, self._tools.clock.now())
        self.settled += 1

    async def give_back(
        self, document: Document, reason: str, *, blame: bool = False, rest: timedelta = timedelta(0)
    ) -> None:
        """Let it wait again. `blame`: this counts as one of its MAX_ATTEMPTS. `rest`: the pause before.

        Raises StorageError.
        """
        attempts = document.attempts + blame
        if attempts >= MAX_ATTEMPTS:
            await self.settle(document, DocumentState.FAILED, f"gave up after {attempts} attempts: {reason}")
            return
        if blame:
            rest = backoff(attempts, self._tools.timing)
        await self._tools.documents.save(
            replace(
                document,
                state=DocumentState.WAITING,
                reason=reason[:500],
                attempts=attempts,
                unanswered=document.unanswered + (rest > timedelta(0)),
                alone=False,
                claimed_by="",
                claimed_until=None,
                not_before=self._tools.clock.now() + rest if rest else None,
            )
        )
        self.left.add(document.id)
        self.handed_back += 1
        event("handed_back", deployment=document.deployment, document=document.id, attempts=attempts)

    def charged(self, document: Document, prompt_tokens: int, completion_tokens: int) -> Document:
        """Return it with the tokens and their cost added, not saved yet."""
        return replace(
            document,
            prompt_tokens=document.prompt_tokens + prompt_tokens,
            completion_tokens=document.completion_tokens + completion_tokens,
            cost=document.cost + token_cost(prompt_tokens, completion_tokens, self._tools.prices),
        )


def backoff(failures: int, timing: Timing) -> timedelta:
    """Return the pause after this many failures in a row: 30 s, doubling, 2 minutes at most."""
    return min(LAST_BACKOFF, timing.first_backoff * (1 << min(max(failures - 1, 0), 10)))
