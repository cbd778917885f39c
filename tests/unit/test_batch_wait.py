"""A batch waits for the cheapest moment within its completion window: pure planning, as timed stories."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.documents.backlog import DocumentLedger
from shared.documents.identity import id_of_batch, patience
from shared.model import Demand, Document, OneOffWindow, UploadStart
from shared.planning.batch_wait import Patience, latest_start, patience_of
from shared.planning.desired import Outlook, Wanted, wanted
from shared.planning.estimates import LEAD_SHARE, PRIOR
from tests.fakes.clock import START, VirtualClock
from tests.fakes.tables import MemoryTables
from tests.fakes.world import config

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LEAD = Outlook(lead=15 * MINUTE)
LATEST = START + 22 * HOUR
CREATE = LATEST - PRIOR.quantile(LEAD_SHARE)
BATCH = Demand(1, False, (), LATEST, START)


def want(at: datetime, demand: Demand = BATCH, **changes: Any) -> Wanted:
    """What is wanted at a time. `changes`: of the deployment, or `up`."""
    outlook = replace(LEAD, up=changes.pop("up", False))
    return wanted(replace(config(), **changes), demand, at, None, outlook)


def window(start: float, end: float, **given: Any) -> dict[str, Any]:
    return {"windows": (OneOffWindow(START + start * HOUR, START + end * HOUR, **given),)}


@pytest.mark.parametrize(
    ("hours", "tokens", "requests", "wait", "run"),
    [
        (24, 0, 1, 1429, 11),  # at least ten minutes of margin
        (24, 600_000, 10, 13 * 60, 11 * 60),  # ten hours of tokens, and a tenth of it
        (24, 1000, 600, 13 * 60, 11 * 60),  # ten hours of requests
        (1, 600_000, 10, 0, 11 * 60),  # it cannot be done in time: at once
        (24, 10**12, 10, 0, 99_999),
    ],
)
def test_a_batch_may_wait_as_long_as_it_does_not_run(
    hours: int, tokens: int, requests: int, wait: int, run: int
) -> None:
    """And its document's id says so."""
    found = patience_of(hours * HOUR, tokens, requests, 1000, 1)
    assert found == Patience(wait * MINUTE, run * MINUTE)
    assert patience(id_of_batch("batch_1", "clauses", START, found).partition("~")[2]) == found


def test_batches_that_wait_together_are_begun_so_early_that_each_is_in_time() -> None:
    """Ten hours each within a day: the second one makes both begin, or a short one behind a long one does."""
    ten = Patience(13 * HOUR, 11 * HOUR)
    assert latest_start([]) is None
    assert latest_start([(START, ten)]) == START + 13 * HOUR
    assert latest_start([(START, ten), (START + HOUR, ten)]) == START + 3 * HOUR
    soon = (START, Patience(30 * MINUTE, 11 * MINUTE))
    assert latest_start([soon, (START, ten)]) == START + 30 * MINUTE
    assert latest_start([(START, Patience(100 * HOUR, HOUR)), soon]) == START - 30 * MINUTE


def test_it_is_created_as_late_as_the_window_allows() -> None:
    """Not before; then at once, whatever start_within is for other documents."""
    for within in (timedelta(0), 30 * MINUTE):
        early = want(START + MINUTE, start_within=within)
        assert (early.up, early.changes_at) == (False, CREATE)
        assert "1 unfinished document to be begun by 2026-" in early.reason
        assert not want(CREATE - MINUTE, start_within=within).up
        assert want(CREATE, start_within=within).up


def test_what_is_up_already_answers_it_and_goes_only_for_a_window_within_its_promise() -> None:
    """The window costs nothing more: what was up for others is deleted, and opened for the window."""
    assert want(START + MINUTE, up=True).up
    later = want(START + MINUTE, up=True, **window(10, 18))
    assert not later.up and "in the window from 2026-" in later.reason
    paid = replace(LEAD, up=True, unit=HOUR, billed_from=START)
    free = wanted(replace(config(), **window(10, 18)), BATCH, START + MINUTE, None, paid)
    assert (free.up, free.keep) == (False, True), "a paid hour is used for it"
    assert want(START + 10 * HOUR - 10 * MINUTE, **window(10, 18)).up
    assert want(START + 11 * HOUR, **window(10, 18)).up
    assert want(START + 11 * HOUR, **window(10, 18, stop_when_empty=True)).up


def test_a_window_that_comes_too_late_or_was_too_short_is_not_waited_for() -> None:
    assert want(CREATE, **window(23, 30)).up
    after = want(START + 12 * HOUR, **window(10, 11))  # the batch is not done
    assert (after.up, after.changes_at) == (False, CREATE)
    assert want(CREATE, **window(10, 11)).up


def test_other_documents_start_it_earlier() -> None:
    """At once by default; with start_within, by the earlier of the two promises."""
    both = replace(BATCH, unfinished=2, arrivals=(START,))
    assert want(START, both).up
    assert want(START + MINUTE, both, start_within=HOUR, up=True, **window(10, 18)).up
    patient = want(START + MINUTE, both, start_within=HOUR)
    assert not patient.up and patient.changes_at is not None
    assert START + 30 * MINUTE < patient.changes_at < START + HOUR
    urgent = replace(both, latest_start=START + 20 * MINUTE)
    assert want(START + 6 * MINUTE, urgent, start_within=HOUR).up


def test_scheduled_uploads_wait_for_the_schedule() -> None:
    assert not want(LATEST + HOUR, uploads=UploadStart.SCHEDULED).up


async def test_the_ledger_knows_by_keys_alone_who_may_wait() -> None:
    """Those that may not count as arrivals, also behind hundreds that may; the oldest of all is known."""
    ledger = DocumentLedger(MemoryTables(VirtualClock()), VirtualClock())

    async def add(document_id: str, at: datetime) -> None:
        await ledger.add(Document(document_id, "clauses", "clauses/a", "1", 1, at))

    assert await ledger.demand("clauses") == Demand()
    for number in range(250):
        at = START + number * MINUTE
        waits = Patience(24 * HOUR - number * 2 * MINUTE, MINUTE)
        await add(id_of_batch(str(number), "clauses", at, waits), at)
    first = await ledger.demand("clauses")
    assert (first.unfinished, first.more, first.arrivals) == (250, False, ())
    assert first.latest_start == START + 24 * HOUR - 2 * 249 * MINUTE
    assert (first.oldest, first.patient_since) == (START, START)
    later = START + 300 * MINUTE
    await add("clauses~20261123T130000-0123456789abcdef", later)
    both = await ledger.demand("clauses")
    assert (both.unfinished, both.arrivals, both.oldest) == (251, (later,), START)
    found = await ledger.get(id_of_batch("0", "clauses", START, Patience(24 * HOUR, MINUTE)))
    assert found is not None and found.arrived_at == START
    assert patience("20261123T130000-0123456789abcdef") is None
