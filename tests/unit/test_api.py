"""The HTTP API over the app in memory."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.documents.identity import identify
from shared.doors import api
from shared.doors.prefer import wait_seconds
from shared.errors import ProviderRefused
from shared.hosting.observe import HostingContext
from shared.model import DocumentState, OneOffWindow, RecordState, UploadStart
from shared.ports import BlobItem
from shared.reports import documents as explain_documents
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, World, config

NIGHT = OneOffWindow(START + timedelta(hours=10), START + timedelta(hours=16), stop_when_empty=True)


def waiting_world() -> World:
    """Documents wait for the night."""
    return World.of(config("clauses", NIGHT, uploads=UploadStart.SCHEDULED))


async def test_a_submit_is_accepted_with_where_to_look() -> None:
    """202, Location, and at once why it waits; the document is in the inbox under its name."""
    world = waiting_world()
    reply = await api.submit(world.app, "clauses", "letter.txt", b"Dear all", None)
    assert reply.status == 202
    assert reply.headers["Location"] == f"/api/documents/{reply.body['id']}"
    assert reply.body["state"] == "waiting"
    assert "wait for the next window" in reply.body["reason"]
    assert world.blobs.names("inbox") == ["clauses/letter.txt"]


async def test_a_waiting_document_says_until_when_its_deployment_sleeps() -> None:
    """Until the create for its window, or the end of a later hold; without either, there is no time."""
    world = waiting_world()
    submitted = await api.submit(world.app, "clauses", "letter.txt", b"Dear all", None)
    starts_at = NIGHT.start - timedelta(minutes=15)
    assert submitted.body["waits_until"] == starts_at.isoformat()
    assert submitted.body["reason"].endswith(f"; it is started at {starts_at:%Y-%m-%d %H:%M} UTC")
    late = NIGHT.start + timedelta(hours=1)
    hold = {"way": "down", "until": late.isoformat(), "owner": "dana", "reason": "closed"}
    await api.hold(world.app, "clauses", json.dumps(hold).encode())
    shown = (await api.document(world.app, submitted.body["id"])).body
    assert shown["waits_until"] == late.isoformat()
    world.clock.advance(17 * 3600)  # the only window is over
    shown = (await api.document(world.app, submitted.body["id"])).body
    assert (shown["state"], shown["waits_until"]) == ("waiting", None)
    awake = World.of(config())
    submitted = await api.submit(awake.app, "clauses", "letter.txt", b"Dear all", None)
    assert submitted.body["waits_until"] is None


async def test_two_submits_of_one_name_are_two_documents() -> None:
    """A submit never overwrites another; the second caller gets the name of its document."""
    world = waiting_world()
    first = await api.submit(world.app, "clauses", "letter.txt", b"one", None)
    second = await api.submit(world.app, "clauses", "letter.txt", b"two", None)
    assert first.body["id"] != second.body["id"]
    assert (first.body["name"], "note" in first.body) == ("letter.txt", False)
    name = second.body["name"]
    assert name != "letter.txt" and name.endswith(".txt")
    assert second.body["note"] == f"this name is taken: the document is called {name!r}"
    assert world.blobs.names("inbox") == sorted(["clauses/letter.txt", f"clauses/{name}"])


async def test_a_submitted_file_is_not_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was checked before it was stored. If it is overwritten at once, that version is read."""
    world, reads = waiting_world(), list[str]()
    read, create = world.blobs.read, world.blobs.create

    async def counted(container: str, name: str, etag: str | None = None) -> bytes:
        reads.append(name)
        return await read(container, name, etag)

    monkeypatch.setattr(world.blobs, "read", counted)
    assert (await api.submit(world.app, "clauses", "a.txt", b"Dear all", None)).status == 202
    assert reads == []

    async def overwritten(container: str, name: str, data: bytes, content_type: str) -> str:
        version = await create(container, name, data, content_type)
        world.upload(name, b"GIF89a")
        return version

    monkeypatch.setattr(world.blobs, "create", overwritten)
    second = await api.submit(world.app, "clauses", "b.txt", b"Dear all", None)
    assert (second.body["state"], reads[0]) == ("failed", "clauses/b.txt")
    assert "picture" in second.body["reason"]


