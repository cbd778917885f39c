"""The three scenarios of the demonstration: their deployments.yaml and their cost in a month."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

PRICE = 1.70  # dollars per hour of a GlobalStandard deployment, from Microsoft's own worked example
HOURS_IN_MONTH = 730
WORKING_DAYS = 21  # in a month
REAL_CREATE_MINUTES = 5  # an assumed median: Azure documents no figure
OFFICE_HOURS = 9
OFFICE_LEAD_MINUTES = 15
MODEL = "gpt-4.1-mini-2025-04-14.ft-0e2c5d7f41aa4c0f9c1d5b8e6a7f3d21"

# Azure serialises the writes of an account, and a create has to wait 20 s after a delete. With these times
# the three creates (office, ad hoc, batch) come before the first delete, unless the machine is very slow.
_LEAD = timedelta(seconds=12)
_OFFICE_OPENS = timedelta(seconds=10)
_AD_HOC_ARRIVES = timedelta(seconds=6)
_BATCH_OPENS = timedelta(seconds=22)

_PROMPT = (
    "You read business documents. Say in two sentences, in the document's own language, what it is about."
)
_OFFICE_PROMPT = "You file business documents. Give a title, the language, and what has to be done next."
_OFFICE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "language": {"type": "string", "enum": ["de", "en", "other"]},
        "actions": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "language", "actions"],
    "additionalProperties": False,
}


class Door(StrEnum):
    """How documents are submitted."""

    INBOX = "inbox"
    HTTP = "http"


@dataclass(frozen=True)
class Scenario:
    """A deployment of the demonstration, and when and how its documents are submitted."""

    name: str
    title: str
    door: Door
    submit_at: datetime
    window: tuple[datetime, datetime] | None = None
    stop_when_empty: bool = False

    @property
    def ends(self) -> datetime:
        """Return the time after which only documents can keep the deployment."""
        return self.submit_at if self.window is None or self.stop_when_empty else self.window[1]


def plan_scenarios(now: datetime, documents: int, seconds_each: float) -> list[Scenario]:
    """Return the scenarios that start at ``now``, timed for a number of documents of a given duration."""
    now = now.replace(microsecond=0)
    office, batch = now + _OFFICE_OPENS, now + _BATCH_OPENS
    work = timedelta(seconds=math.ceil(40 + documents * seconds_each))
    return [
        Scenario("ad-hoc", "Ad hoc upload", Door.INBOX, now + _AD_HOC_ARRIVES),
        Scenario("batch", "Batch window", Door.HTTP, now, (batch, batch + 10 * work), stop_when_empty=True),
        Scenario("office-hours", "Business hours", Door.INBOX, office, (office, office + work)),
    ]


def write_deployments(scenarios: Sequence[Scenario], folder: Path) -> Path:
    """Write a deployments.yaml with its prompts and schema into ``folder`` and return its path."""
    (folder / "prompt.md").write_text(_PROMPT + "\n", encoding="utf-8")
    (folder / "office.md").write_text(_OFFICE_PROMPT + "\n", encoding="utf-8")
    (folder / "office.schema.json").write_text(json.dumps(_OFFICE_SCHEMA, indent=2), encoding="utf-8")
    content = {
        "installation": "local-demo",
        "defaults": {"time_zone": "UTC", "lead": f"{_LEAD.seconds}s"},
        "prices": {
            "currency": "USD",
            "hosting_per_hour": {"GlobalStandard": PRICE},
            "tokens_per_million": {"input": 0.40, "output": 1.60},
            "billing_unit": "minute",
            "billing_starts": "create",
        },
        "accounts": {"main": {"resource_id": "${AZURE_OPENAI_ACCOUNT_ID}"}},
        "deployments": {scenario.name: _deployment(scenario) for scenario in scenarios},
    }
    path = folder / "deployments.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _deployment(scenario: Scenario) -> dict[str, Any]:
    always_hosted = scenario.window is not None and not scenario.stop_when_empty
    task: dict[str, Any] = {"system_prompt": "prompt.md", "max_output_tokens": 400}
    if always_hosted:
        task |= {"system_prompt": "office.md", "response_schema": "office.schema.json"}
    content: dict[str, Any] = {
        "account": "main",
        "model": {"name": MODEL, "version": "1"},
        "sku": {"name": "GlobalStandard", "capacity": 120},
    }
    if scenario.window is not None:
        opens, closes = (
            instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for instant in scenario.window
        )
        window: dict[str, Any] = {"from": opens, "to": closes}
        content["schedule"] = [window | ({"stop_when_empty": True} if scenario.stop_when_empty else {})]
    content["uploads"] = {"start": "on_demand" if scenario.window is None else "scheduled"}
    return content | {"task": task}


@dataclass(frozen=True)
class Metered:
    """The emulator's meter for one scenario: seconds and dollars, summed over its deployments."""

    sessions: int = 0
    hosted_seconds: float = 0.0
    creating_seconds: float = 0.0
    dollars: float = 0.0


def read_meter(bill: Mapping[str, Any], scenario: Scenario) -> Metered:
    """Sum the rows of ``GET /emulator/bill`` that belong to a scenario."""
    rows = [row for row in bill["deployments"] if row["deployment"] == scenario.name]
    return Metered(
        sessions=len(rows),
        hosted_seconds=sum(row["hosted_seconds"] for row in rows),
        creating_seconds=sum(_creating_seconds(row) for row in rows),
        dollars=sum(row["dollars"] for row in rows),
    )


def _creating_seconds(row: dict[str, Any]) -> float:
    if row["ready"] is None:
        return float(row["hosted_seconds"])
    return (datetime.fromisoformat(row["ready"]) - datetime.fromisoformat(row["created"])).total_seconds()


def minutes_a_day(scenario: Scenario, metered: Metered) -> int:
    """Return the started minutes that Azure would bill for this pattern on one working day.

    Ad hoc and batch: the time hosted here after creation, plus a creation as slow as Azure's. Business hours:
    a real window and its lead, not the short ones of the demonstration.
    """
    if scenario.window is not None and not scenario.stop_when_empty:
        return OFFICE_HOURS * 60 + OFFICE_LEAD_MINUTES
    serving = metered.hosted_seconds - metered.creating_seconds
    return REAL_CREATE_MINUTES * metered.sessions + math.ceil(serving / 60)


def month_dollars(scenario: Scenario, metered: Metered) -> float:
    """Return the dollars that the pattern costs in a month, once per working day."""
    return minutes_a_day(scenario, metered) / 60 * WORKING_DAYS * PRICE


ALWAYS_ON = HOURS_IN_MONTH * PRICE  # dollars in a month, for one deployment

ASSUMPTIONS = (
    f"A month has {WORKING_DAYS} working days and {HOURS_IN_MONTH} hours; each pattern comes once a day.",
    f"Creating takes {REAL_CREATE_MINUTES} minutes, as in Azure (here: seconds).",
    "Every started minute is billed, from the create request on.",
    f"Business hours are {OFFICE_HOURS} hours, created {OFFICE_LEAD_MINUTES} minutes before (here: seconds).",
    f"Hosting costs ${PRICE:.2f} an hour. Tokens cost the same either way.",
    "What the app itself costs is not counted.",
)
