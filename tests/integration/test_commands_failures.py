"""How each command fails on the local stack: its exit code, and its messages for people and scripts."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local.stack import ROOT, machine_environment
from shared.adapters.blobs import AzureBlobs
from tests.fakes.world import config
from tests.integration.command_line import BLOBS, REFUSED, TABLES, WHY, Setup
from tests.integration.storage_proxy import storage_proxy

CLAUSES = config().spec
LETTER = str(ROOT / "samples" / "service-agreement.md")
ON_RECORDS = {
    "status": ["status"],
    "explain": ["explain", "clauses"],
    "up": ["up", "clauses", "--for", "1h", *WHY],
    "down": ["down", "clauses", "--for", "1h", *WHY],
    "release": ["release", "clauses"],
    "wait": ["wait", "clauses", "--timeout", "1s"],
    "reconcile": ["reconcile"],
    "submit": ["submit", "clauses", LETTER],
    "sessions": ["sessions"],
}
"""Every command that uses the records: all except `validate` and `doctor`."""


def commands(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("command", [ON_RECORDS[name] for name in names], ids=names)


# --- 2: wrong arguments, or an unusable configuration -------------------------------------------------


@pytest.mark.parametrize("command", [["validate"], *ON_RECORDS.values()], ids=lambda command: command[0])
async def test_a_configuration_that_cannot_be_used_ends_with_2(setup: Setup, command: list[str]) -> None:
    """This holds for deployments.yaml and app settings. The remedy is shown, for scripts as JSON."""
    setup.configure(account="maine")
    answer = await setup.run(*command)
    assert (answer.code, answer.out) == (2, "")
    assert "is not under accounts: did you mean 'main'?" in answer.err
    answer = await setup.run(*command, "--json")
    assert (answer.code, [each["key"] for each in answer.json["problems"]]) == (
        2,
        ["deployments.clauses.account"],
    )
    setup.configure()
    if command != ["validate"]:
        setup.change(**{TABLES: ""})
        answer = await setup.run(*command)
        assert answer.code == 2
        assert f"{TABLES}: is missing from the app settings" in answer.err
    setup.settings.write_text("{}")
    answer = await setup.run(*command)
    assert answer.code == 2
    assert 'is not of the form {"Values"' in answer.err


async def test_doctor_cannot_check_settings_that_cannot_be_read(setup: Setup) -> None:
    """Every other mistake is a finding."""
    setup.settings.write_text("{}")
    assert (await setup.run("doctor")).code == 2


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (["explain", "clause"], "did you mean 'clauses'?"),
        (["wait", "clause"], "did you mean 'clauses'?"),
        (["release", "clause"], "did you mean 'clauses'?"),
        (["up", "clause", "--for", "1h", *WHY], "did you mean 'clauses'?"),
        (["down", "clause", "--for", "1h", *WHY], "did you mean 'clauses'?"),
        (["submit", "clause", LETTER], "did you mean 'clauses'?"),
        (["sessions", "--deployment", "clause"], "no deployment is or was called 'clause'"),
        (["sessions", "--since", "2026-02-01", "--until", "2026-01-01"], "--since must come before --until"),
        (
            ["up", "clauses", "--until", "2026-01-01", *WHY],
            "2026-01-01 00:00 UTC is past: a hold ends after ",
        ),
        (
            ["down", "clauses", "--until", "2026-01-01", *WHY],
            "2026-01-01 00:00 UTC is past: a hold ends after ",
        ),
        (["submit", "clauses", LETTER, LETTER, "--out", "nowhere"], "two of the files are called"),
        (["validate", "blob:config/deployments.yaml"], "name the FILE that you mean to upload"),
    ],
)
async def test_wrong_use_ends_with_2(setup: Setup, command: list[str], remedy: str) -> None:
    """The message says what to write instead, and nothing is done."""
    answer = await setup.run(*command)
    assert (answer.code, answer.out) == (2, "")
    assert remedy in answer.err
    assert remedy in (await setup.run(*command, "--json")).json["error"]
    assert await setup.hosted() == (0, 0)


# --- 1: the command did not achieve its goal, or only in part ---------------------------------------


@commands(*ON_RECORDS)
async def test_tables_that_refuse_end_a_command_with_1(setup: Setup, command: list[str]) -> None:
    """Without records there is nothing to act on or to show."""
    async with storage_proxy(setup.values[TABLES]) as proxy:
        for method in ("GET", "PUT", "POST"):
            proxy.refuse(method, "")
        setup.change(**{TABLES: proxy.url})
        answer = await setup.run(*command)
    assert answer.code == 1
    assert "AuthorizationPermissionMismatch" in answer.err + answer.out
    assert await setup.hosted() == (0, 0)


@commands("reconcile", "submit", "wait")
async def test_blobs_that_refuse_end_a_command_with_1(setup: Setup, command: list[str]) -> None:
    """Leases and documents are in blobs."""
    async with storage_proxy(setup.values[BLOBS]) as proxy:
        for method in ("GET", "PUT"):
            proxy.refuse(method, "")
        setup.change(**{BLOBS: proxy.url})
        answer = await setup.run(*command)
    assert answer.code == 1
    assert "AuthorizationPermissionMismatch" in answer.err + answer.out


@commands("up", "down", "release", "wait", "reconcile", "submit")
async def test_a_right_that_is_missing_ends_a_command_with_1(setup: Setup, command: list[str]) -> None:
    """It ends at once, since no wait helps. The missing grant is shown to people and scripts."""
    command = [*command, "--wait"] if command[0] == "submit" else command
    await setup.fault(plane="arm", operation="list", count=2, **REFUSED)
    answer = await setup.run(*command)
    assert answer.code == 1
    assert "grant the app's identity accounts/read" in answer.err
    answer = await setup.run(*command, "--json")
    assert answer.code == 1
    assert "AuthorizationFailed" in json.dumps(answer.json.get("error") or answer.json["problems"])


async def test_a_failed_pass_is_an_alert_on_the_terminal(setup: Setup) -> None:
    """The app's alert is printed as a line."""
    await setup.fault(plane="arm", operation="list", status=503)
    answer = await setup.run("reconcile")
    assert answer.code == 1
    assert "failed: main: Azure answered 503" in answer.err
    assert "alert pass_failed: " in answer.err


