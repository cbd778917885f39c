"""doctor's checks of the app's own settings and timers, on the local stack."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.stack import ROOT, machine_environment
from shared.adapters.blobs import AzureBlobs
from shared.adapters.tables import AzureTables
from shared.ports import Replace
from tests.integration.command_line import BLOBS, TABLES, Setup, findings, message_of
from tests.integration.storage_proxy import storage_proxy
from tests.unit.command_line import Answer


async def test_a_good_setup_is_found_good(setup: Setup) -> None:
    """Nothing fails, nothing is left behind, and the checks that are impossible from here are named."""
    await setup.run("reconcile")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0, answer.out
    assert findings(answer, "failed") == findings(answer, "warning") == {}
    unknown = {f"account main: {check}" for check in ("context", "inference", "lifecycle", "models", "quota")}
    assert set(findings(answer, "not checked")) == unknown
    checks = {"app settings", "host.json", "deployments.yaml", "event subscription", "sweep"}
    assert checks <= set(findings(answer, "ok"))
    assert await setup.hosted() == (0, 0)
    again = (await setup.run("doctor")).out
    assert "ok    blob rights: a blob was written, leased and deleted" in again
    assert "?     account main: inference: " in again
    assert "      remedy: run doctor again while a deployment is ready" in again


async def test_every_mistake_of_the_settings_is_reported(setup: Setup) -> None:
    """This holds for deployments.yaml and for app settings, with the checks that could then not be made."""
    setup.configure(account="maine")
    setup.change(BLOB_SOURCE="Carrier pigeon", RECONCILE_SCHEDULE="hourly")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert findings(answer, "failed") == {"deployments.yaml": "is not under accounts: did you mean 'main'?"}
    assert "accounts" in findings(answer, "not checked")
    mistaken = [each["what"] for each in answer.json["findings"] if each["check"] == "app settings"]
    assert len(mistaken) == 2
    assert all(what.endswith("the default is used") for what in mistaken)
    assert "app settings" in findings(answer, "warning")
    assert "blob rights" in findings(answer, "ok")
    setup.change(AZURE_RESOURCE_MANAGER_ENDPOINT="http://example.com", **{BLOBS: ""})
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    failed = [each["remedy"] for each in answer.json["findings"] if each["status"] == "failed"]
    assert [remedy.split(":")[0] for remedy in failed] == [
        "is missing from the app settings",
        "must be an https URL",
    ]
    assert {"storage", "accounts"} <= set(findings(answer, "not checked"))


async def test_a_configuration_in_a_blob_needs_its_storage(setup: Setup, azurite: Azurite) -> None:
    """It is read from there. A broken one is a failure, though the last good version is in force.

    If storage refuses, the check fails, and the accounts are not known.
    """
    blobs = AzureBlobs(setup.values[BLOBS])
    for name in ("deployments.yaml", "prompt.md"):
        await blobs.create("config", name, (setup.folder / name).read_bytes(), "text/plain")
    setup.change(DEPLOYMENTS_FILE="blob:config/deployments.yaml")
    answer = await setup.run("doctor", "--json")
    assert {"deployments.yaml", "account main: read"} <= set(findings(answer, "ok"))
    good = await blobs.stat("config", "deployments.yaml")
    assert good is not None and await blobs.delete("config", "deployments.yaml", good.etag)
    answer = await setup.run("doctor", "--json")
    assert (answer.code, set(findings(answer, "failed"))) == (1, {"deployments.yaml"})
    assert "there is no such blob in the container config" in findings(answer, "failed")["deployments.yaml"]
    shown = [each["what"] for each in answer.json["findings"] if each["check"] == "deployments.yaml"]
    assert shown[0] == "cannot be used" and shown[1].startswith("the last good version is in force: ")
    assert "account main: read" in findings(answer, "ok")
    await blobs.close()
    refused = azurite.account("nobody").blob_uri
    setup.change(DEPLOYMENTS_FILE="blob:config/deployments.yaml", **{BLOBS: refused})
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {"blob storage", "deployments.yaml"}
    assert "accounts" in findings(answer, "not checked")


async def test_the_remedy_says_how_to_see_the_event_subscription(setup: Setup) -> None:
    """The app's own rights do not show it; if the host polls, there is none."""
    setup.change(BLOB_SOURCE="EventGrid")
    remedy = findings(await setup.run("doctor", "--json"), "not checked")["event subscription"]
    assert "az eventgrid system-topic event-subscription list" in remedy


async def test_timers_that_stopped_and_uploads_that_were_not_recorded_are_reported(setup: Setup) -> None:
    """There was no sweep, one that could not record everything, or one long ago."""
    assert "deployed, started" in findings(await setup.run("doctor", "--json"), "warning")["sweep"]
    blobs, tables = AzureBlobs(setup.values[BLOBS]), AzureTables(setup.values[TABLES])
    await blobs.create("inbox", "clauses/letter.txt", b"Dear all", "text/plain")
    async with storage_proxy(setup.values[BLOBS]) as proxy:
        proxy.refuse("GET", "/inbox/clauses/")
        setup.change(**{BLOBS: proxy.url})
        assert (await setup.run("reconcile")).code == 1
    setup.change()
    answer = await setup.run("doctor", "--json")
    assert (answer.code, set(findings(answer, "failed"))) == (1, {"sweep"})
    assert message_of(answer, "sweep") == "1 upload(s) could not be recorded"
    values = {"token": "", "began_at": datetime.now(UTC) - timedelta(hours=1), "unaccounted": 0}
    await tables.write("sweeps", "inbox", [Replace("walk", values, etag=None)])
    answer = await setup.run("doctor", "--json")
    assert (answer.code, set(findings(answer, "failed"))) == (1, {"sweep"})
    assert message_of(answer, "sweep") == "the inbox was last swept 60 min ago"
    await blobs.close()
    await tables.close()


# --- host.json: in a copy of the project, because it is read from beside the code ------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the files that doctor needs."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "shared", copy / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.parametrize(
    ("content", "status", "what"),
    [
        ('{"functionTimeout": "-1"}', "ok", "unlimited"),
        ('{"functionTimeout": "00:05:00"}', "failed", "is 00:05:00, shorter than a slice"),
        ('{"functionTimeout": "ten minutes"}', "failed", "'ten minutes', which is not hh:mm:ss"),
        ("{}", "warning", "names no functionTimeout"),
        ("functionTimeout: 00:10:00", "not checked", "cannot be read here (JSONDecodeError)"),
        (None, "not checked", "cannot be read here (FileNotFoundError)"),
    ],
)
async def test_a_slice_must_fit_into_the_hosts_time_limit(
    setup: Setup, project: Path, content: str | None, status: str, what: str
) -> None:
    """Each value in host.json has its finding; all other checks are made as usual."""
    path = project / "host.json"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
    command = [sys.executable, "-m", "shared", "doctor", "--json", "--settings", str(setup.settings)]
    done = await asyncio.to_thread(
        subprocess.run, command, env=machine_environment(), cwd=project, capture_output=True, text=True
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.code == (status == "failed"), answer.err
    assert "host.json" in findings(answer, status)
    assert what in message_of(answer, "host.json")
    assert {"blob rights", "account main: write"} <= set(findings(answer, "ok"))
    assert json.loads(done.stdout)["counts"]["failed"] == (status == "failed")
