"""Timer triggers, as TimerListener.cs and ScheduleMonitor.cs of azure-webjobs-sdk-extensions have them."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime

from azure.core.exceptions import AzureError
from azure.functions.timer import TimerRequest

from local.host.app import Function, resolve
from local.host.schedule import Schedule
from local.host.storage import Records
from local.host.worker import Worker

log = logging.getLogger(__name__)


class TimerTrigger:
    """Fires one function on its schedule, one invocation at a time.

    A start that finds in its record that an occurrence was missed fires at once, with `past_due`. A run
    that overran occurrences is followed at once by a single one, without `past_due`. There is no record of
    schedules with several occurrences a minute or with `use_monitor=False`. Raises HostError for a
    schedule that is not valid.
    """

    def __init__(self, function: Function, worker: Worker, records: Records) -> None:
        self._function = function
        self._worker = worker
        self._records = records
        self._record = f"timers/{function.name}/status"
        self._expression = resolve(function.trigger["schedule"])
        self._schedule = Schedule(self._expression)
        unmonitored = function.trigger.get("useMonitor") is False
        self._monitored = not unmonitored and not self._schedule.several_a_minute

    async def run(self) -> None:
        """Fire until cancelled. Raises AzureError when the record cannot be read."""
        now = datetime.now(UTC)
        known = await self._records.read(self._record) if self._monitored else None
        if known and known["schedule"] == self._expression:  # a changed schedule has missed nothing
            due = datetime.fromisoformat(known["next"])
        else:
            due = await self._next_after(now)
        if due < now or self._function.trigger.get("runOnStartup"):
            due = await self._fire(now, past_due=due < now)
        while True:
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            due = await self._fire(max(due, datetime.now(UTC)), past_due=False)

    async def invoke(self, past_due: bool = False) -> None:
        """Invoke the function now, without regard to its schedule or to a running invocation."""
        with suppress(Exception):  # logged; the next occurrence is the retry
            await self._worker.invoke(self._function, TimerRequest(past_due=past_due))

    async def _fire(self, at: datetime, past_due: bool) -> datetime:
        async def attempt() -> None:
            await self.invoke(past_due)
            await self._next_after(at)

        await asyncio.wait({self._worker.start(attempt())})
        return self._schedule.next_after(at)

    async def _next_after(self, at: datetime) -> datetime:
        due = self._schedule.next_after(at)
        if self._monitored:
            record = {"schedule": self._expression, "last": at.isoformat(), "next": due.isoformat()}
            try:
                await self._records.write(self._record, record)
            except AzureError as error:  # best effort, as in Azure: a restart may repeat an occurrence
                log.warning("function=%s occurrence not recorded: %s", self._function.name, error)
        return due
