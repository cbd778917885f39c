"""Run a process that is measured, and write the deployments file for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from bench._drain_clients import SYSTEM
from local.stack import ROOT, Services, machine_environment
from tests.integration.calls import call

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def figures_of(module: str, arguments: list[str], work: DataclassInstance) -> dict[str, Any]:
    """Run a module with its work as JSON on standard input, and return the JSON that it prints last.

    Raises SystemExit with its errors if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=machine_environment(),
        input=json.dumps(asdict(work)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


_ONE = {"main": "${AZURE_OPENAI_ACCOUNT_ID}"}


def write_deployments(
    folder: Path,
    deployments: Mapping[str, Mapping[str, Any]],
    *,
    max_output_tokens: int,
    accounts: Mapping[str, str] = _ONE,
    task: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write a deployments file: each deployment by name, without its task, which all share.

    `task`: further keys of the task. `accounts`: resource ids by name. The emulator's only one needs no name
    in the deployments.
    """
    (folder / "prompt.md").write_text(SYSTEM, encoding="utf-8")
    asked = {"system_prompt": "prompt.md", "max_output_tokens": max_output_tokens, **task}
    content = {
        "installation": "bench",
        "prices": {
            "billing_unit": "hour",  # it would keep a deployment for the rest of its paid minute
            "hosting_per_hour": {"GlobalStandard": 1.7},
            "tokens_per_million": {"input": 0.4, "output": 1.6},
        },
        "accounts": {name: {"resource_id": resource_id} for name, resource_id in accounts.items()},
        "deployments": {
            name: {"account": "main", "task": dict(asked), **deployment}
            for name, deployment in deployments.items()
        },
    }
    file = folder / "deployments.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def admissions(services: Services, deployment: str) -> list[dict[str, Any]]:
    """Return what the emulator has admitted to a deployment, oldest first."""
    answer = call(f"{services.emulator_url}/emulator/admissions?deployment={deployment}")
    found: list[dict[str, Any]] = answer.json["admissions"]
    return found


def use_of_limit(admitted: Sequence[datetime], requests: float) -> float:
    """Return what was admitted as a share of the limit a minute, from the first to the last admission."""
    if len(admitted) < 2:
        return 0.0
    minutes = (admitted[-1] - admitted[0]) / timedelta(minutes=1)
    return (len(admitted) - 1) / (minutes * requests)
