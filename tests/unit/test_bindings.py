"""What the functions host must know: settings that cannot be used mean defaults, never no functions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cronsim import CronSim

from shared.settings.bindings import EVERY_MINUTE, read_bindings


def test_without_settings_it_is_event_grid_every_minute() -> None:
    """The defaults are those of Azure's Flex Consumption, and nothing is wrong."""
    bindings = read_bindings({})
    assert bindings.blob_source == "EventGrid"
    assert (bindings.schedule, bindings.ticks) == (EVERY_MINUTE, EVERY_MINUTE)
    assert bindings.problems == ()
    assert read_bindings({"BLOB_SOURCE": "", "RECONCILE_SCHEDULE": ""}) == bindings


def test_a_schedule_that_can_be_used_is_left_to_the_host() -> None:
    """The host resolves %RECONCILE_SCHEDULE%; the fields themselves are for the end of slices."""
    bindings = read_bindings({"BLOB_SOURCE": "LogsAndContainerScan", "RECONCILE_SCHEDULE": "*/5 * * * * *"})
    assert bindings.blob_source == "LogsAndContainerScan"
    assert (bindings.schedule, bindings.ticks) == ("%RECONCILE_SCHEDULE%", "*/5 * * * * *")
    assert bindings.problems == ()


@pytest.mark.parametrize("source", ["eventgrid", "Polling", "EventGrid "])
def test_an_unknown_blob_source_means_the_default_and_a_problem(source: str) -> None:
    """An unknown source would otherwise raise at import, and the app would have no functions."""
    bindings = read_bindings({"BLOB_SOURCE": source})
    assert bindings.blob_source == "EventGrid"
    (problem,) = bindings.problems
    assert problem == f"BLOB_SOURCE is {source!r}; use one of EventGrid, LogsAndContainerScan"


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",  # five fields, as cron has them
        "0 * * * * * *",
        "every minute",
        "00:05:00",
        "- - - - - -",
        ", , , , , ,",
        "60 * * * * *",
        "0 60 * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 32 * *",
        "0 0 0 * 13 *",
        "0 0 0 * * 7",
        "*/0 * * * * *",
        "5-1 * * * * *",
        "1,,2 * * * * *",
        "1-2-3 * * * * *",
        "0 * * * * MON",
        "0 * * * * ٣",
    ],
)
def test_a_schedule_that_no_host_takes_means_the_default_and_a_problem(schedule: str) -> None:
    """The host would refuse to start the function: a minute is better than never."""
    bindings = read_bindings({"RECONCILE_SCHEDULE": schedule})
    assert (bindings.schedule, bindings.ticks) == (EVERY_MINUTE, EVERY_MINUTE)
    (problem,) = bindings.problems
    assert problem.startswith(f"RECONCILE_SCHEDULE is {schedule!r}; write six fields such as ")


@pytest.mark.parametrize(
    "schedule",
    ["*/5 * * * * *", "0,30 * * * * *", "0 */2 8-18 * * 1-5", "0 0 0 1,15 1-12/3 *", "59 59 23 31 12 *"],
)
def test_what_is_taken_is_a_schedule_to_our_own_clockwork_too(schedule: str) -> None:
    """The ends of slices are computed from the same six fields."""
    bindings = read_bindings({"RECONCILE_SCHEDULE": schedule})
    assert bindings.problems == ()
    assert next(CronSim(bindings.ticks, datetime(2026, 11, 23, tzinfo=UTC)))
