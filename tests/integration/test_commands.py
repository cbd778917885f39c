"""The command line as people and pipelines start it, with the real SDKs on Azurite and the emulator.

These tests succeed; test_commands_failures.py has the failures, test_doctor_*.py has `doctor`.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local.stack import ROOT
from shared.adapters.blobs import AzureBlobs
from tests.fakes.world import config
from tests.integration.command_line import BLOBS, WHY, Setup


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """Return the path of a document."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear all")
    return path


async def test_a_pipeline_hosts_answers_and_accounts_for_it(setup: Setup, letter: Path) -> None:
    """validate, up, submit, explain, release, wait, sessions: each ends with 0, and the meter agrees."""
    assert (await setup.run("validate")).code == 0
    held = await setup.run("up", "clauses", "--for", "1h", *WHY, "--wait", "--json")
    assert (held.code, held.json["reached"]) == (0, True)
    answered = await setup.run("submit", "clauses", str(letter), "--out", str(setup.folder / "out"))
    assert answered.code == 0, answered.err
    result = json.loads((setup.folder / "out" / "letter.txt.json").read_text())
    assert result["document"]["name"] == "letter.txt"
    assert "ready" in (await setup.run("status")).out
    assert (await setup.run("explain", "clauses", "--json")).json["next_step"]["action"] == "serve"
    assert (await setup.run("release", "clauses")).code == 0
    assert (await setup.run("wait", "clauses", "--for", "gone", "--timeout", "1m")).code == 0
    assert await setup.hosted() == (1, 0)
    (row,) = csv.DictReader(io.StringIO((await setup.run("sessions", "--csv")).out))
    assert (row["deployment"], row["cost_center"]) == ("clauses", "legal")
    assert "hosted     0." in (await setup.run("sessions")).out
    totals = (await setup.run("sessions", "--deployment", "clauses", "--json")).json["totals"]
    assert totals["cost_at_least"] > 0


async def test_down_keeps_a_submitted_document_waiting(setup: Setup, letter: Path) -> None:
    """Nothing is created for it while the hold lasts, and submit ends with 1."""
    assert (await setup.run("down", "clauses", "--for", "1h", *WHY)).code == 0
    answer = await setup.run("submit", "clauses", str(letter), "--json")
    assert (answer.code, answer.json["documents"][0]["state"]) == (0, "waiting")
    answer = await setup.run("submit", "clauses", str(letter), "--wait", "--timeout", "3s", "--json")
    assert answer.code == 1
    assert answer.json["documents"][0]["state"] == "waiting"
    assert await setup.hosted() == (0, 0)


async def test_down_can_wait_until_it_is_gone(setup: Setup) -> None:
    """A deployment with our tag is deleted through the fence, and the command waits until it is gone."""
    await setup.deploy(replace(config().spec, tags={"lamplighter": "contoso-test"}))
    answer = await setup.run("down", "clauses", "--for", "1h", *WHY, "--wait", "--json")
    assert (answer.code, answer.json["reached"]) == (0, True), answer.out
    assert await setup.hosted() == (1, 0)


async def test_reconcile_and_drain_are_all_that_cron_needs(setup: Setup) -> None:
    """Repeated calls alone find an upload, host its deployment, answer it, and delete the deployment."""
    blobs = AzureBlobs(setup.values[BLOBS])
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


async def test_the_module_runs_as_a_program(setup: Setup) -> None:
    """cron starts `python -m shared`: it reads settings from the environment and returns an exit code."""
    environment = {**os.environ, **setup.values, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared", "status", "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert [each["deployment"] for each in json.loads(done.stdout)["deployments"]] == ["clauses"]
