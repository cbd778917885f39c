"""The command line as people and pipelines start it, on Azurite and the emulator, through the real SDKs."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.azurite import Azurite
from local.emulator.server import Options, emulator
from shared.__main__ import main
from shared.adapters.arm import AzureArm
from shared.adapters.blobs import AzureBlobs
from shared.adapters.tables import AzureTables
from shared.domain import DeploymentSpec
from shared.ports import Replace

ROOT = Path(__file__).parents[2]
ACCOUNT_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"
FILE = """\
installation: contoso-test
prices:
  hosting_per_hour: {GlobalStandard: 1.70}
  tokens_per_million: {input: 0.40, output: 1.60}
accounts:
  main: {resource_id: "${AZURE_OPENAI_ACCOUNT_ID}"}
deployments:
  clauses:
    account: main
    model: {name: gpt-4.1-mini-2025-04-14.ft-0e2c, version: "1"}
    sku: {name: GlobalStandard, capacity: 120}
    cost_center: legal
    task: {system_prompt: prompt.md, max_output_tokens: 2000}
"""
WHY = ("--owner", "dana", "--reason", "a demo")
REFUSED = {"status": 403, "code": "AuthorizationFailed", "message": "no right"}


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Setup:
    """A set-up of its own, and the command line with its settings."""

    settings: Path
    values: Mapping[str, str]
    emulator: str
    capsys: pytest.CaptureFixture[str]

    async def run(self, *arguments: str) -> Answer:
        """In a thread, as it brings its own event loop and the emulator lives in ours."""
        code = await asyncio.to_thread(main, [*arguments, "--settings", str(self.settings)], {})
        printed = self.capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    async def fault(self, **what: object) -> None:
        """Something is to go wrong in Azure."""
        url = f"{self.emulator}/emulator/faults"
        async with aiohttp.ClientSession() as session, session.post(url, json=what) as answer:
            assert answer.status == 201, await answer.text()

    async def hosted(self) -> tuple[int, int]:
        """How many deployments there ever were and how many there are, by the emulator's own meter."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.emulator}/emulator/bill") as answer,
        ):
            bill = await answer.json()
            return len(bill["deployments"]), bill["open"]

    def change(self, **values: str) -> None:
        """Other app settings."""
        self.settings.write_text(json.dumps({"Values": {**self.values, **values}}))


@pytest.fixture
async def setup(azurite: Azurite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Setup]:
    (tmp_path / "prompt.md").write_text("Summarise.")
    (tmp_path / "deployments.yaml").write_text(FILE)
    options = Options(
        accounts=(ACCOUNT_ID,),
        provision_median=0.1,
        provision_p95=0.1,
        delete_seconds=0.1,
        warmup_seconds=0.0,
        latency_seconds=0.0,
    )
    async with emulator(options) as running:
        values = {
            "DOCUMENTS_STORAGE__blobServiceUri": azurite.blob_uri,
            "DOCUMENTS_STORAGE__tableServiceUri": azurite.table_uri,
            "AZURE_RESOURCE_MANAGER_ENDPOINT": running.url,
            "AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID,
            "DEPLOYMENTS_FILE": str(tmp_path / "deployments.yaml"),
            "BLOB_SOURCE": "LogsAndContainerScan",
        }
        setup = Setup(tmp_path / "local.settings.json", values, running.url, capsys)
        setup.change()
        yield setup


def findings(answer: Answer, status: str) -> dict[str, str]:
    """The findings of that status: each check with its remedy."""
    return {each["check"]: each["remedy"] for each in answer.json["findings"] if each["status"] == status}


# --- the commands ------------------------------------------------------------------------------------


async def test_a_pipeline_hosts_answers_and_accounts_for_it(setup: Setup, tmp_path: Path) -> None:
    """validate, up, submit, explain, release, wait, sessions: each ends with 0, and the meter agrees."""
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all")
    assert (await setup.run("validate")).code == 0
    held = await setup.run("up", "clauses", "--for", "1h", *WHY, "--wait", "--json")
    assert (held.code, held.json["reached"]) == (0, True)
    answered = await setup.run("submit", "clauses", str(letter), "--out", str(tmp_path / "out"))
    assert answered.code == 0, answered.err
    result = json.loads((tmp_path / "out" / "letter.txt.json").read_text())
    assert result["document"]["name"] == "letter.txt"
    assert "ready" in (await setup.run("status")).out
    assert (await setup.run("explain", "clauses", "--json")).json["next_step"]["action"] == "serve"
    assert (await setup.run("release", "clauses")).code == 0
    assert (await setup.run("wait", "clauses", "--for", "gone", "--timeout", "1m")).code == 0
    assert await setup.hosted() == (1, 0)
    (row,) = csv.DictReader(io.StringIO((await setup.run("sessions", "--csv")).out))
    assert (row["deployment"], row["cost_center"]) == ("clauses", "legal")


