"""Requeueing of dead letters on Azurite and the emulator, by HTTP and by command."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.azurite import Azurite
from local.emulator.server import Options, emulator
from shared.adapters.blobs import AzureBlobs
from shared.adapters.tables import AzureTables
from shared.documents.backlog import DocumentLedger
from shared.doors.cli.main import main
from shared.wiring import SystemClock
from tests.integration.calls import call
from tests.integration.deployments_file import account_id, write_deployments
from tests.integration.stack import Stack, letter, run_stack


def test_a_dead_letter_is_requeued_by_http(tmp_path: Path, azurite: Azurite) -> None:
    """Twenty concurrent calls cause one run, which the timers start; `failed` is empty after it."""
    text = f"{letter('Refused')} [[content_filter]]"
    with run_stack(tmp_path, azurite, {"mail": {}}) as stack:
        stack.upload("mail/letter.txt", "GIF89a")
        stack.wait("it failed", lambda: stack.states("mail") == {("letter.txt", "failed"): 1})
        [document] = stack.documents("mail")
        assert stack.post("documents/mail~20261124T000000-0123456789abcdef/requeue").status == 404
        requeue = f"documents/{document['id']}/requeue"
        refused = stack.post(requeue)
        assert (refused.status, refused.json["error"][:17]) == (409, "the file is a pic")
        # The content filter refuses the second run: the note says so, and the source stays where it is.
        stack.overwrite(document["moved_to"], text)
        assert stack.post(requeue).status == 202
        stack.wait("it failed again", lambda: _run_and_state(stack) == (2, "failed"))
        assert set(stack.stored("failed", "mail").values()) == {text.encode(), _note(stack)}
        stack.overwrite(document["moved_to"], letter("Corrected"))
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(stack.post, [requeue] * 20))
        assert {answer.status for answer in answers} == {202}
        assert {answer.json["run"] for answer in answers} == {3}
        stack.wait("it is answered", lambda: _run_and_state(stack) == (3, "done"))
        stack.wait("nothing is left in failed", lambda: not stack.stored("failed"))
        [result] = stack.results("mail")
        assert result["document"]["run"] == 3
        assert result["answer"].startswith("Corrected")
        assert list(stack.stored("processed", "mail").values()) == [letter("Corrected").encode()]
        assert stack.stored("inbox", "mail") == {}
        again = stack.post(requeue)
        assert (again.status, "it is done" in again.json["error"]) == (409, True)
        stack.wait("it is gone", lambda: stack.azure.bill()["open"] == 0)
        stack.assert_log_is_discreet()


def _run_and_state(stack: Stack) -> tuple[int, str]:
    [document] = stack.documents("mail")
    return document["run"], document["state"]


def _note(stack: Stack) -> bytes:
    [document] = stack.documents("mail")
    return f"{document['reason']}\n".encode()


async def test_dead_letters_are_requeued_by_command(
    azurite: Azurite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is requeued by id, then all of the deployment; `reconcile --drain` answers them."""
    write_deployments(tmp_path / "deployments.yaml", {"mail": {}})
    blobs, tables = AzureBlobs(azurite.blob_uri), AzureTables(azurite.table_uri)
    documents = DocumentLedger(tables, SystemClock())
    for number in range(3):
        await blobs.create("inbox", f"mail/{number}.txt", b"GIF89a", "text/plain")
    options = Options(
        accounts=(account_id("mail"),),
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
            "DEPLOYMENTS_FILE": str(tmp_path / "deployments.yaml"),
        }
        settings = tmp_path / "local.settings.json"
        settings.write_text(json.dumps({"Values": values}))

        async def run(*arguments: str) -> tuple[int, Any]:
            command = [*arguments, "--json", "--settings", str(settings)]
            code = await asyncio.to_thread(main, command, {})
            return code, json.loads(capsys.readouterr().out)

        await run("reconcile")
        dead = [each async for each in documents.failed("mail")]
        assert len(dead) == 3
        code, answer = await run("requeue", dead[0].id)
        assert (code, answer["documents"][0]["error"]) == (
            1,
            "the file is a picture: run text recognition (OCR) on it, and upload its text",
        )
        for each in dead:
            container, _, name = each.moved_to.partition("/")
            item = await blobs.stat(container, name)
            assert item is not None
            await blobs.delete(container, name, item.etag)
            await blobs.create(container, name, letter("Corrected").encode(), "text/plain")
        code, answer = await run("requeue", dead[1].id)
        assert (code, answer["documents"][0]["state"], answer["documents"][0]["run"]) == (0, "waiting", 2)
        code, answer = await run("requeue", "--deployment", "mail", "--failed")
        assert code == 0
        assert {each["id"] for each in answer["documents"]} == {dead[0].id, dead[2].id}
        assert (await run("explain", "mail"))[1]["next_step"]["action"] == "create"
        for _ in range(30):
            code, answer = await run("reconcile", "--drain")
            assert code == 0, answer
            if not (await documents.demand("mail")).unfinished and not await _is_hosting(running.url):
                break
            await asyncio.sleep(0.3)
        for each in dead:
            found = await documents.get(each.id)
            assert found is not None
            assert (found.state, found.run) == ("done", 2)
        assert (await blobs.list("failed", None, 10)).items == ()
        assert len((await blobs.list("processed", None, 10)).items) == 3
        assert (await run("requeue", "--deployment", "mail", "--failed"))[1]["documents"] == []
        assert (await run("explain", "mail"))[1]["unfinished"] == 0
    await blobs.close()
    await tables.close()


async def _is_hosting(url: str) -> bool:
    """Return whether anything is hosted, by the emulator's own meter."""
    bill = await asyncio.to_thread(call, f"{url}/emulator/bill")
    return bool(bill.json["open"])
