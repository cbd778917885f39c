"""The demonstration's scenarios: when they happen, and what a month of each would cost."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.scenarios import (
    Door,
    Metered,
    minutes_a_day,
    month_dollars,
    plan_scenarios,
    read_meter,
    write_deployments,
)
from local.stack import ACCOUNT_ID
from shared.model import OneOffWindow, UploadStart
from shared.settings.load import load

NOW = datetime(2026, 11, 22, 14, 0, 0, 123456, tzinfo=UTC)
AD_HOC, BATCH, OFFICE = plan_scenarios(NOW, documents=5, seconds_each=2.0)


def bill_row(deployment: str, hosted: float, *, ready_after: float | None, dollars: float) -> dict[str, Any]:
    """A row of the emulator's bill for a deployment that was created at NOW."""
    ready = None if ready_after is None else (NOW + timedelta(seconds=ready_after)).isoformat()
    return {
        "deployment": deployment,
        "created": NOW.isoformat(),
        "ready": ready,
        "hosted_seconds": hosted,
        "dollars": dollars,
    }


def test_documents_come_by_both_doors_and_each_window_has_room_for_them() -> None:
    """Ad hoc and batch documents come at once, office ones when the window opens; more of them, more time."""
    assert {AD_HOC.door, BATCH.door, OFFICE.door} == {Door.INBOX, Door.HTTP}
    assert AD_HOC.window is None
    assert BATCH.window is not None and BATCH.submit_at < BATCH.window[0]
    assert OFFICE.window is not None and OFFICE.submit_at == OFFICE.window[0]
    many = plan_scenarios(NOW, documents=50, seconds_each=2.0)[2]
    assert many.window is not None
    assert many.window[1] - many.window[0] == OFFICE.window[1] - OFFICE.window[0] + timedelta(seconds=90)


def test_only_an_office_window_keeps_a_deployment_without_documents() -> None:
    """The batch window is long, but its deployment goes when the last document is answered."""
    assert OFFICE.window is not None and OFFICE.ends == OFFICE.window[1]
    assert BATCH.ends == BATCH.submit_at


def test_the_meter_is_summed_up_per_scenario() -> None:
    """Two sessions of one deployment, one of which never got ready, and a row of another one."""
    bill = {
        "deployments": [
            bill_row("ad-hoc", 60.0, ready_after=5.0, dollars=0.03),
            bill_row("ad-hoc", 10.0, ready_after=None, dollars=0.02),
            bill_row("batch", 99.0, ready_after=1.0, dollars=9.0),
        ]
    }
    metered = read_meter(bill, AD_HOC)
    assert (metered.sessions, metered.hosted_seconds, metered.creating_seconds) == (2, 70.0, 15.0)
    assert metered.dollars == pytest.approx(0.05)
    assert read_meter({"deployments": []}, OFFICE) == Metered()


def test_a_month_counts_a_creation_as_slow_as_azures_and_started_minutes() -> None:
    """61 s of serving are two minutes; with five for creating, 21 times a month at $1.70 an hour: $4.17."""
    metered = Metered(sessions=1, hosted_seconds=66.0, creating_seconds=5.0, dollars=0.0567)
    assert minutes_a_day(AD_HOC, metered) == 7
    assert month_dollars(AD_HOC, metered) == pytest.approx(7 / 60 * 21 * 1.70)


def test_business_hours_are_a_working_day_and_not_the_demonstrations_half_minute() -> None:
    """Nine hours and a quarter of one before, whatever was hosted here."""
    assert minutes_a_day(OFFICE, Metered(1, 30.0, 5.0, 0.0283)) == 9 * 60 + 15


def test_the_generated_file_is_one_that_the_app_takes(tmp_path: Path) -> None:
    """The app's own validation reads it, prompts and schema included, and finds the windows meant."""
    path = write_deployments([AD_HOC, BATCH, OFFICE], tmp_path)
    hosted = load(path, {"AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID}).deployments
    assert {name: config.uploads for name, config in hosted.items()} == {
        "ad-hoc": UploadStart.ON_DEMAND,
        "batch": UploadStart.SCHEDULED,
        "office-hours": UploadStart.SCHEDULED,
    }
    assert BATCH.window is not None and OFFICE.window is not None
    assert hosted["ad-hoc"].windows == ()
    assert hosted["batch"].windows == (OneOffWindow(*BATCH.window, stop_when_empty=True),)
    assert hosted["office-hours"].windows == (OneOffWindow(*OFFICE.window),)
    schemas = [config.task.response_schema is not None for config in hosted.values()]
    assert schemas == [False, False, True]