async def test_a_caller_that_waits_gets_the_result() -> None:
    """`Prefer: wait` answers 200 with the result when it comes in time, else 202."""
    world = World.of(config())

    async def timers() -> None:
        while not world.results():
            await world.tick()
            await world.clock.sleep(5)

    reply, _ = await asyncio.gather(
        api.submit(world.app, "clauses", "letter.txt", b"Dear all", "respond-async, wait=180"), timers()
    )
    assert reply.status == 200
    assert reply.body["answer"] == "an answer"
    late = await api.submit(waiting_world().app, "clauses", "letter.txt", b"Dear all", "wait=3")
    assert late.status == 202


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=60", 60),
        ("respond-async; wait=5", 5),
        ('WAIT = "7"', 7),
        ("wait=3, wait=abc", 3),
        ("wait=999999", 200),
        ("wait=99999999999999", 200),
        ("await=9", 0),
        ("wait-for=9", 0),
        ('greeting="please wait, ok"', 0),
    ],
)
def test_the_prefer_header_says_how_long_to_wait(header: str | None, seconds: float) -> None:
    """No longer than an HTTP answer may take; other preferences are ignored, as RFC 7240 says."""
    assert wait_seconds(header) == seconds


@pytest.mark.parametrize(
    "header", ["wait=abc", "wait=-5", "wait", "wait=", "wait=1.5", "wait=\u00b2", 'wait="']
)
async def test_a_wait_that_is_no_number_is_refused(header: str) -> None:
    """The answer says what to write, and nothing is stored."""
    world = waiting_world()
    reply = await api.submit(world.app, "clauses", "letter.txt", b"Dear all", header)
    assert (reply.status, world.blobs.names("inbox")) == (400, [])
    assert "write wait=60 (200 at most)" in reply.body["error"]


NO_NAMES = [
    *(None, "", "  ", "..", "../secret.txt", "letter.txt~", "x" * 1001),
    *("a\\b.txt", "a\0b.txt", "a\uffff.txt", "a\ud800.txt"),
]
NAMES = ["\ufffd.txt", "x" * 900, "\U0001f4c4 Brief.txt", "100%25.txt", "a%2F..%2Fb.txt"]


@pytest.mark.parametrize("name", [*NO_NAMES, *NAMES])
async def test_a_file_name_is_untrusted(name: str | None) -> None:
    """A plain name in any script is accepted; a name that looks like a path is refused and not stored."""
    world = waiting_world()
    reply = await api.submit(world.app, "clauses", name, b"text", None)
    assert reply.status == (202 if name in NAMES else 400), reply.body
    assert world.blobs.names("inbox") == ([f"clauses/{name}"] if name in NAMES else [])


@pytest.mark.parametrize(
    ("deployment", "body", "status", "says"),
    [
        ("clausse", b"text", 404, "did you mean 'clauses'?"),
        ("clauses", b"", 400, "empty"),
        ("clauses", b"\0\1\2" * 100, 400, "binary"),
        ("clauses", b"x" * 1_000_001, 413, "max_document_bytes"),
        ("clauses", b"GIF89a", 400, "picture"),
    ],
)
async def test_what_cannot_be_answered_is_refused_at_once(
    deployment: str, body: bytes, status: int, says: str
) -> None:
    """With the reason, and nothing is stored or deployed for it."""
    world = World.of(config())
    reply = await api.submit(world.app, deployment, "a.txt", body, None)
    assert (reply.status, world.blobs.names("inbox")) == (status, [])
    assert says in reply.body["error"]


def form(*parts: tuple[str, str], boundary: str = "b7") -> bytes:
    """Return the body of a form from the header, after `form-data;`, and the content of each part."""
    wrapped = [
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n" for head, text in parts
    ]
    return "".join((*wrapped, f"--{boundary}--\r\n")).encode()


FORM = 'multipart/form-data; boundary="b7"'
ONE_FILE = form(
    ('name="note"', "urgent"), ('name="file"; filename="Brief ü 5%.txt"', "Dear all,\r\n--b7x\r\nyes")
)
URL_ENCODED = "application/x-www-form-urlencoded"


