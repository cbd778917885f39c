"""deployments.yaml: how mistakes are reported, all at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import SettingsError
from shared.settings.load import load
from tests.unit.settings_file import (
    ACCOUNT_ID,
    CLAUSES,
    ENVIRONMENT,
    FILE,
    GONE,
    aliases,
    changed,
    config,
    loaded,
    mistakes_in,
    the_one,
)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Sections, files, other sections' names: no mistake hides another, and each has its key and value."""
    text = changed(
        {
            "defaults.time_zone": "Europe/Berln",
            "prices.billing_unit": "second",
            "prices.hosting_per_hour": {"Standard": "1.70"},
            "limits.max_document_bytes": "-1",
            f"{CLAUSES}.account": "mian",
            f"{CLAUSES}.sku.capacity": "lots",
            f"{CLAUSES}.uploads": {"start": "sometimes", "start_within": "30m"},
            f"{CLAUSES}.schedule": [
                {"days": "mon-fry", "from": "9:00", "to": "18:00"},
                {"days": "mon", "from": "09:00", "to": "09:00"},
            ],
            f"{CLAUSES}.max_session": "10m",
            f"{CLAUSES}.task.system_prompt": "prompt.txt",
            f"{CLAUSES}.task.response_schema": "schema.json",
            f"{CLAUSES}.colour": "green",
        }
    )
    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, text)
    values = {problem.key: problem.value for problem in raised.value.problems}
    assert values == {
        "defaults.time_zone": "Europe/Berln",
        "prices.billing_unit": "second",
        "prices.hosting_per_hour": "",
        "limits.max_document_bytes": "-1",
        f"{CLAUSES}.account": "mian",
        f"{CLAUSES}.sku.capacity": "lots",
        f"{CLAUSES}.uploads.start": "sometimes",
        f"{CLAUSES}.schedule.0.days": "mon-fry",
        f"{CLAUSES}.schedule.0.from": "9:00",
        f"{CLAUSES}.schedule.1": "",
        f"{CLAUSES}.max_session": "10m",
        f"{CLAUSES}.task.system_prompt": "prompt.txt",
        f"{CLAUSES}.task.response_schema": "schema.json",
        f"{CLAUSES}.colour": "green",
    }
    assert all(problem.remedy for problem in raised.value.problems)
    assert str(raised.value).startswith("deployments.yaml: ")
    assert all(str(problem) in str(raised.value) for problem in raised.value.problems)


def test_names_of_deployments_are_not_taken_for_keys(tmp_path: Path) -> None:
    """Under a deployment that is called `task`, the known keys are those of a deployment."""
    text = changed({"deployments.task": {**FILE["deployments"]["clauses"], "shedule": "x"}})
    assert mistakes_in(tmp_path, text) == [
        "deployments.task.shedule: unknown key: did you mean 'schedule'? (found: x)"
    ]


def test_documents_may_be_let_wait(tmp_path: Path) -> None:
    """Not at all by default; for half an hour if that is said."""
    assert config(tmp_path, uploads={"start": "on_demand"}).start_within == timedelta(0)
    assert config(tmp_path, uploads={"start_within": "30m"}).start_within == timedelta(minutes=30)


@pytest.mark.parametrize("schedule", [GONE, []], ids=["missing", "empty"])
def test_documents_that_would_wait_for_ever_are_reported(tmp_path: Path, schedule: Any) -> None:
    """They wait for a window, and there is none: beside whatever else is wrong."""
    waiting = {f"{CLAUSES}.uploads": {"start": "scheduled"}, f"{CLAUSES}.schedule": schedule}
    problem = (
        f"{CLAUSES}.uploads.start: documents would wait for ever, as there is no window: add a schedule, or "
        "set uploads.start: on_demand (found: scheduled)"
    )
    assert mistakes_in(tmp_path, changed(waiting)) == [problem]
    assert problem in mistakes_in(tmp_path, changed(waiting | {"defaults": {"time_zone": "??"}}))
    assert mistakes_in(tmp_path, changed(waiting | {f"{CLAUSES}.always": "false"})) == [problem]
    assert loaded(tmp_path, changed(waiting | {f"{CLAUSES}.always": "true"}))
    assert loaded(tmp_path, changed(waiting | {f"{CLAUSES}.uploads": {"start": "on_demand"}}))