async def test_down_keeps_a_submitted_document_waiting(setup: Setup, tmp_path: Path) -> None:
    """Nothing is created for it while the hold lasts, and submit says so with 1."""
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all")
    assert (await setup.run("down", "clauses", "--for", "1h", *WHY)).code == 0
    answer = await setup.run("submit", "clauses", str(letter), "--wait", "--timeout", "3s", "--json")
    assert answer.code == 1
    assert answer.json["documents"][0]["state"] == "waiting"
    assert await setup.hosted() == (0, 0)


async def test_reconcile_and_drain_are_all_that_cron_needs(setup: Setup) -> None:
    """An upload is found, hosted, answered and cleaned up after by repeated calls alone."""
    blobs = AzureBlobs(setup.values["DOCUMENTS_STORAGE__blobServiceUri"])
    await blobs.create("inbox", "clauses/letter.txt", b"Dear all", "text/plain")
    for _ in range(20):
        answer = await setup.run("reconcile", "--drain", "--json")
        assert answer.code == 0, answer.err
        if await setup.hosted() == (1, 0):
            break
        await asyncio.sleep(0.3)
    assert (await blobs.list("inbox", None, 10)).items == ()
    await blobs.close()
    assert await setup.hosted() == (1, 0)


async def test_reconcile_ends_with_1_when_azure_refuses(setup: Setup) -> None:
    """With the right that is missing, and with the app's own alert as a line."""
    await setup.fault(plane="arm", operation="list", **REFUSED)
    answer = await setup.run("reconcile")
    assert answer.code == 1
    assert "failed: main: Azure answered 403 AuthorizationFailed" in answer.err
    assert "alert pass_failed: " in answer.err


async def test_a_wait_that_azure_refuses_ends_with_1_at_once(setup: Setup) -> None:
    """For people on standard error, for scripts as JSON."""
    await setup.fault(plane="arm", operation="list", count=2, **REFUSED)
    answer = await setup.run("wait", "clauses")
    assert (answer.code, answer.out) == (1, "")
    assert "grant the app's identity accounts/read" in answer.err
    answer = await setup.run("wait", "clauses", "--json")
    assert answer.code == 1
    assert "AuthorizationFailed" in answer.json["error"]


async def test_an_unknown_deployment_ends_with_2(setup: Setup) -> None:
    """For every command that names one."""
    for arguments in (
        ("explain", "clause"),
        ("wait", "clause"),
        ("release", "clause"),
        ("up", "clause", "--for", "1h", *WHY),
        ("down", "clause", "--for", "1h", *WHY),
        ("submit", "clause", "letter.txt"),
        ("sessions", "--deployment", "clause"),
    ):
        answer = await setup.run(*arguments)
        assert (answer.code, answer.out) == (2, ""), arguments
        assert "clause" in answer.err


async def test_storage_that_cannot_be_reached_ends_with_1(setup: Setup) -> None:
    """The commands act on records: without storage there is nothing to tell."""
    setup.change(DOCUMENTS_STORAGE__tableServiceUri="http://127.0.0.1:9/nobody")
    answer = await setup.run("status")
    assert answer.code == 1
    assert "table storage refused or did not answer" in answer.err


