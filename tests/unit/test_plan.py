"""The plan: what a deployment's windows and documents want, and the order of an account's steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from shared.model import (
    Action,
    Demand,
    DeploymentConfig,
    OneOffWindow,
    RecordState,
    UploadStart,
)
from shared.planning.decision import Observation
from shared.planning.desired import wanted
from shared.planning.plan import plan
from tests.fakes.world import ACCOUNT, config, picture
from tests.unit.one_decision import BUSY, ME, NOW, azure, record

WINDOW = OneOffWindow(NOW, NOW + timedelta(hours=1), close_grace=timedelta(minutes=5))
BATCH = OneOffWindow(NOW, NOW + timedelta(hours=1), stop_when_empty=True)


@pytest.mark.parametrize(
    ("minutes", "up", "keep"),
    [
        (-16, False, False),
        (-15, True, False),
        (0, True, False),
        (57, True, False),
        (60, False, True),
        (65, False, False),
    ],
)
def test_a_window_is_wanted_from_its_lead_to_its_end(minutes: int, up: bool, keep: bool) -> None:
    """Half-open, created by the lead before, and kept through its grace."""
    want = wanted(config("clauses", WINDOW), Demand(), NOW + timedelta(minutes=minutes))
    assert (want.up, want.keep) == (up, keep)


def test_a_batch_window_is_wanted_while_something_waits() -> None:
    """Without documents nothing is deployed; with them it is, and when they are done it goes."""
    batch = config("clauses", BATCH, uploads=UploadStart.SCHEDULED)
    assert not wanted(batch, Demand(), NOW).up
    assert wanted(batch, BUSY, NOW).up
    assert wanted(batch, BUSY, NOW - timedelta(minutes=15)).up
    assert not wanted(batch, BUSY, NOW + timedelta(hours=1)).up


def test_scheduled_uploads_wait_for_a_window() -> None:
    """They start nothing by themselves, and the reason says what they wait for."""
    scheduled = config("clauses", WINDOW, uploads=UploadStart.SCHEDULED)
    want = wanted(scheduled, BUSY, NOW - timedelta(hours=2))
    assert not want.up
    assert "wait for the next window" in want.reason
    assert want.changes_at == NOW - timedelta(minutes=15)
    assert wanted(scheduled, BUSY, NOW).changes_at == NOW + timedelta(hours=1)


# --- an account as a whole ------------------------------------------------------------------------


def order(*configured: DeploymentConfig, demand: Mapping[str, Demand]) -> list[tuple[str, Action]]:
    """The steps of an account on which `old` is closing."""
    known = picture(NOW, *configured, records={"old": record(RecordState.CLOSING, "old")}, demand=demand)
    decisions = plan(ME, ACCOUNT, Observation(NOW, {"old": azure(name="old")}, known))
    return [(each.deployment, each.action) for each in decisions]


def test_deletes_come_before_creates() -> None:
    """They take seconds, cost money while they wait, and release quota and slots."""
    steps = order(config("a"), config("old"), demand={"a": BUSY})
    assert steps == [("old", Action.DELETE), ("a", Action.CREATE)]


def test_a_window_at_risk_comes_before_deletes() -> None:
    """A create takes minutes: once a window's lead runs, its start does not wait for deletes."""
    soon = config("w", OneOffWindow(NOW + timedelta(minutes=5), NOW + timedelta(hours=1)))
    assert order(soon, config("old"), demand={}) == [("w", Action.CREATE), ("old", Action.DELETE)]