async def test_the_one_file_of_a_form_is_taken() -> None:
    """Browsers and `curl -F` send it so: its bytes are kept, and its name unless the call gives one."""
    world = waiting_world()
    for name, taken in ((None, "Brief ü 5%.txt"), ("letter.txt", "letter.txt")):
        reply = await api.submit(world.app, "clauses", name, ONE_FILE, None, FORM)
        assert (reply.status, reply.body["name"]) == (202, taken)
        stored = await world.blobs.read("inbox", f"clauses/{taken}", None)
        assert stored == b"Dear all,\r\n--b7x\r\nyes"
    path = form(('name="f"; filename="C:\\\\files\\\\last.txt"', "text"))
    assert (await api.submit(world.app, "clauses", None, path, None, FORM)).body["name"] == "last.txt"


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (form(), FORM, "no file"),
        (form(('name="note"', "urgent")), FORM, "no file"),
        (form(('name="a"; filename="a"', "1"), ('name="b"; filename="b"', "2")), FORM, "2 files"),
        (form(*[('name="a"', "1")] * 200), FORM, "more than 100 parts"),
        (ONE_FILE, "multipart/form-data", "no boundary"),
        (ONE_FILE, "multipart/form-data; boundary=" + "x" * 5000, "no boundary"),
        (ONE_FILE, "multipart/form-data; boundary=other", "cut off or damaged"),
        (ONE_FILE[:-10], FORM, "cut off or damaged"),
        (b"", FORM, "cut off or damaged"),
        (b"--b7\r\n" + b"x" * 100_000 + b"\r\n--b7--", FORM, "no header that can be read"),
        (b"--b7\r\nX: \xff\xfe\r\n\r\ntext\r\n--b7--", FORM, "not marked as form-data"),
        (ONE_FILE, "multipart/mixed; boundary=b7", "the type multipart/mixed"),
        (b"Dear all, the lines are gone", URL_ENCODED, "removes the ends of the lines"),
        (b"file=%2Ftmp&name=a.txt", f"{URL_ENCODED}; charset=utf-8", "web form"),
        (b"file=%2Ftmp&name=a.txt\n", URL_ENCODED, "fields of a web form"),
    ],
)
async def test_a_body_that_is_no_document_is_unsupported(body: bytes, content_type: str, says: str) -> None:
    """415 with how to send it, and nothing is stored."""
    world = waiting_world()
    reply = await api.submit(world.app, "clauses", "a.txt", body, None, content_type)
    assert (reply.status, world.blobs.names("inbox")) == (415, []), reply.body
    assert says in reply.body["error"] and "--data-binary @" in reply.body["error"]


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json", "x", URL_ENCODED])
async def test_a_document_is_taken_whatever_the_client_calls_it(content_type: str | None) -> None:
    """curl and urllib say of every file that it is a form; its lines show that it came as it is."""
    world = waiting_world()
    reply = await api.submit(world.app, "clauses", "a.txt", b"Dear all,\nyours, Ann\n", None, content_type)
    assert reply.status == 202, reply.body


async def test_a_document_reports_its_state() -> None:
    """While it waits it says why; when it is done it says what it cost and where the result is."""
    world = World.of(config())
    submitted = await api.submit(world.app, "clauses", "letter.txt", b"Dear all", None)
    await world.app.reconcile()
    waiting = (await api.document(world.app, submitted.body["id"])).body
    assert (waiting["state"], waiting["reason"]) == ("waiting", "Azure is creating it")
    none_yet = await api.result(world.app, submitted.body["id"])
    assert none_yet.status == 404 and "waiting" in none_yet.body["error"]
    await world.until(lambda: bool(world.results()), timedelta(minutes=5))
    done = (await api.document(world.app, submitted.body["id"])).body
    assert done["state"] == "done" and done["cost"] > 0 and done["currency"] == "USD"
    assert done["result"].startswith("results/clauses/letter.txt.")
    assert (await api.result(world.app, submitted.body["id"])).body["answer"] == "an answer"