async def test_the_module_runs_as_a_program(setup: Setup) -> None:
    """`python -m shared` is what cron starts: settings from the environment, exit code to the shell."""
    environment = {**os.environ, **setup.values, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared", "status", "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert [each["deployment"] for each in json.loads(done.stdout)["deployments"]] == ["clauses"]


# --- doctor ------------------------------------------------------------------------------------------


async def test_doctor_finds_a_good_setup_good(setup: Setup) -> None:
    """Nothing fails, it leaves nothing behind, and it says what could not be told from here."""
    await setup.run("reconcile")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0, answer.out
    assert findings(answer, "failed") == findings(answer, "warning") == {}
    assert set(findings(answer, "not checked")) == {"account main: inference", "account main: models"}
    assert {"blob rights", "table rights", "clock", "sweep"} <= set(findings(answer, "ok"))
    assert await setup.hosted() == (0, 0)
    again = await setup.run("doctor")
    assert "ok    blob rights: a blob was written, leased and deleted" in again.out
    assert "remedy: az cognitiveservices account list-models --resource-group g --name contoso" in again.out


async def test_doctor_asks_a_deployment_that_is_ready(setup: Setup) -> None:
    """The right to infer shows only then; without it the role is named."""
    await setup.run("up", "clauses", "--for", "1h", *WHY, "--wait")
    assert "account main: inference" in findings(await setup.run("doctor", "--json"), "ok")
    await setup.fault(plane="data", operation="chat", status=401, code="PermissionDenied")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert "Cognitive Services OpenAI User" in findings(answer, "failed")["account main: inference"]
    await setup.run("release", "clauses")


@pytest.mark.parametrize(
    ("operation", "check"),
    [("get", "account main: read"), ("list", "account main: list"), ("delete", "account main: write")],
)
async def test_doctor_finds_each_missing_right(setup: Setup, operation: str, check: str) -> None:
    """One right refused, one finding, with the grant that is missing; the other checks are made, too."""
    await setup.fault(plane="arm", operation=operation, **REFUSED)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {check}
    assert "accounts/deployments/read, write, delete" in findings(answer, "failed")[check]
    assert "table rights" in findings(answer, "ok")


async def test_doctor_finds_a_delete_lock_and_a_busy_account(setup: Setup) -> None:
    """Both are 409: a lock fails, since nothing could ever be deleted; an operation under way does not."""
    await setup.fault(plane="arm", operation="delete", status=409, code="ScopeLocked")
    answer = await setup.run("doctor", "--json")
    assert (answer.code, set(findings(answer, "failed"))) == (1, {"account main: write"})
    await setup.fault(plane="arm", operation="delete", status=409, code="RequestConflict")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert findings(answer, "not checked")["account main: write"] == "run doctor again in a minute"


async def test_doctor_finds_storage_that_refuses(setup: Setup, azurite: Azurite) -> None:
    """Another account's address: blobs and tables fail, each with the role; accounts are checked still."""
    other = {"blob": azurite.account("nobody").blob_uri, "table": azurite.account("nobody").table_uri}
    setup.change(
        DOCUMENTS_STORAGE__blobServiceUri=other["blob"], DOCUMENTS_STORAGE__tableServiceUri=other["table"]
    )
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert "Storage Blob Data Contributor" in findings(answer, "failed")["blob storage"]
    assert "Storage Table Data Contributor" in findings(answer, "failed")["table storage"]
    assert "account main: read" in findings(answer, "ok")


async def test_doctor_tells_every_mistake_of_the_settings(setup: Setup, tmp_path: Path) -> None:
    """Of deployments.yaml, with what that leaves unchecked; of app settings likewise."""
    (tmp_path / "deployments.yaml").write_text(FILE.replace("account: main", "account: maine"))
    setup.change(BLOB_SOURCE="Carrier pigeon")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert findings(answer, "failed") == {"deployments.yaml": "is not under accounts: did you mean 'main'?"}
    assert "accounts" in findings(answer, "not checked")
    assert "use one of EventGrid" in findings(answer, "warning")["app settings"]
    assert "blob rights" in findings(answer, "ok")
    setup.change(AZURE_RESOURCE_MANAGER_ENDPOINT="http://example.com", DOCUMENTS_STORAGE__blobServiceUri="")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    failed = [each for each in answer.json["findings"] if each["status"] == "failed"]
    assert [each["remedy"] for each in failed] == ["is missing from the app settings", "must be an https URL"]
    assert {"storage", "accounts"} <= set(findings(answer, "not checked"))


async def test_doctor_finds_timers_that_stand_still_and_what_they_left(setup: Setup) -> None:
    """No sweep yet, one of long ago, one that could not record everything."""
    assert "deployed, started" in findings(await setup.run("doctor", "--json"), "warning")["sweep"]
    tables = AzureTables(setup.values["DOCUMENTS_STORAGE__tableServiceUri"])
    for age, unaccounted in ((timedelta(hours=1), 0), (timedelta(seconds=5), 2)):
        values = {"token": "", "began_at": datetime.now(UTC) - age, "unaccounted": unaccounted}
        await tables.write("sweeps", "inbox", [Replace("walk", values, etag=None)])
        answer = await setup.run("doctor", "--json")
        assert (answer.code, set(findings(answer, "failed"))) == (1, {"sweep"})
    await tables.close()


async def test_doctor_names_the_price_of_somebody_elses_deployment(setup: Setup) -> None:
    """With the remedy; and tells how to see the event subscription, which the app's rights do not show."""
    arm = AzureArm(setup.emulator)
    spec = DeploymentSpec("clauses", "gpt-4.1-mini-2025-04-14.ft-9", "1", None, "GlobalStandard", 50)
    await arm.put(ACCOUNT_ID, spec, timeout=20)
    await arm.close()
    setup.change(BLOB_SOURCE="EventGrid")
    answer = await setup.run("doctor", "--json")
    assert "adopt: true" in findings(answer, "warning")["account main: deployments"]
    assert "1.70 USD an hour" in answer.out
    assert "event-subscription list" in findings(answer, "not checked")["event subscription"]