async def test_explain_shows_the_records_when_azure_refuses(setup: Setup) -> None:
    """The state in Azure is unknown; its error, the remedy and the records are shown."""
    await setup.fault(plane="arm", operation="list", **REFUSED)
    answer = await setup.run("explain", "clauses")
    assert answer.code == 1
    assert "the account cannot be read: Azure answered 403 AuthorizationFailed" in answer.out
    assert "grant the app's identity accounts/read" in answer.out


async def test_what_is_not_ready_in_time_ends_with_1(setup: Setup) -> None:
    """Nothing wants it, or Azure is busy with another operation; the hold stays."""
    answer = await setup.run("wait", "clauses", "--timeout", "1s")
    assert (answer.code, answer.out.startswith("time-out: clauses is not ready")) == (1, True)
    await setup.fault(plane="arm", operation="put", count=9, status=409, code="RequestConflict")
    answer = await setup.run("up", "clauses", "--for", "1h", *WHY, "--wait", "--timeout", "1s", "--json")
    assert (answer.code, answer.json["reached"]) == (1, False)
    assert (await setup.run("status", "--json")).json["deployments"][0]["hold"]["way"] == "up"


async def test_what_is_not_gone_in_time_ends_with_1(setup: Setup) -> None:
    """Azure is busy with another operation; the hold stays, and the timers continue."""
    await setup.deploy(replace(CLAUSES, tags={"lamplighter": "contoso-test"}))
    await setup.fault(plane="arm", operation="delete", count=9, status=409, code="RequestConflict")
    answer = await setup.run("down", "clauses", "--for", "1h", *WHY, "--wait", "--timeout", "1s", "--json")
    assert (answer.code, answer.json["reached"]) == (1, False)
    assert (await setup.run("status", "--json")).json["deployments"][0]["hold"]["way"] == "down"
    assert await setup.hosted() == (1, 1)


async def test_a_document_that_fails_makes_submit_end_with_1(setup: Setup) -> None:
    """An empty, a filtered and a missing file have their reasons; the others are answered."""
    await setup.deploy(CLAUSES)
    texts = {"empty.txt": "", "filtered.txt": "[[content_filter]]", "letter.txt": "Dear all"}
    for name, text in texts.items():
        (setup.folder / name).write_text(text)
    files = [str(setup.folder / name) for name in (*texts, "missing.txt")]
    answer = await setup.run("submit", "clauses", *files, "--wait", "--json")
    assert answer.code == 1
    outcomes = {Path(each["file"]).name: (each["state"], each["reason"]) for each in answer.json["documents"]}
    assert outcomes["empty.txt"] == ("refused", "the file is empty")
    assert outcomes["missing.txt"] == ("refused", "the file cannot be read (No such file or directory)")
    assert outcomes["letter.txt"][0] == "done"
    assert outcomes["filtered.txt"][0] == "failed"
    assert "content filter" in outcomes["filtered.txt"][1]


async def test_reconcile_shows_what_a_drain_could_not_do(setup: Setup) -> None:
    """The answer cannot be stored: the code is 1, after the decisions; the document stays in the inbox."""
    await setup.deploy(replace(CLAUSES, capacity=1000))
    blobs = AzureBlobs(setup.values[BLOBS])
    await blobs.create("inbox", "clauses/letter.txt", b"Dear all", "text/plain")
    async with storage_proxy(setup.values[BLOBS]) as proxy:
        proxy.refuse("PUT", "/results")
        setup.change(**{BLOBS: proxy.url})
        answer = await setup.run("reconcile", "--drain", "--json")
    assert answer.code == 1
    assert [each["outcome"] for each in answer.json["passes"]] == ["done"]
    assert "clauses" in answer.json["problems"][0]
    assert [each.name for each in (await blobs.list("inbox", None, 10)).items] == ["clauses/letter.txt"]
    await blobs.close()


# --- as a program ------------------------------------------------------------------------------------


async def test_wrong_arguments_end_the_program_with_2(setup: Setup) -> None:
    """The shell gets the exit code."""
    program = await _program("up", "clauses", "--settings", str(setup.settings))
    out, err = await asyncio.wait_for(program.communicate(), 60)
    assert (program.returncode, out) == (2, b"")
    assert b"the following arguments are required: --owner, --reason" in err


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent SIGINT there")
async def test_ctrl_c_ends_the_program_with_130(setup: Setup) -> None:
    """It ends during a wait as a shell expects, without a traceback."""
    program = await _program("wait", "clauses", "--settings", str(setup.settings))
    assert program.stderr is not None
    line = await asyncio.wait_for(program.stderr.readline(), 60)
    assert line.startswith(b"waiting for clauses to be ready")
    program.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(program.communicate(), 60)
    assert (program.returncode, err) == (130, b"")


async def _program(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "shared", *arguments)
    return await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=machine_environment(), stdout=pipe, stderr=pipe
    )
