"""The main job against an app that is played: what counts as success, and what is said when it is none."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import ContainerClient

from local import demo
from local.azurite import ACCOUNT_KEY, Azurite, account_name
from local.scenarios import Door, Scenario
from local.stack import Services, Stack, StackError, run_part

CREATED = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def by_inbox() -> Scenario:
    """Documents are uploaded at once."""
    return Scenario("ad-hoc", "Ad hoc upload", Door.INBOX, datetime.now(UTC))


def by_button(name: str = "batch") -> Scenario:
    """Documents are submitted by HTTP at once, for a window that closes as soon as nothing waits."""
    now = datetime.now(UTC)
    window = (now, now + timedelta(days=1))
    return Scenario(name, "Batch window", Door.HTTP, now, window, stop_when_empty=True)


class PlayedApp:
    """The app's HTTP API and the emulator's bill: documents are answered at the second look."""

    def __init__(self, azurite: Azurite) -> None:
        self.azurite = azurite
        self.posted: dict[str, bytes] = {}
        self.looks = 0
        self.never_deleted = False
        self.answer: Any = "It is about a dishwasher."
        self.refusals: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """What the demonstration asks."""
        return [
            web.post("/api/deployments/{deployment}/documents", self.submit),
            web.get("/api/deployments", self.deployments),
            web.get("/api/documents", self.documents),
            web.get("/api/documents/{id}/result", self.result),
            web.get("/emulator/bill", self.bill),
        ]

    async def uploaded(self) -> dict[str, bytes]:
        """What is in the inbox, by its name there."""
        uri = self.azurite.blob_uri
        credential = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
        async with ContainerClient(uri, "inbox", credential=credential) as inbox:
            names = [blob.name async for blob in inbox.list_blobs()]
            return {name: await (await inbox.download_blob(name)).readall() for name in names}

    async def submit(self, request: web.Request) -> web.Response:
        name = request.headers["X-File-Name"]
        if name in self.refusals:
            return web.json_response({"error": self.refusals[name]}, status=400)
        self.posted[name] = await request.read()
        return web.json_response({}, status=202)

    async def deployments(self, request: web.Request) -> web.Response:
        self.looks += 1
        observed = "ready" if self.looks < 3 else "absent"
        row = {"deployment": "ad-hoc", "observed": observed, "reason": "documents wait"}
        return web.json_response({"deployments": [row]})

    async def documents(self, request: web.Request) -> web.Response:
        deployment = request.query["deployment"]
        state = "done" if self.looks > 2 else "waiting"
        names = list(self.posted)
        if deployment == "ad-hoc":
            names = [name.partition("/")[2] for name in await self.uploaded()] if self.looks > 1 else []
        rows = [
            {"name": name, "id": name, "state": state, "reason": "", "result": None, "arrived_at": "2026"}
            for name in names
        ]
        return web.json_response({"documents": rows})

    async def result(self, request: web.Request) -> web.Response:
        return web.json_response({"answer": self.answer})

    async def bill(self, request: web.Request) -> web.Response:
        is_open = self.looks < 4 or self.never_deleted
        row = {
            "created": CREATED.isoformat(),
            "ready": CREATED.isoformat(),
            "deleted": None if is_open else CREATED.isoformat(),
            "hosted_seconds": 30.0,
            "dollars": 0.0283,
        }
        rows = [{"deployment": name, **row} for name in ("ad-hoc", "batch")]
        return web.json_response({"open": len(rows) if is_open else 0, "deployments": rows})


@pytest.fixture
def app(azurite: Azurite) -> PlayedApp:
    """The played app, with an empty storage account."""
    return PlayedApp(azurite)


@pytest.fixture
async def stack(app: PlayedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    """A stack whose processes only wait, with the played app at its addresses; looks come quickly."""
    monkeypatch.setattr(demo, "LOOK_SECONDS", 0.05)
    application = web.Application()
    application.add_routes(app.routes())
    server = TestServer(application)
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    with run_part("host", ["http.server", "0", "--bind", "127.0.0.1"], {}, tmp_path / "host.log") as part:
        yield Stack(Services(app.azurite, part, url), part, url, "key", Path("local.settings.json"))
    await server.close()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two documents."""
    (tmp_path / "Beschwerde.txt").write_text("Die Spülmaschine ist kaputt.")
    (tmp_path / "b.csv").write_text("a;b\n1;2\n")
    return {path.name: path for path in (tmp_path / "Beschwerde.txt", tmp_path / "b.csv")}


