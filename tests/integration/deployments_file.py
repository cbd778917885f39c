"""Write deployments.yaml for a test: what all tests share, and the given changes of each deployment."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

MODEL = "gpt-4.1-mini-2025-04-14.ft-0e2c5d7f41aa4c0f9c1d5b8e6a7f3d21"
LEAD = 5  # seconds
PROMPT = "Say in one sentence what the document of Gudrun Zwetschge is about."

Section = Mapping[str, Any]


def account_id(deployment: str) -> str:
    """Return the id of a deployment's own account: Azure takes one write at a time on an account."""
    return (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
        f"/providers/Microsoft.CognitiveServices/accounts/{deployment}"
    )


def write_deployments(path: Path, deployments: Mapping[str, Section], **sections: Section) -> None:
    """Write the file and the prompt that it names: on-demand deployments, changed by the given sections."""
    path.with_name("prompt.md").write_text(PROMPT, encoding="utf-8")
    content: dict[str, Any] = {
        "installation": "integration",
        "defaults": {"time_zone": "UTC", "lead": f"{LEAD}s"},
        "prices": {
            "hosting_per_hour": {"GlobalStandard": 1.70},
            "tokens_per_million": {"input": 0.40, "output": 1.60, "embeddings": 0.02},
        },
        "accounts": {name: {"resource_id": account_id(name)} for name in deployments},
        "deployments": {
            name: {
                "account": name,
                "model": {"name": MODEL, "version": "1"},
                # Enough requests per minute for twenty documents within seconds.
                "sku": {"name": "GlobalStandard", "capacity": 1000},
                "task": {"system_prompt": "prompt.md", "max_output_tokens": 400},
                **given,
            }
            for name, given in deployments.items()
        },
        **sections,
    }
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def scheduled(start: datetime, end: datetime, *, stop_when_empty: bool = False) -> Section:
    """Return a deployment with this one window, whose documents do not start it themselves."""
    window: dict[str, Any] = {"from": _iso(start), "to": _iso(end)}
    if stop_when_empty:
        window["stop_when_empty"] = True
    return {"schedule": [window], "uploads": {"start": "scheduled"}}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
