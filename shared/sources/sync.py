"""Bring sources and documents into step, once a minute: what is unfinished first, then answers, then a look.

Each deployment's source is worked on by itself: one that cannot be reached delays no other. Its failures are
counted, and the next try waits longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.alerts import Alert, alert, event
from shared.documents.backlog import DocumentLedger
from shared.errors import ReaderUnavailable, SourceError, StorageError, shown
from shared.model import ContainerSource, DeploymentConfig
from shared.ports import Blobs, Clock, Connections, Tables
from shared.sources.arrivals import Arrivals
from shared.sources.look import Look, Overtaken
from shared.sources.record_file import MOST_ROWS
from shared.sources.taken import Progress, Taken
from shared.sources.when import is_looked_at, pause, rest
from shared.sources.write_back import write_back

SECONDS = 40.0
"""For so long a call starts new pages. It goes on where it stopped."""
WRITE_AGAIN = timedelta(minutes=10)
"""The time between two looks for documents that were requeued after their answers had been written."""


class SourceSync:
    """Work on sources. `most_rows`: of a record file."""

    def __init__(
        self,
        clock: Clock,
        tables: Tables,
        blobs: Blobs,
        documents: DocumentLedger,
        arrivals: Arrivals,
        connections: Connections,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self.connections = connections
        self._clock = clock
        self._tables = tables
        self._blobs = blobs
        self._documents = documents
        self._arrivals = arrivals
        self.most_rows = most_rows
        self._ledgers: dict[str, Taken] = {}
        self._busy = set[str]()

    async def run(self, deployments: Sequence[DeploymentConfig]) -> list[str]:
        """Work on the sources of these deployments; return what failed, for people."""
        with_source = [config for config in deployments if config.source and config.name not in self._busy]
        outcomes = await asyncio.gather(
            *(self._one(config) for config in with_source), return_exceptions=True
        )
        problems = list[str]()
        for config, outcome in zip(with_source, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                if not isinstance(outcome, Exception):
                    raise outcome
                problems.append(f"{config.name}: {shown(outcome)}")
        return problems

    async def _one(self, config: DeploymentConfig) -> None:
        """Work on one source. Raises StorageError for our own storage; what fails there is in alerts."""
        assert config.source is not None
        self._busy.add(config.name)
        try:
            taken = self._ledgers.setdefault(config.name, Taken(self._tables, config.name, config.source))
            await taken.read()
            progress = await taken.progress()
            if isinstance(config.source, ContainerSource):
                after = await self._look(config, taken, progress)
            else:
                after = await self._look(config, taken, await self._write(config, taken, progress))
            if after != progress:
                await taken.save_progress(after)
        finally:
            self._busy.discard(config.name)

    async def _write(self, config: DeploymentConfig, taken: Taken, progress: Progress) -> Progress:
        """Record the documents that a crash left unrecorded, and write the answers of finished ones."""
        assert config.source is not None and not isinstance(config.source, ContainerSource)
        now, well = self._clock.now(), True
        again = progress.next_again is None or now >= progress.next_again
        claims = [claim for claim in await taken.open() if again or not claim.written]
        if again:
            progress = replace(progress, next_again=now + WRITE_AGAIN)
        unfinished = await self._documents.unfinished_among(config.name, [claim.document for claim in claims])
        finished = [
            (claim, await self._arrivals.rows(config, claim))
            for claim in claims
            if claim.document not in unfinished
        ]
        if not finished or (progress.next_write is not None and now < progress.next_write):
            return progress
        try:
            rows = self.connections.rows(config.source)
            for claim, document in finished:
                well &= await write_back(self._blobs, rows, taken, claim, document, now)
        except SourceError as error:
            alert(Alert.TARGET_UNWRITABLE, f"answers wait in the results: {error}", deployment=config.name)
            well = False
        failures = 0 if well else progress.failed_writes + 1
        until = self._clock.now() + pause(failures) if failures else None
        return replace(progress, failed_writes=failures, next_write=until)

    async def _look(self, config: DeploymentConfig, taken: Taken, progress: Progress) -> Progress:
        """Look at the source if that is due."""
        source, now, began = config.source, self._clock.now(), self._clock.monotonic()
        assert source is not None
        is_due = progress.next_look is None or now >= progress.next_look
        if not is_due or not is_looked_at(config, now):
            return progress
        look = Look(
            *(self._clock, self._blobs, self._arrivals, config, taken, progress.start),
            until=began + SECONDS,
            most_rows=self.most_rows,
        )
        try:
            if isinstance(source, ContainerSource):
                folder = self.connections.folder(source)
                await look.files(folder)
                await look.take(await taken.open(), folder)  # an earlier look, or a crash, left them
            else:
                await look.rows(self.connections.rows(source))
        except Overtaken:
            return progress
        except (SourceError, StorageError, ReaderUnavailable) as error:
            alert(Alert.SOURCE_UNREADABLE, f"it is looked at again later: {error}", deployment=config.name)
            failures = progress.failed_looks + 1
            return replace(progress, failed_looks=failures, next_look=self._clock.now() + pause(failures))
        if look.claimed:
            event("source_taken", deployment=config.name, number=look.claimed)
        took = timedelta(seconds=self._clock.monotonic() - began)
        following = None if look.start else self._clock.now() + rest(took)
        return replace(progress, start=look.start, failed_looks=0, next_look=following)