async def test_a_waiting_document_says_what_really_delays_it() -> None:
    """Trouble of its deployment or account, and its own last try; a closed window comes before both."""
    world = World.of(config(), config("night", NIGHT, uploads=UploadStart.SCHEDULED))
    ledger, refused = world.app.context.ledger, "Azure answered 403 AuthorizationFailed. Remedy: grant it"
    for name in ("clauses/new.txt", "clauses/tried.txt", "night/a.txt"):
        world.upload(name)
    world.azure.fail_next("put", ProviderRefused("no quota", code="InsufficientQuota"))
    await world.app.reconcile()
    world.clock.advance(5)
    await world.app.reconcile()
    tried = replace(await world.document("clauses/tried.txt"), reason="429: high demand")
    await world.app.documents.save(tried)

    async def reasons() -> dict[str, str]:
        listed = [(await api.documents(world.app, name, None)).body for name in ("clauses", "night")]
        return {each["name"]: each["reason"] for body in listed for each in body["documents"]}

    shown = await reasons()
    assert shown["new.txt"] == "the last try to host it failed: no quota"
    assert shown["tried.txt"] == "the last try to host it failed: no quota; its last try: 429: high demand"

    known = await ledger.account(ACCOUNT.resource_id)
    await ledger.save_account(replace(known, problem=refused, problem_at=world.clock.now()))
    shown = await reasons()
    assert shown["new.txt"] == f"the account cannot be read: {refused}"
    assert shown["tried.txt"].endswith("; its last try: 429: high demand")
    assert "wait for the next window" in shown["a.txt"]

    known = await ledger.account(ACCOUNT.resource_id)
    await ledger.save_account(replace(known, problem="", problem_at=None))
    paused = changed(await world.record(), state=RecordState.OPEN, problem="423 DeploymentPaused: resume it")
    await ledger.save(paused)
    shown = await reasons()
    assert shown["new.txt"] == "423 DeploymentPaused: resume it"
    assert shown["tried.txt"] == "429: high demand"


async def test_a_listing_asks_once_why_a_deployment_s_documents_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of documents does not matter, as each question takes several reads of the records."""
    world, asked = waiting_world(), 0
    for number in range(20):
        world.upload(f"clauses/{number}.txt")
    await world.app.intake.sweep()
    read = HostingContext.picture

    async def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        return await read(*arguments, **named)

    monkeypatch.setattr(HostingContext, "picture", counted)
    documents = (await api.documents(world.app, "clauses", None)).body["documents"]
    assert (len(documents), asked) == (20, 1)
    assert all("wait for the next window" in each["reason"] for each in documents)


@pytest.mark.parametrize("id", ["", "nonsense", "clauses~", "~x", "clauses~20261123T080000-0", "a/b~c"])
async def test_an_unknown_id_is_not_found(id: str) -> None:
    """Whatever it looks like."""
    world = World.of(config())
    assert (await api.document(world.app, id)).status == 404
    assert (await api.result(world.app, id)).status == 404


async def test_documents_are_listed_by_arrival() -> None:
    """Of one deployment, from a time on."""
    world = waiting_world()
    for name in ("a.txt", "b.txt"):
        await api.submit(world.app, "clauses", name, name.encode(), None)
        world.clock.advance(3600)
    listed = (await api.documents(world.app, "clauses", None)).body
    assert [each["name"] for each in listed["documents"]] == ["a.txt", "b.txt"]
    later = (await api.documents(world.app, "clauses", "2026-11-23T08:30:00Z")).body
    assert [each["name"] for each in later["documents"]] == ["b.txt"]
    for nonsense in ("yesterday", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+10:00"):
        assert (await api.documents(world.app, "clauses", nonsense)).status == 400
    assert (await api.documents(world.app, "", None)).body == listed


async def test_what_failed_is_listed_across_folders_and_days() -> None:
    """Oldest first; not while it is requeued, and again if it fails again."""
    world = World.of(config(), config("other"))
    names = ["clauses/a.txt", "wrong/b.txt", "other/c.txt"]
    names += ["\N{PAGE FACING UP}/d.txt", "e.txt", "wrong/f.txt"]
    for name in names:
        world.upload(name, b"\0\1\2" * 100)
        await world.app.intake.sweep()
        world.clock.advance(3600)
    world.clock.advance(30 * 86400)

    async def listed(**query: str) -> list[str]:
        body = (await api.documents(world.app, **query)).body
        assert not body["more"] and {each["state"] for each in body["documents"]} <= {"failed"}
        return [each["name"] for each in body["documents"]]

    assert await listed(state="failed") == ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt"]
    assert await listed(state="failed", since="2026-11-23T11:30:00+01:00") == ["d.txt", "e.txt", "f.txt"]
    assert await listed(state="failed", deployment="CLAUSES") == ["a.txt"]
    assert await listed(state="failed", deployment="wrong") == ["b.txt", "f.txt"]
    assert await listed(state="failed", deployment="_unknown") == ["d.txt", "e.txt"]
    assert await listed() == [], "of the last day"

    document = await world.document("other/c.txt", "other")
    container, _, kept = document.moved_to.partition("/")
    world.blobs.upload(container, kept, b"text")
    assert (await api.requeue(world.app, document.id)).status == 202
    assert "c.txt" not in await listed(state="failed")
    again = await world.app.documents.get(document.id)
    assert again is not None
    await world.app.intake._results.settle(again, DocumentState.FAILED, "again", world.clock.now())
    assert "c.txt" in await listed(state="failed")


@pytest.mark.parametrize("state", ["failed", "done", None])
async def test_pages_of_documents_join_without_a_gap(
    state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing covers several deployments, and skips documents in other states."""
    monkeypatch.setattr(explain_documents, "MANY", 3)
    monkeypatch.setattr(explain_documents, "_AT_ONCE", 2)
    world = World.of(*(config(name) for name in "abc"))
    expected = []
    for number in range(21):
        deployment, uploaded_at = "abc"[number % 3], START + timedelta(seconds=number // 2)
        document = identify(BlobItem(f"{deployment}/{number}.txt", "v", 1, uploaded_at), deployment)
        final = DocumentState.FAILED if number % 7 < 2 else DocumentState.DONE
        await world.app.documents.add(replace(document, state=final))
        if state in (None, final):
            expected.append(document.id)
    found, after = list[str](), ""
    while True:
        body = (await api.documents(world.app, state=state, after=after)).body
        assert len(body["documents"]) <= 3
        found += [each["id"] for each in body["documents"]]
        if not body["more"]:
            break
        assert body["next"] > after
        after = body["next"]
    assert sorted(found) == sorted(expected) and len(set(found)) == len(found)
    assert [each.partition("~")[2] for each in found] == sorted(each.partition("~")[2] for each in found)


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"state": "broken"}, 400, "known are waiting, claimed, done, failed"),
        ({"deployment": "clausse"}, 404, "did you mean 'clauses'?"),
        ({"deployment": "a/b"}, 400, "_unknown"),
        ({"deployment": "x" * 5000}, 400, "no deployment is called"),
        ({"after": "d ~"}, 400, "as next"),
        ({"since": "2026-11-22T10:00:00 01:00"}, 400, "write + in a URL as %2B"),
        ({"since": "yesterday"}, 400, "such as 2026-11-22T14:00:00Z"),
    ],
)
async def test_a_wrong_question_about_documents_is_answered_with_what_to_ask(
    query: dict[str, str], status: int, says: str
) -> None:
    """Never with an empty list."""
    reply = await api.documents(waiting_world().app, **query)
    assert reply.status == status and says in reply.body["error"]


