"""deployments.yaml: how it is read."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.model import (
    ALWAYS,
    Account,
    BillingStart,
    BillingUnit,
    Closure,
    OneOffWindow,
    UploadStart,
    WeeklyWindow,
    prompt,
)
from shared.settings.load import load
from tests.unit.schedules import WORKDAYS, at, weekly
from tests.unit.settings_file import ACCOUNT_ID, CLAUSES, ENVIRONMENT, FILE, OTHER_ID, changed, config, loaded

ROOT = Path(__file__).parents[2]
OFFICE = FILE["deployments"]["clauses"]["schedule"][0]


def opens(folder: Path, **changes: Any) -> WeeklyWindow:
    """Return the office window with some of its keys changed."""
    (window,) = config(folder, schedule=[OFFICE | changes]).windows
    assert isinstance(window, WeeklyWindow)
    return window


def test_the_repository_s_own_file_is_valid() -> None:
    """With AZURE_OPENAI_ACCOUNT_ID set, the example hosts its three deployments on that account."""
    settings = load(ROOT / "deployments.yaml", ENVIRONMENT)
    assert list(settings.deployments) == ["contract-clauses", "nightly-summaries", "support-desk"]
    assert settings.accounts == {ACCOUNT_ID: Account("main", ACCOUNT_ID, 10)}
    assert {each.account for each in settings.deployments.values()} == {ACCOUNT_ID}
    assert settings.deployments["contract-clauses"].task.response_schema is not None
    (night,) = settings.deployments["nightly-summaries"].windows
    assert night == weekly("22:00", "04:00", "Europe/Berlin", stop_when_empty=True)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    """Uploads start the deployment, billing is by the minute from the create request, windows are in UTC."""
    settings = loaded(tmp_path, changed({}))
    clauses = settings.deployments["clauses"]
    assert (settings.prices.billing_unit, settings.prices.billing_starts) == (
        BillingUnit.MINUTE,
        BillingStart.CREATE,
    )
    assert settings.prices.currency == "USD"
    assert settings.max_document_bytes == 50_000_000
    assert clauses.uploads is UploadStart.ON_DEMAND
    assert (clauses.lead, clauses.max_session) == (None, timedelta(hours=12))
    assert clauses.windows == (weekly("09:00", "18:00", days=WORKDAYS),)
    assert clauses.task.messages == prompt("List the clauses.")
    assert clauses.task.max_cost_per_document is None
    assert not clauses.keep_if_scarce and config(tmp_path, keep_if_scarce="true").keep_if_scarce


def test_what_azure_gets_is_what_is_written(tmp_path: Path) -> None:
    """Content policy, upgrade option, spill-over, tags and the model's owner go through unchanged."""
    clauses = config(
        tmp_path,
        rai_policy_name="contoso-strict",
        version_upgrade_option="NoAutoUpgrade",
        spillover_deployment_name="standby",
        tags={"team": "legal"},
        cost_center="0815",
        model={"name": "gpt.ft-1", "version": "01", "source": OTHER_ID + "/"},
    )
    assert clauses.spec.rai_policy_name == "contoso-strict"
    assert clauses.spec.version_upgrade_option == "NoAutoUpgrade"
    assert clauses.spec.spillover_deployment_name == "standby"
    assert clauses.spec.tags == {"team": "legal"}
    assert clauses.cost_center == "0815"
    assert (clauses.spec.model_version, clauses.spec.model_source) == ("01", OTHER_ID)


def test_scalars_are_the_strings_that_were_written(tmp_path: Path) -> None:
    """22:00, NO, 007, on, 1_0 and a date mean what a person reads, not what plain YAML makes of them."""
    text = changed({f"{CLAUSES}.tags": {"k": "v"}, f"{CLAUSES}.cost_center": "x"})
    text = text.replace("cost_center: x", "cost_center: 2026-11-22")
    text = text.replace("k: v", "country: NO\n      number: 007\n      switch: on\n      tens: 1_0")
    text = text.replace("from: 09:00", "from: 22:00").replace("from: '09:00'", "from: 22:00")
    text = text.replace("to: '18:00'", "to: 06:30").replace("to: 18:00", "to: 06:30")
    clauses = loaded(tmp_path, text).deployments["clauses"]
    assert clauses.spec.tags == {"country": "NO", "number": "007", "switch": "on", "tens": "1_0"}
    assert clauses.cost_center == "2026-11-22"
    assert clauses.windows == (weekly("22:00", "06:30", days=WORKDAYS),)


@pytest.mark.parametrize(
    ("written", "meant"), [("true", True), ("on", True), ("no", False), ("off", False), ("FALSE", False)]
)
def test_switches_may_be_written_as_people_do(tmp_path: Path, written: str, meant: bool) -> None:
    """true, on and yes switch on; false, off and no switch off."""
    assert opens(tmp_path, stop_when_empty=written).stop_when_empty is meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("daily", {0, 1, 2, 3, 4, 5, 6}),
        ("mon", {0}),
        ("Mon-Fri", {0, 1, 2, 3, 4}),
        ("mon, wed,sat", {0, 2, 5}),
        ("fri-mon", {4, 5, 6, 0}),
        ("mon-tue,sat-sun", {0, 1, 5, 6}),
        (["mon", "wed-fri", "sun"], {0, 2, 3, 4, 6}),
    ],
)
def test_days_are_lists_and_ranges(tmp_path: Path, written: str | list[str], meant: set[int]) -> None:
    """A range may pass the end of the week, capitals do not matter, and a YAML list is read, too."""
    assert opens(tmp_path, days=written).days == meant


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("1.5h", 5400), ("2 h", 7200), ("1d", 86400), ("0s", 0)],
)
def test_durations_carry_their_unit(tmp_path: Path, written: str, seconds: int) -> None:
    """Seconds, minutes, hours, days, and sums of them."""
    text = changed({"defaults.lead": written, f"{CLAUSES}.max_session": "7d"})
    assert loaded(tmp_path, text).deployments["clauses"].lead == timedelta(seconds=seconds)


