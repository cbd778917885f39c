"""Group concurrent writes of one partition into few transactions.

A call of the SDK costs several times as much CPU as one more row in a transaction, and documents are
recorded, claimed and finished in bursts.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import AlreadyExists, Changed
from shared.ports import Clock, Insert, Remove, Replace, Tables

_MOST = 100  # rows of a transaction, Azure's maximum

Change = Insert | Replace | Remove


@dataclass
class _Write:
    changes: tuple[Change, ...]
    written: asyncio.Future[tuple[str, ...]]
    sent: bool = False


class GroupedWrites:
    """Write to one table. Each write succeeds or fails alone, though it is sent together with others."""

    def __init__(self, tables: Tables, table: str, clock: Clock) -> None:
        self._tables = tables
        self._table = table
        self._clock = clock
        self._waiting: defaultdict[str, list[_Write]] = defaultdict(list)  # by partition
        self._sent_at: dict[str, float] = {}  # monotonic seconds, by partition
        self._sending: set[asyncio.Task[None]] = set()

    async def write(
        self, partition: str, changes: Sequence[Change], *, apart: float = 0.0
    ) -> tuple[str, ...]:
        """See `shared.ports.Tables.write`. `apart`: seconds since the partition's last transaction.

        Until then it waits for others, so a write that comes alone does not wait.
        """
        write = _Write(tuple(changes), asyncio.get_running_loop().create_future())
        waiting = self._waiting[partition]
        waiting.append(write)
        wait = self._sent_at.get(partition, -math.inf) + apart - self._clock.monotonic()
        # Even without a wait, those that come in the same moment join.
        await (self._clock.sleep(wait) if wait > 0 else asyncio.sleep(0))
        while not write.sent:
            self._sent_at[partition] = self._clock.monotonic()
            # In a task of its own: the others' writes must not end with this one's caller.
            task = asyncio.create_task(self._send(partition, _taken(waiting)))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return await write.written

    async def _send(self, partition: str, group: Sequence[_Write]) -> None:
        changes = [change for write in group for change in write.changes]
        try:
            etags = iter(await self._tables.write(self._table, partition, changes))
        except (AlreadyExists, Changed) as error:
            if len(group) == 1:
                _fail(group[0], error)
            else:  # one of them conflicts, and only that one may fail
                await asyncio.gather(*(self._send(partition, [write]) for write in group))
        except BaseException as error:
            for write in group:
                _fail(write, error)
        else:
            for write in group:
                own = tuple(next(etags) for _ in write.changes)
                if not write.written.done():
                    write.written.set_result(own)


def _taken(waiting: list[_Write]) -> list[_Write]:
    """Remove from the front as many writes as one transaction can hold: no row twice. Mark them as sent."""
    keys: set[str] = set()
    count = 0
    for write in waiting:
        own = {change.key for change in write.changes}
        if len(keys) + len(own) > _MOST or keys & own:
            break
        keys |= own
        count += 1
    group = waiting[:count]
    del waiting[:count]
    for write in group:
        write.sent = True
    return group


def _fail(write: _Write, error: BaseException) -> None:
    if not write.written.done():
        write.written.set_exception(error)