def test_a_query_parameter_that_a_route_does_not_know_is_refused() -> None:
    """The answer names it and the known ones; those of the host for function keys are ignored."""
    assert api.refuse_unknown({"since": "", "code": "k", "clientId": "c"}, ("since",)) is None
    refused = api.refuse_unknown({"State": "failed", "x" * 5000: ""}, ("deployment", "state"))
    assert refused is not None and refused.status == 400
    assert "'State'" in refused.body["error"] and "it takes deployment, state" in refused.body["error"]
    assert len(refused.body["error"]) < 300
    none = api.refuse_unknown({"name": "a"}, ())
    assert none is not None and none.body["error"].endswith("it takes none")


async def test_deployments_tell_what_is_wanted_and_why() -> None:
    """Observed and wanted state, reason, and when that next changes."""
    world = waiting_world()
    await api.submit(world.app, "clauses", "a.txt", b"text", None)
    await world.app.reconcile()
    (shown,) = (await api.deployments(world.app)).body["deployments"]
    assert (shown["observed"], shown["wanted"], shown["unfinished"]) == ("absent", "down", 1)
    assert "wait for the next window" in shown["reason"]
    assert shown["next_change"] == (NIGHT.start - timedelta(minutes=15)).isoformat()
    assert shown["observed_at"] == START.isoformat()


async def test_a_deployment_tells_what_its_latest_session_cost() -> None:
    """An hour and a half in a window, at $1.70 an hour by the started minute."""
    window = OneOffWindow(START, START + timedelta(minutes=90))
    world = World.of(config("clauses", window))
    (before,) = (await api.deployments(world.app)).body["deployments"]
    assert before["session"] is None
    for _ in range(95):
        await world.tick()
        world.clock.advance(60)
    (shown,) = (await api.deployments(world.app)).body["deployments"]
    assert shown["session"]["ended_at"] is not None
    assert shown["session"]["cost_at_least"] == shown["session"]["cost_at_most"]
    assert 90 / 60 * 1.70 <= shown["session"]["cost_at_most"] <= 93 / 60 * 1.70
