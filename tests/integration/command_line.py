"""Run `python -m shared` with its own Azurite accounts, emulated Azure and deployments.yaml."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.azurite import Azurite
from local.emulator.server import Options, emulator
from shared.adapters.openai import AzureModel
from shared.doors.cli.main import main
from shared.model import DeploymentSpec
from shared.providers.azure_openai.arm import AzureOpenAI
from tests.unit.command_line import Answer
from tests.unit.settings_file import ACCOUNT_ID, CLAUSES, GONE, changed

WHY = ("--owner", "dana", "--reason", "a demo")
REFUSED = {"status": 403, "code": "AuthorizationFailed", "message": "no right"}
QUOTA = 1000  # thousands of tokens a minute; the deployment `clauses` takes 120
BLOBS, TABLES = "DOCUMENTS_STORAGE__blobServiceUri", "DOCUMENTS_STORAGE__tableServiceUri"


@dataclass(frozen=True)
class Setup:
    """The set-up of a test: the folder of its files, the app settings, and the emulator's address."""

    folder: Path
    values: Mapping[str, str]
    emulator: str
    capsys: pytest.CaptureFixture[str]

    @property
    def settings(self) -> Path:
        """Return the file of the app settings, like local.settings.json."""
        return self.folder / "local.settings.json"

    def change(self, **values: str) -> None:
        """Write the app settings with some changes."""
        self.settings.write_text(json.dumps({"Values": {**self.values, **values}}))

    def configure(self, **changes: Any) -> None:
        """Write deployments.yaml: `clauses`, on demand, with some keys changed (`sku__name` is sku.name)."""
        places = {f"{CLAUSES}.{name.replace('__', '.')}": value for name, value in changes.items()}
        prices = {sku: "1.70" for sku in ("GlobalStandard", "DataZoneStandard")} | {"DeveloperTier": "0"}
        shared = {
            f"{CLAUSES}.schedule": GONE,
            f"{CLAUSES}.cost_center": "legal",
            "prices.hosting_per_hour": prices,
        }
        (self.folder / "deployments.yaml").write_text(changed(shared | places))

    async def run(self, *arguments: str) -> Answer:
        """Run a command in a thread: it has its own event loop, and the emulator uses ours."""
        code = await asyncio.to_thread(main, [*arguments, "--settings", str(self.settings)], {})
        printed = self.capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    async def fault(self, **what: object) -> None:
        """Add a fault to the emulated Azure; see local/emulator/faults.py."""
        url = f"{self.emulator}/emulator/faults"
        async with aiohttp.ClientSession() as session, session.post(url, json=what) as answer:
            assert answer.status == 201, await answer.text()

    async def deploy(self, spec: DeploymentSpec) -> None:
        """Create a deployment as another person would; it answers at once."""
        provider = AzureOpenAI(self.emulator, AzureModel())
        await provider.put(ACCOUNT_ID, spec, timeout=20)
        await provider.close()

    async def hosted(self) -> tuple[int, int]:
        """Return how many deployments there ever were and how many exist, from the emulator's own meter."""
        url = f"{self.emulator}/emulator/bill"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            bill = await answer.json()
            return len(bill["deployments"]), bill["open"]


@asynccontextmanager
async def set_up(azurite: Azurite, folder: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Setup]:
    """Yield an emulated Azure in which a create takes no time, and an app that is configured for it."""
    (folder / "prompt.md").write_text("Summarise.")
    options = Options(
        accounts=(ACCOUNT_ID,),
        provision_median=0.0,
        provision_p95=0.0,
        delete_seconds=0.1,
        warmup_seconds=0.0,
        latency_seconds=0.0,
        quota=QUOTA,
    )
    async with emulator(options) as running:
        values = {
            BLOBS: azurite.blob_uri,
            TABLES: azurite.table_uri,
            "AZURE_RESOURCE_MANAGER_ENDPOINT": running.url,
            "AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID,
            "DEPLOYMENTS_FILE": str(folder / "deployments.yaml"),
            "BLOB_SOURCE": "LogsAndContainerScan",
        }
        setup = Setup(folder, values, running.url, capsys)
        setup.change()
        setup.configure()
        yield setup


def findings(answer: Answer, status: str) -> dict[str, str]:
    """Return doctor's findings with that status: each check with its remedy."""
    found = [each for each in answer.json["findings"] if each["status"] == status]
    assert all(each["remedy"] for each in found if status != "ok"), found
    return {each["check"]: each["remedy"] for each in found}


def message_of(answer: Answer, check: str) -> str:
    """Return doctor's message about that check."""
    (what,) = (each["what"] for each in answer.json["findings"] if each["check"] == check)
    return str(what)