async def test_every_document_is_handed_in_watched_answered_and_stored(
    app: PlayedApp, stack: Stack, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files through two scenarios, by the inbox and by HTTP; in the end the meter shows nothing open."""
    assert await demo.carry_out(stack, [by_inbox(), by_button()], files, tmp_path)
    content = {name: path.read_bytes() for name, path in files.items()}
    assert app.posted == content
    assert await app.uploaded() == {f"ad-hoc/{name}": body for name, body in content.items()}
    output = capsys.readouterr().out
    assert "done: Beschwerde.txt, b.csv" in output
    assert "gone, by the meter: hosted for 30 s at $0.0283" in output
    assert output.count(": It is about a dishwasher.") == 4
    assert "2 hosted, 0 left" in output
    stored = json.loads((tmp_path / "results" / "batch" / "Beschwerde.txt.json").read_text())
    assert stored == {"answer": "It is about a dishwasher."}


async def test_a_refused_file_is_a_failure_with_its_reason_and_the_rest_goes_on(
    app: PlayedApp, stack: Stack, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the files is refused at the HTTP door; the others are answered and the deployments awaited."""
    app.refusals["b.csv"] = "the file is \x1b[2Jempty"
    assert not await demo.carry_out(stack, [by_inbox(), by_button()], files, tmp_path)
    output = capsys.readouterr().out
    assert "the file is" in output and "\x1b" not in output
    assert output.count("NOT ANSWERED (failed)") == 1
    assert output.count(": It is about a dishwasher.") == 3
    assert "0 left" in output


async def test_an_empty_file_is_a_failure_at_once(
    stack: Stack, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The app would let an empty upload rest for ten minutes; the job does not hand it in."""
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert not await demo.carry_out(stack, [by_inbox(), by_button()], {**files, "empty.txt": empty}, tmp_path)
    output = capsys.readouterr().out
    assert output.count("NOT ANSWERED (failed): the file is empty") == 2
    assert "0 left" in output


async def test_answers_all_there_are_no_success_while_the_meter_runs(
    app: PlayedApp,
    stack: Stack,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A deployment is never deleted: the job gives up after its limit, fails, and says what is left."""
    app.never_deleted = True
    monkeypatch.setattr(demo, "SETTLE", timedelta(seconds=2))
    assert not await demo.carry_out(stack, [by_inbox(), by_button()], files, tmp_path)
    assert "2 hosted, 2 left" in capsys.readouterr().out


async def test_a_scenario_that_was_never_hosted_is_no_success(
    stack: Stack, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The documents were answered, but by the meter not on this scenario's deployment."""
    assert not await demo.carry_out(stack, [by_button("never-hosted")], files, tmp_path)
    assert "not hosted" in capsys.readouterr().out


async def test_an_answer_is_text_and_not_orders_to_the_terminal(
    app: PlayedApp, stack: Stack, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences and markup in an answer are shown as they are, without effect."""
    app.answer = {"title": "[red]alarm[/red] \x1b]0;gotcha\x07 [link=https://example.org]x[/link]"}
    assert await demo.carry_out(stack, [by_button()], files, tmp_path)
    output = capsys.readouterr().out
    assert "[red]alarm[/red]" in output and "[link=https://example.org]" in output
    assert "\x1b" not in output and "\x07" not in output


async def test_a_part_that_ends_ends_the_job_at_once(
    app: PlayedApp, stack: Stack, files: dict[str, Path], tmp_path: Path
) -> None:
    """The functions host dies in the middle: an error with its output instead of a long wait."""
    with run_part("functions host", ["local.no_such_module"], {}, tmp_path / "dead.log") as dead:
        dead.process.wait(60)
        broken = Stack(stack.services, dead, stack.host_url, "key", stack.settings_file)
        with pytest.raises(StackError, match=r"functions host ended(.|\n)*No module named"):
            await demo.carry_out(broken, [by_inbox(), by_button()], files, tmp_path)


async def test_the_upstream_model_is_the_named_one_else_the_first_it_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server lists its models; one that is no such server is explained."""

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "first"}, {"id": "second"}]})

    application = web.Application()
    application.router.add_get("/v1/models", models)
    monkeypatch.delenv("UPSTREAM_MODEL", raising=False)
    async with TestServer(application) as server:
        assert await demo.upstream_model(str(server.make_url("/v1/"))) == "first"
        with pytest.raises(StackError, match="with its /v1"):
            await demo.upstream_model(str(server.make_url("/")))
        monkeypatch.setenv("UPSTREAM_MODEL", "mine")
        assert await demo.upstream_model(str(server.make_url("/"))) == "mine"


@pytest.mark.parametrize(
    ("upstream", "why"),
    [
        ("http://127.0.0.1:9/v1", r"nothing can be reached at 127\.0\.0\.1:9 \(connection refused\)\."),
        ("my-server", r"this is not an address: it should begin with http:// or https://\."),
    ],
)
async def test_an_upstream_that_cannot_be_reached_is_explained_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, upstream: str, why: str
) -> None:
    """The message has the cause and the remedy, and no name of a Python class."""
    monkeypatch.delenv("UPSTREAM_MODEL", raising=False)
    with pytest.raises(StackError, match=why) as failed:
        await demo.upstream_model(upstream)
    assert "UPSTREAM_API_KEY" in str(failed.value) and "Error" not in str(failed.value)
