"""How mistakes in deployments.yaml are worded: what to write, and no words of the libraries."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import SettingsError
from tests.unit.settings_file import CLAUSES, FILE, GONE, OTHER_ID, changed, loaded, mistakes_in

_LIBRARY = re.compile(
    r"Input should|Field required|value_error|Value error|valid (string|integer|number|boolean|dict|list)|"
    r"Extra inputs|String should|List should|Dictionary|type=|pydantic|Section|unable to"
)


def whole() -> dict[str, Any]:
    """The file with every key that there is."""
    document = copy.deepcopy(FILE)
    document["defaults"] = {"time_zone": "UTC", "lead": "5m", "mode": "enforce"}
    document["limits"] = {"max_document_bytes": "100"}
    document["prices"] |= {"currency": "USD", "billing_unit": "hour", "billing_starts": "ready"}
    document["accounts"]["main"]["fine_tuned_slots"] = "10"
    clauses = document["deployments"]["clauses"]
    clauses["model"]["source"] = OTHER_ID
    clauses["sku"]["minimum_capacity"] = "10"
    clauses |= {"adopt": "true", "mode": "observe", "rai_policy_name": "x", "cost_center": "x"}
    clauses |= {"version_upgrade_option": "NoAutoUpgrade", "spillover_deployment_name": "x"}
    clauses |= {"tags": {"a": "b"}, "max_session": "12h"}
    clauses["uploads"] = {"start": "on_demand", "start_within": "1m"}
    clauses["task"]["max_cost_per_document"] = "1"
    clauses["schedule"][0] |= {"time_zone": "UTC", "stop_when_empty": "true", "close_grace": "1m"}
    clauses["schedule"][0] |= {"skip_holidays": "DE", "skip_dates": ["2026-01-01"], "also_on": ["2026-01-03"]}
    clauses["schedule"][0] |= {"starting": "2026-01-01", "until": "2027-01-01"}
    day = {"date": "2026-01-01", "time_zone": "UTC", "reason": "x"}
    clauses["closures"] = [day, {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}]
    clauses["notify"] = [
        {"webhook": "https://hook.example/in", "secret": "c2Vj" * 8, "events": ["document.done"]},
        {"queue": "https://contoso.queue.core.windows.net/answers", "file_names": "true"},
        {"event_grid": "https://t.westeurope-1.eventgrid.azure.net/api/events"},
    ]
    return document


def places(document: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of the file, sections and list items as well."""
    if above:
        yield above
    parts = document.items() if isinstance(document, dict) else ()
    for part, inside in enumerate(document) if isinstance(document, list) else parts:
        yield from places(inside, (*above, part))


WRONG: list[Any] = [
    *(GONE, None, "", "??", "-1", "0", "nan", "1e999", "9" * 30, "1.5"),
    *([], ["a"], [["a"]], {}, {"a": "b"}, {"a": {"b": "c"}}),
]


def test_the_file_with_every_key_is_valid(tmp_path: Path) -> None:
    """So that each mistake of the next test is the only one."""
    assert loaded(tmp_path, json.dumps(whole()))


@pytest.mark.parametrize("place", list(places(whole())), ids=lambda place: ".".join(map(str, place)))
def test_every_wrong_value_at_every_place_is_reported_in_the_words_of_the_file(
    place: tuple[str | int, ...], tmp_path: Path
) -> None:
    """Scalars, nothing, lists and sections where something else belongs: each mistake has its remedy."""
    found = 0
    for value in WRONG:
        document: Any = whole()
        section = document
        for part in place[:-1]:
            section = section[part]
        if value is GONE:
            del section[place[-1]]
        else:
            section[place[-1]] = value
        try:
            loaded(tmp_path, json.dumps(document).replace(" null", ""))  # JSON is YAML, and quickly written
        except SettingsError as error:
            found += 1
            for problem in error.problems:
                assert not _LIBRARY.search(str(problem)), f"{value}: {problem}"
                assert len(problem.remedy) > len("is missing: "), problem
    assert found > 0


# --- indentation --------------------------------------------------------------------------------------

LINES = """\
installation: contoso-test
prices:
  hosting_per_hour: {GlobalStandard: 1.70}
  tokens_per_million: {input: 0.40, output: 1.60}
accounts:
  main:
    resource_id: ${AZURE_OPENAI_ACCOUNT_ID}
deployments:
  clauses:
    account: main
    model:
      name: gpt-4.1-mini-2025-04-14.ft-0e2c
      version: "1"
    sku: {name: GlobalStandard, capacity: 120}
    task:
      system_prompt: prompt.md
      max_output_tokens: 2000
  desk:
    account: main
    model: {name: gpt-4.1-mini-2025-04-14.ft-5b1f, version: "1"}
    sku: {name: GlobalStandard, capacity: 120}
    task: {system_prompt: prompt.md, max_output_tokens: 2000}
"""


@pytest.mark.parametrize(
    ("lines", "by", "expected"),
    [
        ((12, 13), -2, [(12, "name", "model"), (13, "version", "model")]),
        ((16, 17), -2, [(16, "system_prompt", "task"), (17, "max_output_tokens", "task")]),
        (
            (19, 22),
            -2,
            [(n, k, "desk") for n, k in zip(range(19, 23), ("account", "model", "sku", "task"), strict=True)],
        ),
        ((10, 22), -4, None),
        ((7, 7), -2, [(7, "resource_id", "main")]),
        ((6, 7), -2, [(6, "main", "accounts")]),
        ((3, 4), -2, [(3, "hosting_per_hour", "prices"), (4, "tokens_per_million", "prices")]),
    ],
    ids=["model", "task", "a deployment", "all of a deployment", "id", "account", "prices"],
)
def test_a_slip_of_the_indentation_is_reported_as_one(
    tmp_path: Path, lines: tuple[int, int], by: int, expected: list[tuple[int, str, str]] | None
) -> None:
    """By line, key and section, and nothing else: not as keys that are unknown, missing or there twice."""
    written = LINES.splitlines()
    for at in range(lines[0] - 1, lines[1]):
        written[at] = " " * by + written[at] if by > 0 else written[at][-by:]
    assert loaded(tmp_path, LINES)
    if expected is None:
        assert mistakes_in(tmp_path, "\n".join(written))
        return
    assert mistakes_in(tmp_path, "\n".join(written)) == [
        f"line {line}: indent {key!r} by two more spaces, under {section!r}: it is not in that section now "
        f"(found: {key})"
        for line, key, section in expected
    ]


def test_a_name_that_is_indented_too_far_is_reported_instead_of_its_keys(tmp_path: Path) -> None:
    """The next deployment became a key of the one before, and its keys would occur twice there."""
    assert mistakes_in(tmp_path, LINES.replace("  desk:", "    desk:")) == [
        "line 18: indent 'desk' by two fewer spaces, as 'clauses' is: it is not in that section (found: desk)"
    ]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"prices": "MARK", "acounts": {}}, "acounts: unknown key: did you mean 'accounts'?"),
        ({f"{CLAUSES}.tags": "MARK"}, f"{CLAUSES}.tags: write keys and values here"),
        (
            {f"{CLAUSES}.task": "MARK", f"{CLAUSES}.uploads": {}},
            f"{CLAUSES}.task: write keys and values here",
        ),
    ],
)
def test_an_empty_section_before_other_keys_is_no_slip(
    tmp_path: Path, changes: dict[str, Any], remedy: str
) -> None:
    """What follows belongs where it stands."""
    text = yaml.safe_dump(yaml.safe_load(changed(changes)), sort_keys=False).replace("MARK", "")
    assert remedy in " ".join(mistakes_in(tmp_path, text))