@pytest.mark.parametrize(
    ("which", "value"),
    [
        ("schedule", [{"days": "daily", "from": "09:00", "to": "18:00"}]),
        ("closures", [{"date": "2026-12-24"}]),
    ],
)
def test_round_the_clock_and_times_contradict_each_other(tmp_path: Path, which: str, value: Any) -> None:
    """It says which of the two to remove."""
    text = changed({f"{CLAUSES}.schedule": [], f"{CLAUSES}.always": "true", f"{CLAUSES}.{which}": value})
    problem = (
        f"{CLAUSES}.always: hosts it round the clock, and {which} names times: remove {which}, or always "
        "(found: true)"
    )
    assert mistakes_in(tmp_path, text) == [problem]
    assert problem in mistakes_in(
        tmp_path, text.replace("max_output_tokens: '2000'", "max_output_tokens: many")
    )
    assert loaded(tmp_path, text.replace("always: 'true'", "always: 'false'"))


def test_missing_sections_are_named(tmp_path: Path) -> None:
    """With the keys that each of them must have."""
    assert set(mistakes_in(tmp_path, "installation: x")) == {
        "prices: is missing: write hosting_per_hour and tokens_per_million",
        "accounts: is missing: write a name, and under it resource_id",
        "deployments: is missing: write a name, and under it account, model, sku and task",
    }


@pytest.mark.parametrize("place", ["accounts", "deployments"])
def test_an_empty_section_is_reported(tmp_path: Path, place: str) -> None:
    """It is the only mistake that is reported: names that refer to it are not."""
    assert the_one(tmp_path, place, {}) == f"{place}: write at least one"


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("prices", "write keys and values here"),
        ("accounts", "write keys and values here"),
        (CLAUSES, "write keys and values here"),
        (f"{CLAUSES}.tags", "write keys and values here"),
        (f"{CLAUSES}.schedule", "write a list here"),
    ],
)
def test_a_section_that_was_left_empty_is_reported_in_the_file_s_words(
    tmp_path: Path, place: str, remedy: str
) -> None:
    """`task:` with nothing after it says what is wanted there, without the name of a Python class."""
    text = yaml.dump(yaml.safe_load(changed({place: "MARK"}))).replace("MARK", "")
    problems = mistakes_in(tmp_path, text)
    assert f"{place}: {remedy}" in problems
    assert "Section" not in " ".join(problems)


def test_a_sku_without_a_price_is_reported(tmp_path: Path) -> None:
    """What it costs must be known before it is created."""
    assert the_one(tmp_path, f"{CLAUSES}.sku.name", "Standard") == (
        "prices.hosting_per_hour: has no price for Standard, which clauses uses: add it"
    )


def test_two_deployments_whose_names_differ_in_case_only_are_one_to_azure(tmp_path: Path) -> None:
    """Azure ignores case, so the second would be the first."""
    assert the_one(tmp_path, "deployments.Clauses", FILE["deployments"]["clauses"]) == (
        "deployments.clauses: is the same as deployments.Clauses to Azure: remove one (found: clauses)"
    )


def test_one_account_under_two_names_is_reported(tmp_path: Path) -> None:
    """Its slots and its queue of writes are counted per account."""
    assert the_one(tmp_path, "accounts.second", {"resource_id": ACCOUNT_ID.upper() + "/"}).startswith(
        "accounts.second: is the same as accounts.main to Azure: remove one"
    )


def test_a_missing_app_setting_is_named_once(tmp_path: Path) -> None:
    """The empty value that it leaves is not reported as a second mistake."""
    problems = mistakes_in(tmp_path, changed({"accounts.main.resource_id": "${ACCOUNT}/${ACCOUNT}"}), {})
    (problem,) = problems
    assert problem.startswith(
        "accounts.main.resource_id: set ACCOUNT in the app settings: commands read them"
    )
    assert "--settings FILE (local.settings.sample.json is an example)" in problem
    assert problem.endswith(" (found: ${ACCOUNT}/${ACCOUNT})")


