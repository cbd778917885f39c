"""The keys of every JSON document that routes and commands answer with: programs rely on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from shared.doors import api
from shared.model import Mode, OneOffWindow
from shared.reports.as_json import FLAT, to_json
from shared.reports.doctor.findings import DoctorReport, Status, ok
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.command_line import command

HOLD = ("--for", "2h", "--owner", "dana", "--reason", "a demo", "--json")

DOCUMENT = (
    "id deployment name state reason waits_until run attempts prompt_tokens completion_tokens cost currency "
    "result moved_to unpacked_from size arrived_at finished_at records"
)
HELD = "deployment hold until owner reason replaced_hold_of forecast mode step"
STATUS = (
    "deployment account model observed observed_reason observed_at last_seen account_problem wanted reason "
    "next_change step step_reason problem unfinished start_within mode hold adopted differences session"
)
EXPLAINED = f"{STATUS} next_step blocked unfinished_more failed oldest_unfinished this_month decisions"
SUM = "certain batch_at_most uploads always_on saving_at_least saving_at_most not_forecast"
PREVIEW = "since until currency records_known deployments cost_centers total notes"
PLANNED = (
    f"deployment account cost_center sku price_per_hour mode time_zone hold kept_until {SUM} uploads_told "
    "intervals marks advice"
)
SESSION = (
    "account deployment cost_center sku capacity generation started_at ready_at ended_after ended_by "
    "hours_at_least hours_at_most price_per_hour cost_at_least cost_at_most currency"
)
TOTALS = (
    "hours_at_least hours_at_most cost_at_least cost_at_most always_on_cost saving_at_least saving_at_most "
    "currency"
)


def keys(value: Any, *path: str | int) -> str:
    """The keys at a place of a document, in their order."""
    for each in path:
        value = value[each]
    assert isinstance(value, Mapping)
    return " ".join(value)


async def lively() -> World:
    """Held up, a document done, one failed, one waiting; an hour later."""
    world = World.of(
        config("clauses", OneOffWindow(START + timedelta(hours=20), START + timedelta(hours=22)))
    )
    world.upload("clauses/a.txt")
    world.upload("clauses/b.txt", b"GIF89a")
    await world.until(lambda: world.results() != [], timedelta(minutes=10))
    await command(world, "up", "clauses", *HOLD)
    world.upload("clauses/c.txt")
    await world.app.intake.sweep()
    return world


async def test_documents() -> None:
    """Submitted, listed, alone, requeued, in a page, and with their results."""
    world = await lively()
    submitted = await api.submit(world.app, "clauses", "letter.txt", b"Dear all", None)
    assert keys(submitted.body) == DOCUMENT
    page = (await api.documents(world.app)).body
    assert keys(page) == "documents more next more_folders"
    by_name = {each["name"]: each for each in page["documents"]}
    assert {keys(each) for each in by_name.values()} == {DOCUMENT}
    assert keys((await api.document(world.app, by_name["a.txt"]["id"])).body) == DOCUMENT
    result = await api.result(world.app, by_name["a.txt"]["id"])
    assert {"document", "spent", "answer"} <= set(result.body)
    assert (await command(world, "documents", "--json")).json == page
    refused = (await command(world, "requeue", by_name["b.txt"]["id"], "--json")).json
    assert keys(refused) == "documents more"
    assert keys(refused, "documents", 0) == "id state run error"
    assert keys((await api.requeue(world.app, by_name["b.txt"]["id"])).body) == "error"
    requeued = (await command(world, "requeue", by_name["c.txt"]["id"], "--json")).json
    assert keys(requeued, "documents", 0) == f"{DOCUMENT} error"


async def test_submitted_files(tmp_path: Path) -> None:
    """One that is taken, one that is refused, one whose name is taken."""
    world, letter = World.of(config()), tmp_path / "letter.txt"
    letter.write_text("Dear all")
    files = (str(letter), str(tmp_path / "missing.txt"), str(letter))
    shown = (await command(world, "submit", "clauses", *files, "--json")).json
    assert keys(shown) == "deployment documents"
    ends = "answer saved"
    assert keys(shown, "documents", 0) == f"file {DOCUMENT} {ends}"
    assert keys(shown, "documents", 1) == f"file id state reason {ends}"
    assert keys(shown, "documents", 2) == f"file {DOCUMENT} note {ends}"
    text = (await command(world, "submit", "clauses", str(letter))).out
    assert f"{letter}: this name is taken: the document is called 'letter-" in text


async def test_deployments() -> None:
    """Listed, alone, and with what Azure has; what is in them where there is something."""
    world = await lively()
    listed = (await api.deployments(world.app)).body
    assert keys(listed) == "deployments accounts sweep failed_elsewhere"
    assert keys(listed, "deployments", 0) == f"{STATUS} failed"
    assert keys(listed, "deployments", 0, "failed") == "since count more"
    assert keys(listed, "failed_elsewhere") == "since count more"
    assert keys(listed, "accounts", 0) == "account read_at account_problem"
    assert keys(listed, "sweep") == "began_at age_seconds unaccounted walked_at resting"
    assert (await command(world, "status", "--json")).json == listed
    alone = (await api.deployment(world.app, "clauses")).body
    assert keys(alone) == EXPLAINED
    assert keys(alone, "hold") == "way until owner reason made_at"
    assert keys(alone, "session") == "started_at ready_at ended_at cost_at_least cost_at_most currency"
    assert keys(alone, "next_step") == "action reason again_at"
    assert keys(alone, "oldest_unfinished") == "arrived_at age_seconds"
    assert keys(alone, "decisions", 0) == "at action observed wanted reason"
    month = "since sessions cost_at_least cost_at_most always_on_cost currency"
    assert keys(alone, "this_month") == month
    live = (await command(world, "explain", "clauses", "--json")).json
    assert keys(live) == f"{EXPLAINED} azure azure_problem"
    azure = "provisioning_state sku capacity model created_at delete_after"
    assert keys(live, "azure") == azure


async def test_holds() -> None:
    """By HTTP and by command, whose waiting adds whether it came to hold."""
    world = World.of(config())
    body = {"way": "up", "for": "2h", "owner": "dana", "reason": "a demo"}
    held = (await api.hold(world.app, "clauses", json.dumps(body).encode())).body
    assert keys(held) == HELD
    assert keys(held, "forecast") == "hours scheduled_hours price_per_hour cost currency"
    assert keys((await command(world, "up", "clauses", *HOLD)).json) == HELD
    assert keys((await command(world, "up", "clauses", *HOLD, "--wait")).json) == f"{HELD} reached"
    assert keys((await api.release(world.app, "clauses")).body) == "deployment released step"
    assert keys((await command(world, "release", "clauses", "--json")).json) == "deployment released step"
    refused = await api.hold(world.app, "clauses", b"{}")
    assert keys(refused.body) == "error problems"
    assert keys(refused.body, "problems", 0) == "key value remedy"


async def test_preview() -> None:
    """By HTTP; the command adds why the records could not be read, and the difference of two files."""
    document = (await api.preview((await lively()).app, None)).body
    assert keys(document) == PREVIEW
    assert keys(document, "total") == SUM
    assert keys(document, "cost_centers", 0) == f"cost_center {SUM}"
    assert keys(document, "deployments", 0) == PLANNED
    assert keys(document, "deployments", 0, "certain") == "hours cost"
    interval = "start end local_start local_end certain"
    assert keys(document, "deployments", 0, "intervals", 0) == interval
    assert keys(document, "deployments", 0, "advice", 0) == "name saves currency text"


async def test_sessions() -> None:
    """Rows, totals, and the columns of the CSV."""
    world = await lively()
    shown = (await command(world, "sessions", "--json")).json
    assert keys(shown) == "since until sessions totals"
    assert (keys(shown, "sessions", 0), keys(shown, "totals")) == (SESSION, TOTALS)
    assert (await command(world, "sessions", "--csv")).out.splitlines()[0] == SESSION.replace(" ", ",")


def test_doctor() -> None:
    """Findings, and how many of each kind, those of which there is none included."""
    counts = {each: 0 for each in Status} | {Status.OK: 1}
    shown = to_json(DoctorReport([ok("clock", "it agrees")], counts))
    assert keys(shown) == "findings counts"
    assert keys(shown, "findings", 0) == "check status what remedy"
    assert shown["counts"] == {"ok": 1, "warning": 0, "failed": 0, "not checked": 0}


# --- how values are written --------------------------------------------------------------------------


class _Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class _Inner:
    at: datetime | None
    mode: Mode


@dataclass(frozen=True)
class _Outer:
    first: int
    inner: _Inner = field(metadata=FLAT)
    last: dict[_Colour, tuple[_Inner, ...]]


def test_a_report_is_written_in_the_order_of_its_fields() -> None:
    """Flat ones in the place of their field; times as ISO, enums as their value, None kept."""
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    outer = _Outer(1, _Inner(at, Mode.OBSERVE), {_Colour.RED: (_Inner(None, Mode.ENFORCE),)})
    assert json.dumps(to_json(outer)) == (
        '{"first": 1, "at": "2026-11-23T08:00:00+00:00", "mode": "observe", '
        '"last": {"red": [{"at": null, "mode": "enforce"}]}}'
    )


@pytest.mark.parametrize("value", [timedelta(1), b"bytes", {1, 2}, object()])
def test_what_json_has_no_form_for_is_not_guessed(value: object) -> None:
    """The report has to say what it means."""
    with pytest.raises(TypeError, match="has no form in JSON"):
        to_json([value])
