"""Send the events in the outbox, and remove those that were taken. A timer calls this once a minute.

An event is sent at least once, always with the same id: after a crash between a send and its removal it is
sent again. Order is not promised. A receiver that does not answer is left alone until the next tick; one that
refuses an event gets the others, and that one again later and later. After a week an event is dropped. Ticks
start at different places, so that an event that is never answered does not keep the others from its receiver.
One that did not answer in the last tick is first sent a single event: many are not read every minute for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from shared.alerts import Alert, alert, event
from shared.errors import Changed, EventRefused, ReceiverUnavailable, StorageError
from shared.model import Receiver
from shared.notify.outbox import Notice, key_at, key_range
from shared.ports import Clock, Remove, Replace, Row, Sender, Tables
from shared.rows import from_row, to_values

T = TypeVar("T")

SECONDS = 45.0
"""For so long a tick starts to send events. It ends before the next tick, whatever the receivers do."""
KEPT = timedelta(days=7)
"""An event that was not taken by then is dropped, with an alert."""
TOO_LONG = timedelta(minutes=15)
"""From this age on, an event that waits is an alert: a receiver that restarts is none."""
SEND_SECONDS = 10.0
"""The longest try of one event."""
_PAGE = 100  # rows, as many as one transaction removes
_AT_ONCE = 16
_IN_A_ROW = 5  # refused events after which a receiver that takes none is left alone
_LONGEST_PAUSE = timedelta(hours=1)  # as often as an alert of what lasts is logged


@dataclass(frozen=True)
class Box:
    """Where rows of one receiver may lie: a table, a partition and the kind of their keys."""

    table: str
    partition: str
    kind: str
    receiver: Receiver


@dataclass
class _Turn:
    """One receiver in one tick."""

    taken: int = 0
    refused: int = 0
    dropped: int = 0
    waiting: timedelta = timedelta(0)  # the greatest age of an event that was not taken
    problem: str = ""
    code: str = ""
    silent: bool = False  # it did not answer in the last tick, and has not in this one
    closed: bool = False  # it is left alone until the next tick

    @property
    def is_over(self) -> bool:
        return self.closed or (not self.taken and self.refused >= _IN_A_ROW)


class Delivery:
    """Deliver what is in the outbox."""

    def __init__(self, tables: Tables, clock: Clock, sender: Sender) -> None:
        self._tables = tables
        self._clock = clock
        self._sender = sender
        self._silent = set[str]()  # the keys of receivers that did not answer when they were last tried

    async def run(self, boxes: Iterable[Box]) -> list[StorageError]:
        """Deliver from all boxes, each receiver independently. Return the errors of storage."""
        until = self._clock.monotonic() + SECONDS
        of_receiver = defaultdict[str, list[Box]](list)
        for box in {(each.table, each.partition, each.receiver.key): each for each in boxes}.values():
            of_receiver[box.receiver.key].append(box)
        turns = [self._turn(found, until) for found in of_receiver.values()]
        return [error for errors in await asyncio.gather(*turns) for error in errors]

    async def _turn(self, boxes: Sequence[Box], until: float) -> list[StorageError]:
        """Deliver to one receiver."""
        key = boxes[0].receiver.key
        turn, errors = _Turn(silent=key in self._silent), list[StorageError]()
        for box in _from_anywhere(boxes):
            try:
                await self._empty(box, turn, until)
            except StorageError as error:
                errors.append(error)
            if turn.is_over:
                break
        if turn.closed:
            self._silent.add(key)
        elif not turn.silent:
            self._silent.discard(key)
        _report(boxes[0].receiver, turn)
        return errors

    async def _empty(self, box: Box, turn: _Turn, until: float) -> None:
        if turn.silent and not await self._answers(box, turn, until):
            return
        start, stop = key_range(box.kind, box.receiver)
        more = True
        while more and not turn.is_over and self._clock.monotonic() < until:
            page = await self._tables.page(box.table, box.partition, start, stop, _PAGE)
            if not page.rows:
                return
            await self._send(box, page.rows, turn, until)
            start, more = f"{page.rows[-1].key} ", page.more

    async def _answers(self, box: Box, turn: _Turn, until: float) -> bool:
        """Send one event of a box. Return whether to go on with the others."""
        start, stop = key_range(box.kind, box.receiver)
        # Of any age, the young ones as often as the old ones: the oldest may be what it never answers.
        of_any_age = key_at(start, self._clock.now() - KEPT * random.random() ** 4)  # noqa: S311
        for first in (of_any_age, start):
            found = await self._tables.keys(box.table, box.partition, first, stop, _AT_ONCE)
            if found.keys:
                break
        else:
            return False
        any_of_them = random.choice(found.keys)  # noqa: S311
        page = await self._tables.page(box.table, box.partition, any_of_them, stop, 1)
        await self._send(box, page.rows, turn, until)
        return bool(page.rows) and not turn.closed

    async def _send(self, box: Box, rows: Sequence[Row], turn: _Turn, until: float) -> None:
        """Send the events of some rows, and save the outcome. Nothing is sent after `until`."""
        now = self._clock.now()
        changes, due = list[Remove | Replace](), list[tuple[Row, Notice]]()
        for row in rows:
            notice = from_row(Notice, row)
            if now - notice.made_at > KEPT:
                turn.dropped += 1
                changes.append(Remove(row.key, row.etag))
            elif notice.not_before is None or notice.not_before <= now:
                due.append((row, notice))
        slots = asyncio.Semaphore(_AT_ONCE)
        if due and now - due[0][1].made_at >= TOO_LONG:
            due = _from_anywhere(due)
        # The first one shows whether the receiver answers at all.
        for group in (due[:1], due[1:]):
            sent = [self._one(box.receiver, notice, turn, slots, until) for _, notice in group]
            for (row, notice), taken in zip(group, await asyncio.gather(*sent), strict=True):
                if taken:
                    changes.append(Remove(row.key, row.etag))
                    continue
                turn.waiting = max(turn.waiting, now - notice.made_at)
                if taken is False:
                    changes.append(Replace(row.key, to_values(_later(notice, now)), row.etag))
        await self._save(box, changes)

    async def _one(
        self, receiver: Receiver, notice: Notice, turn: _Turn, slots: asyncio.Semaphore, until: float
    ) -> bool | None:
        """Send one event. Return whether its receiver took or refused it; None if neither is known."""
        async with slots:
            if turn.is_over or self._clock.monotonic() >= until:
                return None
            try:
                await self._sender.send(receiver, notice.event, timeout=SEND_SECONDS)
            except ReceiverUnavailable as error:
                turn.closed, turn.problem, turn.code = True, str(error), error.code
                return None
            except EventRefused as error:
                turn.silent = False
                turn.refused += 1
                turn.problem, turn.code = str(error), error.code
                return False
            turn.silent = False
            turn.taken += 1
            return True

    async def _save(self, box: Box, changes: Sequence[Remove | Replace]) -> None:
        if not changes:
            return
        try:
            await self._tables.write(box.table, box.partition, changes)
        except Changed:  # another process has changed some of these rows
            for change in changes:
                with contextlib.suppress(Changed):
                    await self._tables.write(box.table, box.partition, [change])


def _from_anywhere(items: Sequence[T]) -> list[T]:
    """Return the items in their order, beginning with any of them."""
    first = random.randrange(len(items))  # noqa: S311
    return [*items[first:], *items[:first]]


def _later(notice: Notice, now: datetime) -> Notice:
    """Return an event that was refused: it is tried again after a minute, and then after twice as long."""
    pause = min(_LONGEST_PAUSE, timedelta(minutes=1 << min(notice.refusals, 10)))
    return replace(notice, refusals=notice.refusals + 1, not_before=now + pause)


def _report(receiver: Receiver, turn: _Turn) -> None:
    """Log what became of the events, without their content."""
    if turn.taken:
        event("events_sent", receiver=receiver.shown, events=turn.taken)
    if turn.problem and turn.waiting < TOO_LONG:
        event("events_not_sent", receiver=receiver.shown, problem=turn.problem, code=turn.code)
    elif turn.problem:
        remedy = f"{turn.problem}; the events wait for {KEPT.days} days, and are sent again meanwhile"
        alert(Alert.EVENTS_WAIT, remedy, receiver=receiver.shown, code=turn.code)
    if turn.dropped:
        remedy = f"{turn.dropped} event(s) were not taken for {KEPT.days} days, and are dropped"
        alert(Alert.EVENTS_DROPPED, remedy, receiver=receiver.shown)
