"""What in a valid deployments.yaml is likely a mistake: reported, and not refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.settings.warnings import settings_warnings
from tests.unit.settings_file import CLAUSES, FILE, GONE, OTHER_ID, WINDOW, changed, loaded

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
MODEL = "gpt-4.1-mini-2025-04-14.ft-0e2c"


def warned(folder: Path, changes: dict[str, Any]) -> dict[str, str]:
    """The warnings of the changed file, by key."""
    found = settings_warnings(loaded(folder, changed(changes)), NOW)
    return {each.key: each.remedy for each in found}


def another(model: str = "gpt-4.1-mini-2025-04-14.ft-5b1f", **keys: Any) -> dict[str, Any]:
    """A second deployment, of a model of its own."""
    return {**FILE["deployments"]["clauses"], "model": {"name": model, "version": "1"}, **keys}


def test_an_ordinary_file_is_not_warned_of(tmp_path: Path) -> None:
    """Two models in office hours, with slots and prices as they usually are."""
    assert warned(tmp_path, {"deployments.desk": another()}) == {}


# --- slots --------------------------------------------------------------------------------------------

SLOTS = "accounts.main.fine_tuned_slots"


def test_windows_that_need_more_slots_than_there_are_are_reported_with_the_first_such_time(
    tmp_path: Path,
) -> None:
    """Who needs them, and from when on: 09:00 to 18:00 is open now, 17:00 comes."""
    late = [{"days": "mon-fri", "from": "17:00", "to": "19:00"}]
    changes = {SLOTS: "1", "deployments.desk": another(schedule=late)}
    message = warned(tmp_path, changes)
    assert list(message) == [SLOTS]
    assert message[SLOTS].startswith(
        "windows need 2 fine-tuned deployments at the same time (clauses, desk), first at "
        "2026-11-25 17:00 UTC: those without a slot are not hosted then"
    )
    assert warned(tmp_path, {**changes, SLOTS: "2"}) == {}
    now = warned(tmp_path, {**changes, "deployments.desk": another()})
    assert "first at 2026-11-25 10:00 UTC:" in now[SLOTS]


@pytest.mark.parametrize(
    "desk",
    [
        another(schedule=[{"days": "mon-fri", "from": "18:00", "to": "19:00"}]),
        another(mode="observe"),
        another(model="gpt-4.1-mini"),
        another(closures=[{"from": "2026-01-01T00:00:00Z", "to": "2028-01-01T00:00:00Z"}]),
        another(schedule=[]),
    ],
    ids=["one after the other", "only observed", "no fine-tuned model", "closed", "no window"],
)
def test_windows_that_take_turns_or_take_no_slot_are_not_reported(
    tmp_path: Path, desk: dict[str, Any]
) -> None:
    """One slot is enough for them."""
    assert SLOTS not in warned(tmp_path, {SLOTS: "1", "deployments.desk": desk})


def test_batch_windows_need_their_slot_only_if_documents_wait(tmp_path: Path) -> None:
    """That is said."""
    batch = [{"days": "mon-fri", "from": "12:00", "to": "19:00", "stop_when_empty": "true"}]
    message = warned(tmp_path, {SLOTS: "1", "deployments.desk": another(schedule=batch)})
    assert "first at 2026-11-25 12:00 UTC, if documents wait for all of them: " in message[SLOTS]


# --- models, capacity, prices ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "fine_tuned"), [("gpt-4o-mini", False), (MODEL, True), ("ftchkpt-1", True)])
def test_a_base_model_is_reported(tmp_path: Path, name: str, fine_tuned: bool) -> None:
    """It costs nothing while it is not called."""
    message = warned(tmp_path, {f"{CLAUSES}.model.name": name})
    assert bool(message) is not fine_tuned
    assert fine_tuned or "is not the name of a fine-tuned model" in message[f"{CLAUSES}.model.name"]


def test_two_deployments_of_one_model_on_one_account_are_reported(tmp_path: Path) -> None:
    """Both pay for hosting; on another account it is another region's, and fine."""
    message = warned(tmp_path, {"deployments.desk": another(MODEL)})
    assert "is hosted by clauses on the same account, too" in message["deployments.desk.model.name"]
    desk = another(MODEL, account="other")
    assert warned(tmp_path, {"accounts.other": {"resource_id": OTHER_ID}, "deployments.desk": desk}) == {}


