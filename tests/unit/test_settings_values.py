"""deployments.yaml: keys and values that are refused, each with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.settings_file import ACCOUNT_ID, CLAUSES, FILE, GONE, WINDOW, config, mistakes_in, the_one

CAPACITY = f"{CLAUSES}.sku.capacity"
CLOSURE = f"{CLAUSES}.closures.0"
MODEL = f"{CLAUSES}.model"
OUTPUT_TOKENS = f"{CLAUSES}.task.max_output_tokens"
COST_LIMIT = f"{CLAUSES}.task.max_cost_per_document"
SLOTS = "accounts.main.fine_tuned_slots"
INPUT_PRICE = "prices.tokens_per_million.input"
HOSTING_PRICE = "prices.hosting_per_hour.GlobalStandard"

OFFICE: dict[str, Any] = FILE["deployments"]["clauses"]["schedule"][0]
ONCE = {"from": "2026-11-22T14:00:00Z", "to": "2026-11-22T15:00:00Z"}
NOON = "2026-12-24T12:00:00Z"
DAYS = ["", "mo", "mon-", "-fri", "mon,,tue", "weekdays", "mon-fri-sun", "0", "7", "sun-7", "1-5"]
NO_DATES = ["24.12.2026", "2026-13-01", "2026-02-29", "20261224", "tomorrow"]
NO_DURATIONS = ["15", "-15m", "m", "", "15 minutes", "1h-5m", "9" * 400 + "d"]

NUMBERS: list[tuple[str, str, list[Any]]] = [
    (CAPACITY, "write a whole number, such as 100", ["", "1.5", "1e3", "1e9", "1e400", "NaN", "inf", "lots"]),
    (CAPACITY, "write a number above 0", ["0", "-1"]),
    (CAPACITY, "write a number below 1,000,000,000", ["1000000000", "9" * 30]),
    (CAPACITY, "write a smaller number", ["9" * 6000]),
    (OUTPUT_TOKENS, "write a number above 0", ["0", "-5"]),
    (OUTPUT_TOKENS, "write a number below 1,000,000,000", ["9" * 30]),
    (COST_LIMIT, "write a number, such as 1.70", ["NaN", "inf", "cheap"]),
    (COST_LIMIT, "write a number of 0 or more", ["-0.01"]),
    (COST_LIMIT, "write a number below 1,000,000,000", ["1e300", "1e400"]),
    ("limits.max_document_bytes", "write a number above 0", ["0", "-1"]),
    ("limits.max_document_bytes", "write a number below 1,000,000,000", ["9" * 30]),
    ("limits.max_document_bytes", "write a whole number, such as 100", ["50MB"]),
    (SLOTS, "write a number of 1 or more", ["0", "-1"]),
    (SLOTS, "write a number of 1,000 or less", ["1001"]),
    (SLOTS, "write a whole number, such as 100", ["ten"]),
    (INPUT_PRICE, "write a number, such as 1.70", ["", "nan", "inf", "Infinity", "-inf", "cheap"]),
    (INPUT_PRICE, "write a number of 0 or more", ["-1"]),
    (INPUT_PRICE, "write a number below 1,000,000,000", ["1e300", "1e400"]),
    (HOSTING_PRICE, "write a number, such as 1.70", [".nan", ".inf", "1,70"]),
    (HOSTING_PRICE, "write a number of 0 or more", ["-1.70"]),
]

WORDS: list[tuple[str, str, list[Any]]] = [
    ("prices.billing_unit", "did you mean 'minute'? Write one of minute, hour", ["minutes", "Minute"]),
    ("prices.billing_unit", "did you mean 'hour'? Write one of minute, hour", ["hours"]),
    ("prices.billing_unit", "write one of minute, hour", ["second"]),
    ("prices.billing_starts", "write one of create, ready", ["start"]),
    ("prices.hosting_per_hour.Standart", "did you mean 'Standard'? Write one of Standard, ", [1]),
    (f"{CLAUSES}.uploads.start", "write one of on_demand, scheduled", ["yes"]),
    (f"{CLAUSES}.sku.name", "GlobalStandard", ["Batch"]),
    (f"{CLAUSES}.version_upgrade_option", "NoAutoUpgrade", ["Never"]),
    (f"{WINDOW}.stop_when_empty", "write true or false", ["maybe"]),
    ("installation", "use letters, digits", ["my installation"]),
    ("installation", "at most 64", ["x" * 65]),
    (
        "accounts.main.resource_id",
        "write the account's resource id",
        ["contoso", f"{ACCOUNT_ID}/deployments/x"],
    ),
    (f"{MODEL}.source", "write the account's resource id", ["elsewhere"]),
    (f"{CLAUSES}.account", "did you mean 'main'?", ["maine"]),
    (f"{CLAUSES}.account", "known are main", ["elsewhere"]),
    (f"{CLAUSES}.account", "write one value here, not a list or a section", [["main"]]),
    (
        f"{CLAUSES}.spillover_deployment_name",
        "is the deployment itself: name another one, or remove",
        ["CLAUSES"],
    ),
    (
        "defaults.time_zone",
        "unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'?",
        ["Europe/Berln"],
    ),
    (f"{WINDOW}.time_zone", "write an IANA name", ["??"]),
    *(
        (place, "has no value: write one, or remove the key", ["", "~", "null"])
        for place in (f"{CLAUSES}.rai_policy_name", f"{CLAUSES}.task.response_schema", f"{MODEL}.name")
    ),
]

KEYS: list[tuple[str, str, list[Any]]] = [
    (f"{CLAUSES}.shedule", "unknown key: did you mean 'schedule'?", ["1"]),
    ("acounts", "unknown key: did you mean 'accounts'?", ["1"]),
    ("defaults.timezone", "unknown key: did you mean 'time_zone'?", ["1"]),
    (f"{CLAUSES}.sku.capacty", "unknown key: did you mean 'capacity'?", ["1"]),
    (f"{WINDOW}.stop_when_emty", "unknown key: did you mean 'stop_when_empty'?", ["1"]),
    (f"{WINDOW}.form", "unknown key: did you mean 'from'?", ["1"]),
    ("accounts.main.slots", "unknown key: known are resource_id, fine_tuned_slots", ["1"]),
    (f"{CLAUSES}.task.xyz", "max_output_tokens, max_cost_per_document", ["1"]),
    (f"{CLAUSES}.uploads.after", "is not supported yet: remove it", ["keep"]),
    ("prices", "is missing: write ", [GONE]),
    (f"{MODEL}.name", "is missing: write the name of the fine-tuned model, such as gpt-4.1", [GONE]),
    (f"{MODEL}.version", "is missing: write the version", [GONE]),
    (OUTPUT_TOKENS, "is missing: write how many tokens an answer may have, ", [GONE]),
    (f"{WINDOW}.to", 'is missing: write when the window closes, such as "18:00"', [GONE]),
]

# Azure would refuse every create.
TAGS: list[tuple[str, str, list[Any]]] = [
    (f"{CLAUSES}.tags", remedy, values)
    for remedy, values in (
        ("is set by Lamplighter itself: remove it", [{"Lamplighter": "x"}, {"Delete-After": "never"}]),
        ("'a/b' holds '/', and Azure refuses < > % & \\ ? / in names of tags", [{"a/b": "x"}]),
        ("holds '<'", [{"a<b": "x"}]),
        ("holds '%'", [{"100%": "x"}]),
        ("is longer than 512 characters", [{"a" * 513: "x"}]),
        ("the value of 'team' is longer than 256 characters", [{"team": "x" * 257}]),
        ("begins with 'microsoft', which Azure keeps for itself", [{"Microsoft-team": "x"}]),
        ("begins with 'azure'", [{"azure.owner": "x"}]),
        ("begins with 'windows'", [{"windowsTeam": "x"}]),
        ("'TEAM' and 'team' are one tag to Azure", [{"team": "x", "TEAM": "y"}]),
    )
]

TIMES: list[tuple[str, str, list[Any]]] = [
    ("defaults.lead", "write a duration such as 90s, 15m, 12h or 1h30m", NO_DURATIONS),
    ("defaults.lead", "30 days at most", ["999999999d", "999999999d" * 2]),
    ("defaults.lead", "a day at most", ["7d"]),
    (f"{WINDOW}.close_grace", "a day at most", ["49h"]),
    (f"{CLAUSES}.max_session", "must be 30m or more", ["10m"]),
    (f"{CLAUSES}.max_session", "30 days at most", ["365d"]),
    (f"{WINDOW}.days", "write days as daily, mon-fri or mon,wed,sat", DAYS),
    (f"{WINDOW}.from", "write HH:MM", ["9:00", "25:00", "09:60", "1320", "2026-13-01T00:00:00Z"]),
    (f"{WINDOW}.from", "names no zone: write 2026-11-22T14:00:00Z for UTC", ["2026-11-22T14:00:00"]),
    (f"{WINDOW}.from", "names no zone: write 2026-11-22T00:00:00Z for UTC", ["2026-11-22"]),
    (f"{WINDOW}.from", "write a year from 2000 to 2099", ["0001-01-01T00:00:00+14:00"]),
    (f"{WINDOW}.from", "write a year from 2000 to 2099", ["9999-12-31T23:59:59-14:00"]),
    *(
        (f"{WINDOW}.{key}", remedy, values)
        for key in ("skip_dates.0", "also_on.0", "starting", "until")
        for remedy, values in (("write a date", NO_DATES), ("write a year from 2000", ["1999-12-31"]))
    ),
    (f"{WINDOW}.skip_dates", "write a list here", ["2026-12-24"]),
    (f"{WINDOW}.skip_holidays", "unknown country 'de': did you mean 'DE-be'?", ["de-be"]),
    (f"{WINDOW}.skip_holidays", "unknown subdivision 'be' of DE: did you mean 'DE-BE'?", ["DE-be"]),
    (f"{WINDOW}.skip_holidays", "did you mean 'DE-Augsburg'?", ["DE-Augsbrg"]),
    (f"{WINDOW}.skip_holidays", "unknown subdivision 'XX' of DE: known are BB, BE, BW", ["DE-XX"]),
    (f"{WINDOW}.skip_holidays", "unknown subdivision '' of DE: known are BB, BE, BW", ["DE-"]),
    (f"{WINDOW}.skip_holidays", "'Atlantis'; write an ISO code such as DE or DE-BE", ["Atlantis"]),
    (f"{WINDOW}.skip_holidays", "none is known, write VA", ["VA-XX"]),
    (f"{WINDOW}.skip_holidays", "has no value", [""]),
]

# Windows and closures whose keys contradict each other, and those that never open.
WINDOWS: list[tuple[str, str, list[Any]]] = [
    (WINDOW, "is empty", [{"days": "mon", "from": "09:00", "to": "09:00"}, ONCE | {"to": ONCE["from"]}]),
    (WINDOW, "is empty", [ONCE | {"to": "2026-11-22T14:30:00+01:00"}]),
    (WINDOW, "write 00:00 of the next day", [{"days": "mon", "from": "24:00", "to": "09:00"}]),
    (WINDOW, "days is missing: write daily, mon-fri or mon,wed,sat", [{"from": "09:00", "to": "10:00"}]),
    (WINDOW, "both be HH:MM, or both ISO times", [OFFICE | {"to": ONCE["to"]}]),
    *(
        (WINDOW, "do not go with a one-off window", [ONCE | {key: value}])
        for key, value in (
            ("days", "mon"),
            ("time_zone", "UTC"),
            ("skip_holidays", "DE"),
            ("skip_dates", ["2026-12-24"]),
            ("until", "2026-12-24"),
        )
    ),
    (
        WINDOW,
        "until (2026-12-01) comes before starting (2026-12-02)",
        [OFFICE | {"starting": "2026-12-02", "until": "2026-12-01"}],
    ),
    (
        WINDOW,
        "2026-12-24 is in skip_dates and in also_on: remove one",
        [OFFICE | {"skip_dates": ["2026-12-24"], "also_on": ["2026-12-24"]}],
    ),
    (
        WINDOW,
        "also_on has 2026-12-24, which is not between starting and until: remove it",
        [OFFICE | {"until": "2026-12-01", "also_on": ["2026-12-24"]}],
    ),
    (
        WINDOW,
        "opens on no day from 2026-12-01 to 2026-12-05",
        [OFFICE | {"days": "sun", "starting": "2026-12-01", "until": "2026-12-05"}],
    ),
    (CLOSURE, "write either date, or from and to", [{"reason": "x"}, {"from": NOON}]),
    (CLOSURE, "write either date, or from and to", [{"date": "2026-12-24", "from": NOON}]),
    (CLOSURE, "is empty: to must come after from", [{"from": NOON, "to": NOON}]),
    (CLOSURE, "time_zone goes with date only: remove it", [ONCE | {"time_zone": "UTC"}]),
]


@pytest.mark.parametrize(
    ("place", "remedy", "value"),
    [
        (place, remedy, value)
        for place, remedy, values in (*NUMBERS, *WORDS, *KEYS, *TAGS, *TIMES, *WINDOWS)
        for value in values
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_reported_with_its_key_the_remedy_and_what_was_found(
    tmp_path: Path, place: str, remedy: str, value: Any
) -> None:
    """Each is the only mistake of its file."""
    problem = the_one(tmp_path, place, value)
    assert problem.startswith(f"{place}: ")
    assert remedy in problem
    if isinstance(value, str) and value and value is not GONE:
        assert problem.endswith(f" (found: {value[:80]})")


@pytest.mark.parametrize("name", ["-first", "two words", "x" * 65, "ümlaut", "a/b", ""])
def test_a_deployment_s_name_must_be_one_that_azure_takes(tmp_path: Path, name: str) -> None:
    """It is also the name of a folder in the inbox, so it holds no slash."""
    text = yaml.safe_dump({**FILE, "deployments": {name: FILE["deployments"]["clauses"]}}, allow_unicode=True)
    (problem,) = mistakes_in(tmp_path, text)
    assert "use letters, digits, '-', '_' and '.', at most 64" in problem
    assert name in problem


@pytest.mark.parametrize(
    ("closure", "problem"),
    [
        ({"from": "12:00", "to": NOON}, "from: write an ISO time such as 2026-11-22T14:00:00Z"),
        (
            {"from": "2026-12-24T10:00:00", "to": NOON},
            "from: names no zone: write 2026-12-24T10:00:00Z for UTC",
        ),
        ({"date": "2026-12-24", "reson": "typo"}, "reson: unknown key: did you mean 'reason'? (found: typo)"),
    ],
)
def test_a_mistake_in_a_closure_is_reported_at_its_key(
    tmp_path: Path, closure: dict[str, str], problem: str
) -> None:
    """Its times are instants, with a zone, and its keys are those of a closure."""
    assert the_one(tmp_path, CLOSURE, closure).startswith(f"{CLOSURE}.{problem}")


def test_a_window_must_fit_into_the_longest_session(tmp_path: Path) -> None:
    """With lead, grace and the last ten minutes of a session, 20:30 is the latest end in 12 hours from 09:00.

    A generation is closed ten minutes before its delete-after, so a longer window would lose its end.
    """
    window = {"days": "mon", "from": "09:00", "to": "20:30", "close_grace": "5m"}
    assert config(tmp_path, schedule=[window]).windows
    problem = the_one(tmp_path, WINDOW, {**window, "to": "20:31"})
    assert problem.startswith(f"{WINDOW}: needs a session of 12:01:00")
    assert "max_session is 12:00:00: raise that, or split the window" in problem
    assert config(tmp_path, schedule=[{**window, "to": "20:31"}], max_session="13h").windows
    assert "needs a session of 23:30:00" in the_one(tmp_path, WINDOW, {**window, "to": "08:00"})
