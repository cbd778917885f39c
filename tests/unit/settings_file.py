"""A valid deployments.yaml, ways to change it, and the mistakes that are reported."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import SettingsError
from shared.model import DeploymentConfig, Settings
from shared.settings.load import load

ACCOUNT_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"
OTHER_ID = ACCOUNT_ID.replace("contoso", "fabrikam")
ENVIRONMENT = {"AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID}
GONE = "this key is not there"

FILE: dict[str, Any] = {
    "installation": "contoso-test",
    "prices": {
        "hosting_per_hour": {"GlobalStandard": "1.70"},
        "tokens_per_million": {"input": "0.40", "output": "1.60"},
    },
    "accounts": {"main": {"resource_id": ACCOUNT_ID}},
    "deployments": {
        "clauses": {
            "account": "main",
            "model": {"name": "gpt-4.1-mini-2025-04-14.ft-0e2c", "version": "1"},
            "sku": {"name": "GlobalStandard", "capacity": "120"},
            "schedule": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}],
            "task": {"system_prompt": "prompt.md", "max_output_tokens": "2000"},
        }
    },
}
CLAUSES = "deployments.clauses"
WINDOW = f"{CLAUSES}.schedule.0"
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {"title": {"type": "string"}},
}


def changed(changes: dict[str, Any]) -> str:
    """Return the file with the values at some places, such as `a.b.0.c`, replaced or removed."""
    document = copy.deepcopy(FILE)
    for place, value in changes.items():
        *path, last = place.split(".")
        section: Any = document
        for part, next_part in zip(path, [*path, last][1:], strict=True):
            missing: Any = [] if next_part == "0" else {}
            section = section[int(part)] if isinstance(section, list) else section.setdefault(part, missing)
        if isinstance(section, list):
            section[int(last) : int(last) + 1] = [value]
        elif value is GONE:
            del section[last]
        else:
            section[last] = value
    return yaml.safe_dump(document, allow_unicode=True)


def loaded(folder: Path, text: str | bytes, environment: dict[str, str] = ENVIRONMENT) -> Settings:
    """Return the settings from a file with that text, beside a prompt."""
    (folder / "prompt.md").write_text("List the clauses.", encoding="utf-8")
    path = folder / "deployments.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, environment)


def config(folder: Path, **changes: Any) -> DeploymentConfig:
    """Return the deployment of the file with some of its keys replaced."""
    text = changed({f"{CLAUSES}.{key}": value for key, value in changes.items()})
    return loaded(folder, text).deployments["clauses"]


def mistakes_in(folder: Path, text: str | bytes, environment: dict[str, str] = ENVIRONMENT) -> list[str]:
    """Return each mistake in the file, as an operator reads it."""
    with pytest.raises(SettingsError) as raised:
        loaded(folder, text, environment)
    return [str(problem) for problem in raised.value.problems]


def the_one(folder: Path, place: str, value: Any) -> str:
    """Return the only mistake of the file with that value at that place."""
    (problem,) = mistakes_in(folder, changed({place: value}))
    return problem


def aliases(before: str, after: str) -> str:
    """Return a file of some hundred bytes whose aliases to aliases stand for 9 ** 9 values."""
    levels = (
        f"a{each}: &a{each} {before}{','.join([f'*a{each - 1}'] * 9)}{after}\n" for each in range(1, 10)
    )
    return "a0: &a0 {x: y}\n" + "".join(levels)