def test_a_window_has_its_own_zone_or_that_of_the_file(tmp_path: Path) -> None:
    """The file's time zone holds for windows that name none."""
    windows = [
        {"days": "mon", "from": "09:00", "to": "24:00"},
        {"days": "mon", "from": "00:00", "to": "08:00", "time_zone": "Asia/Tokyo", "close_grace": "5m"},
    ]
    text = changed(
        {
            "defaults": {"time_zone": "Europe/Berlin"},
            f"{CLAUSES}.schedule": windows,
            f"{CLAUSES}.max_session": "20h",
        }
    )
    assert loaded(tmp_path, text).deployments["clauses"].windows == (
        weekly("09:00", "24:00", "Europe/Berlin", days=[0]),
        weekly("00:00", "08:00", "Asia/Tokyo", days=[0], grace=timedelta(minutes=5)),
    )


def test_dates_and_holidays_of_a_window_are_read(tmp_path: Path) -> None:
    """As written."""
    dates = {"skip_dates": ["2026-12-24"], "also_on": ["2026-12-26", "2026-12-27"]}
    window = opens(tmp_path, skip_holidays="DE-BE", starting="2026-11-01", until="2027-03-31", **dates)
    assert window.skip_holidays == "DE-BE"
    assert window.skip_dates == {date(2026, 12, 24)}
    assert window.also_on == {date(2026, 12, 26), date(2026, 12, 27)}
    assert (window.starting, window.until) == (date(2026, 11, 1), date(2027, 3, 31))


@pytest.mark.parametrize("region", ["DE", "NO", "US-NY", "GB-SCT", "FR-6AE", "CH-ZH"])
def test_a_country_and_a_subdivision_are_read(tmp_path: Path, region: str) -> None:
    """NO is Norway, whatever YAML says."""
    assert opens(tmp_path, skip_holidays=region).skip_holidays == region


def test_closures_are_read(tmp_path: Path) -> None:
    """A date is the whole local day of its zone, however long it is; times are instants."""
    closures = [
        {"date": "2026-12-24", "reason": "company closed"},
        {"date": "2026-10-25", "time_zone": "Europe/Berlin"},
        {"from": "2026-12-31T12:00:00+01:00", "to": "2027-01-01T00:00:00Z"},
    ]
    assert config(tmp_path, closures=closures).closures == (
        Closure(at("2026-12-24"), at("2026-12-25"), "UTC", "company closed"),
        Closure(at("2026-10-24T22:00"), at("2026-10-25T23:00"), "Europe/Berlin"),
        Closure(at("2026-12-31T11:00"), at("2027-01-01"), "UTC"),
    )


def test_a_one_off_window_is_written_to_the_second(tmp_path: Path) -> None:
    """ISO times with their offset become UTC."""
    window = {"from": "2026-11-22T14:00:07+01:00", "to": "2026-11-22T13:02:09Z", "stop_when_empty": "true"}
    assert config(tmp_path, schedule=[window]).windows == (
        OneOffWindow(at("2026-11-22T13:00:07"), at("2026-11-22T13:02:09"), stop_when_empty=True),
    )


def test_round_the_clock_is_a_window_without_end(tmp_path: Path) -> None:
    """No window is named beside it, and no session is too long; documents may wait for it."""
    clauses = config(tmp_path, always="true", schedule=[], uploads={"start": "scheduled"})
    assert clauses.windows == (ALWAYS,)
    assert clauses.session_end(at("2026-11-25")) is None
    assert not config(tmp_path, always="false").always


def test_the_environment_s_values_are_put_in(tmp_path: Path) -> None:
    """${NAME} may stand anywhere in a value, more than once."""
    environment = {"PLACE": "contoso", "PREFIX": ACCOUNT_ID.removesuffix("contoso")}
    text = changed(
        {"accounts.main.resource_id": "${PREFIX}${PLACE}", f"{CLAUSES}.cost_center": "${PLACE}-${PLACE}"}
    )
    settings = loaded(tmp_path, text, environment)
    assert list(settings.accounts) == [ACCOUNT_ID]
    assert settings.deployments["clauses"].cost_center == "contoso-contoso"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Windows editors write one, into the prompt too."""
    assert loaded(tmp_path, b"\xef\xbb\xbf" + changed({}).encode()).installation == "contoso-test"
    (tmp_path / "marked.md").write_bytes(b"\xef\xbb\xbfList.")
    task = {"system_prompt": "marked.md", "max_output_tokens": "10"}
    assert config(tmp_path, task=task).task.messages == prompt("List.")