def test_answers_that_no_minute_admits_are_reported(tmp_path: Path) -> None:
    """A capacity of 2 is 2,000 tokens a minute: a request of 2,000 output tokens could never be sent."""
    problem = the_one(tmp_path, f"{CLAUSES}.sku.capacity", "2")
    assert problem.startswith(f"{CLAUSES}: task.max_output_tokens is 2,000, and sku.capacity admits 2,000 ")


# --- files that are no configuration ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file: write keys and values here"),
        ("# nothing but a comment\n", "the file: write keys and values here"),
        ("- a\n- b\n", "the file: write keys and values here"),
        ("hello", "the file: write keys and values here (found: hello)"),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: not valid YAML: 'a' occurs twice, first in line 1: remove"),
        ("x:\n  a: 1\n  b: 2\n  a: 3\n", "line 4, column 3: not valid YAML: 'a' occurs twice"),
        ("{a: 1, a: 2}", "line 1, column 8: not valid YAML: 'a' occurs twice, first in line 1: remove one"),
        ("? [a]\n: b\n", "line 1, column 3: not valid YAML: while constructing a mapping: found unhashable"),
        ("a: &x [*x]\n", "deployments.yaml: its aliases (*) stand for more than 1,000,000 characters"),
        ("accounts: &x {a: *x, b: *x}\n", ", or for themselves: write out what they repeat"),
        (aliases("[", "]"), "deployments.yaml: its aliases (*) stand for more than 1,000,000 characters"),
        (aliases("{x: {<<: [", "]}}"), "its aliases (*) stand for more than 1,000,000 characters"),
        ("a: 'b\n", "line 2, column 1: not valid YAML: while scanning a quoted scalar"),
        ("a: 'b\n", ": a quote or bracket is opened and not closed"),
        ("a: *b\n", ": put quotes around a text that begins with *"),
        ("a: {b: 1}\n  c: 2\n", "line 2, column 3: not valid YAML"),
        ("a: b\n  c: 2\n", "mapping values are not allowed here: a key of this line is indented too far"),
        ("a:\n    b: 1\n  c: 2\n", ": this line is not indented as the others of its section"),
        ("a:\n\tb: c\n", "line 2, column 1: not valid YAML"),
        ("a:\n\tb: c\n", ": indent with spaces, not tabs"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: not valid YAML: expected a single document"),
        ("a: 1\n---\nb: 2\n", ": remove the line ---"),
        ("a: " + "[" * 1500, "deployments.yaml: is nested too deeply"),
        ("a: \x00", "deployments.yaml: not valid YAML: it holds characters that no text holds"),
        ("a: " + "b" * 1_000_000, "deployments.yaml: has more than 1,000,000 characters: name another file"),
        (bytes(range(256)), "deployments.yaml: is not UTF-8 text: save it as UTF-8"),
        ("größe: 1".encode("utf-16"), "deployments.yaml: is not UTF-8 text: save it as UTF-8"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_file_that_is_no_configuration_is_reported_with_the_place(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    """Broken YAML names line, column and the usual cause; only SettingsError is ever raised."""
    (found,) = mistakes_in(tmp_path, text)
    assert problem in found


def test_a_file_that_is_not_there_names_the_setting_that_names_it(tmp_path: Path) -> None:
    """The whole path is shown: a relative one may be looked up in another folder than expected."""
    for path in (tmp_path / "nothing.yaml", tmp_path):
        with pytest.raises(SettingsError) as raised:
            load(path, ENVIRONMENT)
        (problem,) = raised.value.problems
        assert problem.key == str(path)
        assert "DEPLOYMENTS_FILE names the file" in problem.remedy
    with pytest.raises(SettingsError, match=r"^\.: \.: cannot be read"):
        load(Path(), ENVIRONMENT)
