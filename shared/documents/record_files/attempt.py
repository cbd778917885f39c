"""Work on a file of records in one try: stage it if need be, ask, and finish it or let it wait again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from shared.documents.blame import Witness
from shared.documents.claims import Claims, backoff
from shared.documents.drain_tools import DrainTools
from shared.documents.identity import gone
from shared.documents.line import Line
from shared.documents.places import source_of
from shared.documents.record_files.finish import Finish
from shared.documents.record_files.run import Ended, RecordRun
from shared.errors import Changed, Missing, StorageError
from shared.model import Document


async def work_on_records(
    tools: DrainTools,
    line: Line,
    claims: Claims,
    witness: Witness,
    note_answer: Callable[[], Awaitable[None]],
    document: Document,
    until: float,
) -> None:
    """Ask about the records of a claimed file until monotonic `until`. `note_answer`: called for each answer.

    Raises DocumentRefused if it has no record or would cost too much, ReaderUnavailable, StorageError.
    """
    container, name, version = source_of(document)
    try:
        source = await tools.staging.source(container, name, version)
    except (Missing, Changed) as error:
        await claims.settle(document, *gone(error, container))
        return
    document = await tools.staging.stage(document, source, line.config)
    run = RecordRun(tools, line, claims, witness, note_answer, document, until)
    try:
        await _finish(tools, line, claims, run, await run.run())
    except StorageError as error:  # its row was written since the caller has read it
        await claims.give_back(run.document, str(error), rest=backoff(document.unanswered + 1, tools.timing))
        raise


async def _finish(tools: DrainTools, line: Line, claims: Claims, run: RecordRun, ended: Ended) -> None:
    finish, task = Finish(tools.blobs, tools.results, tools.clock), line.config.task
    match ended:
        case Ended.COMPLETE:
            await finish.complete(run.document, task, run.log, run.known)
            claims.answered += 1
        case Ended.CAPPED:
            cap = f"{task.max_cost_per_file:.2f} {tools.prices.currency}"
            why = f"the next record could exceed max_cost_per_file ({cap}): raise it, and requeue the file"
            await finish.stop(run.document, task, run.log, run.known, why)
            claims.settled += 1
        case Ended.CANCELLED:
            await finish.stop(run.document, task, run.log, run.known, "it was cancelled")
            claims.settled += 1
        case Ended.PAUSED:
            paused = replace(run.document, unanswered=0) if run.has_kept else run.document
            rests = run.failed and not run.has_kept
            rest = backoff(paused.unanswered + 1, tools.timing) if rests else timedelta(0)
            await claims.give_back(paused, run.why or "the slice ended", rest=rest)
            if run.has_kept:  # it goes on where it was, perhaps in this slice: its claim may have ended
                claims.left.discard(run.document.id)
        case Ended.LOST:
            claims.left.add(run.document.id)