@pytest.mark.parametrize(
    ("place", "value", "remedy"),
    [
        (f"{CLAUSES}.sku.capacity", "120000", "means 120,000,000 tokens a minute, and 1 to 1,000 is usual"),
        ("prices.hosting_per_hour.GlobalStandard", "0", "write the price of your price sheet, usually 1.70"),
        ("prices.hosting_per_hour.GlobalStandard", "170", "is far above the usual 1.70 an hour"),
        ("prices.hosting_per_hour.GlobalStandard", "1241", "is far above the usual 1.70 an hour"),
        ("prices.tokens_per_million.input", "0.0004", "write the price of a million tokens"),
        ("prices.tokens_per_million.output", "1600", "write the price of a million tokens"),
        ("prices.tokens_per_million.embeddings", "0.00002", "write the price of a million tokens"),
        (f"{CLAUSES}.spillover_deployment_name", "standby", "is not in this file: Azure needs a deployment"),
    ],
)
def test_a_value_far_from_the_usual_is_reported_with_the_usual(
    tmp_path: Path, place: str, value: str, remedy: str
) -> None:
    """Another unit than the one that is meant, most likely."""
    message = warned(tmp_path, {place: value})
    assert list(message) == [place]
    assert remedy in message[place]


@pytest.mark.parametrize(
    "changes",
    [
        {f"{CLAUSES}.sku.capacity": "1000"},
        {"prices.hosting_per_hour.DeveloperTier": "0"},
        {"prices.hosting_per_hour.ProvisionedManaged": "300"},
        {"prices.currency": "IDR", "prices.hosting_per_hour.GlobalStandard": "28000"},
        {"prices.tokens_per_million.input": "0"},
    ],
    ids=str,
)
def test_a_value_that_is_only_unusual_is_not_reported(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A large quota, a free tier, a currency of large numbers, no token fee."""
    assert warned(tmp_path, changes) == {}


# --- windows, spillover, tags ---------------------------------------------------------------------------


def test_a_window_that_stands_there_twice_is_reported(tmp_path: Path) -> None:
    """One of them was to be another."""
    window = FILE["deployments"]["clauses"]["schedule"][0]
    message = warned(tmp_path, {f"{CLAUSES}.schedule": [window, {**window, "from": "08:00"}, window]})
    assert message == {
        f"{CLAUSES}.schedule.2": "is the same window as schedule.0: remove it, or change what should differ"
    }


def test_a_zone_that_is_likely_not_meant_is_reported_at_its_window(tmp_path: Path) -> None:
    """Its own, or that of the file."""
    assert "'Etc/GMT+5' is 5 h behind UTC" in warned(tmp_path, {f"{WINDOW}.time_zone": "Etc/GMT+5"})[WINDOW]
    assert "'CET' is no place's" in warned(tmp_path, {"defaults": {"time_zone": "CET"}})[WINDOW]


def test_a_spillover_deployment_must_be_on_the_same_account(tmp_path: Path) -> None:
    """Azure ignores case; one of the file that is elsewhere is reported with where it is."""
    spill = {f"{CLAUSES}.spillover_deployment_name": "Desk", "deployments.desk": another()}
    assert warned(tmp_path, spill) == {}
    elsewhere = {"accounts.other": {"resource_id": OTHER_ID}, "deployments.desk": another(account="other")}
    message = warned(tmp_path, {**spill, **elsewhere})
    remedy = message[f"{CLAUSES}.spillover_deployment_name"]
    assert "is configured on the account other, and Azure looks for it on main" in remedy


def test_a_tag_that_azure_takes_is_taken(tmp_path: Path) -> None:
    """Up to both limits, and with those characters in a value."""
    tags = {"k" * 512: "v" * 256, "url": "https://a/?b=<c>&d=%20\\", "my azure": "x"}
    assert loaded(tmp_path, changed({f"{CLAUSES}.tags": tags})).deployments["clauses"].spec.tags == tags


@pytest.mark.parametrize("always", [True, False])
def test_max_session_beside_always_has_no_effect(tmp_path: Path, always: bool) -> None:
    """Nothing ends what is hosted round the clock, whatever the value is, the default included."""
    changes: dict[str, Any] = {f"{CLAUSES}.max_session": "12h"}
    if always:
        changes |= {f"{CLAUSES}.always": "true", f"{CLAUSES}.schedule": GONE}
    found = warned(tmp_path, changes)
    assert list(found) == ([f"{CLAUSES}.max_session"] if always else [])
    assert not always or "no effect beside always: true" in found[f"{CLAUSES}.max_session"]


def test_a_file_outside_of_the_folder_may_not_be_sent_to_azure(tmp_path: Path) -> None:
    """It may be: another folder of the package, or of the container. A way back into the folder is none."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "shared.md").write_text("Summarise.")
    found = warned(tmp_path / "conf", {f"{CLAUSES}.task.system_prompt": "../shared.md"})
    assert "is outside of the folder of deployments.yaml" in found[f"{CLAUSES}.task.system_prompt"]
    (tmp_path / "conf" / "tasks").mkdir()
    assert warned(tmp_path / "conf", {f"{CLAUSES}.task.system_prompt": "tasks/../prompt.md"}) == {}
