"""Queue triggers and queue outputs, through the host as a process."""

import json
import time
from base64 import b64decode, b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from host_process import HostProcess, blob_service, queue

from local.azurite import Azurite

QUICK = ("--blob-poll-seconds", "0.2")
TRIGGER = '@app.queue_trigger(arg_name="message", queue_name="work", connection="Docs")\n'
OUTPUT = '@app.queue_output(arg_name="out", queue_name="out", connection="Docs")\n'


class ImpatientHost(HostProcess):
    """A host whose messages are invisible for 2 s after they were received."""

    module = "tests.integration.local.impatient_host"


def configure(folder: Path, **queues: object) -> None:
    folder.mkdir(exist_ok=True)
    settings = {"maxPollingInterval": "00:00:00.2", **queues}
    (folder / "host.json").write_text(json.dumps({"extensions": {"queues": settings}}))


def put(azurite: Azurite, *messages: str, raw: bool = False) -> None:
    work = queue(azurite, "work")
    try:
        work.get_queue_properties()
    except ResourceNotFoundError:
        work.create_queue()
    for message in messages:
        work.send_message(message if raw else b64encode(message.encode()).decode())


def stored(azurite: Azurite, name: str) -> list[str]:
    """Return the visible messages of a queue as stored; none if it does not exist."""
    try:
        return [message.content or "" for message in queue(azurite, name).peek_messages(32)]
    except ResourceNotFoundError:
        return []


def count(azurite: Azurite, name: str) -> int | None:
    """Return the number of a queue's messages, with the invisible ones."""
    return queue(azurite, name).get_queue_properties().approximate_message_count


def test_each_kind_of_trigger_has_outputs(tmp_path: Path, azurite: Azurite) -> None:
    """A timer, a blob, HTTP calls and a message put texts and lists on a queue that the host creates."""
    configure(tmp_path)
    app = f"""
from typing import List

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
{OUTPUT}
def ticked(timer: func.TimerRequest, out: func.Out[List[str]]) -> None:
    out.set(["timer one", "timer two"])

@app.blob_trigger(arg_name="blob", path="inbox/{{name}}", connection="Docs", source="EventGrid")
{OUTPUT}
async def uploaded(blob: func.InputStream, out: func.Out[str]) -> None:
    out.set("not the last word")
    out.set(blob.name)

@app.route(route="say", auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="out", queue_name="work", connection="Docs")
async def say(req: func.HttpRequest, out: func.Out[List[str]]) -> str:
    if "words" in req.params:
        out.set(req.params["words"].split())
    return "said"

{TRIGGER}{OUTPUT}
async def work(message: func.QueueMessage, out: func.Out[str]) -> None:
    if message.get_body() != b"silence":
        out.set("heard " + message.get_body().decode())
"""
    with HostProcess(tmp_path, app, azurite, *QUICK) as host:
        blob_service(azurite).create_container("inbox").upload_blob("å.txt", b"")
        for path in ("say", "say?words=", "say?words=silence%20w%C3%B6rds%20silence"):
            assert host.call(f"/api/{path}")[2] == b"said"
        host.wait(lambda: len(stored(azurite, "out")) == 4)
        host.wait(lambda: count(azurite, "work") == 0)
        said = [b64decode(message).decode() for message in stored(azurite, "out")]
        assert Counter(said) == Counter(("timer one", "timer two", "inbox/å.txt", "heard wörds"))
        assert host.output.count("function=work") == 3


def test_a_message_whose_handler_fails_comes_again_and_ends_as_poison(
    tmp_path: Path, azurite: Azurite
) -> None:
    """Nothing is sent. It comes again after the visibility time-out, and is moved after two tries."""
    configure(tmp_path, visibilityTimeout="00:00:02", maxDequeueCount=2)
    app = (
        TRIGGER
        + OUTPUT
        + """
def work(message: func.QueueMessage, out: func.Out[str]) -> None:
    note(message.dequeue_count, time.monotonic())
    out.set("too early")
    raise RuntimeError("no luck")
"""
    )
    put(azurite, "a secret")
    with HostProcess(tmp_path, app, azurite) as host:
        host.wait(lambda: stored(azurite, "work-poison") == [b64encode(b"a secret").decode()])
        host.wait(lambda: count(azurite, "work") == 0)
        (first, began), (second, again) = (note.split() for note in host.notes)
        assert (first, second) == ("1", "2")
        assert float(again) - float(began) > 1.8
        assert "moved to work-poison: it failed 2 times" in host.output
        assert stored(azurite, "out") == []
        assert "a secret" not in host.output


def test_an_output_that_cannot_be_sent_fails_the_handler(tmp_path: Path, azurite: Azurite) -> None:
    """A message above the service's 64 KB: the caller gets a 500."""
    app = f"""
@app.route(route="say", auth_level=func.AuthLevel.ANONYMOUS)
{OUTPUT}
def say(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set("x" * int(req.params["size"]))
    return "said"
"""
    with HostProcess(tmp_path, app, azurite) as host:
        assert host.call("/api/say?size=70000")[0] == 500
        assert host.call("/api/say?size=7")[0] == 200
        assert [b64decode(message) for message in stored(azurite, "out")] == [b"x" * 7]
        assert "function=say" in host.output.partition("outcome=failed")[0]


def test_two_workers_share_the_messages(tmp_path: Path, azurite: Azurite) -> None:
    """Each has at most batchSize + newBatchThreshold in progress, and about half of all messages."""
    app = (
        TRIGGER
        + """
async def work(message: func.QueueMessage) -> None:
    number = message.get_body().decode()
    note("start", number)
    await asyncio.sleep(0.2 + int(number) % 4 / 10)
    note("end", number)

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def ticked(timer: func.TimerRequest) -> None:
    note("tick")
"""
    )
    for name in ("one", "two", "rest"):
        configure(tmp_path / name, batchSize=2, newBatchThreshold=1)
    with (
        HostProcess(tmp_path / "one", app, azurite, "--only", "queues") as one,
        HostProcess(tmp_path / "two", app, azurite, "--only", "queues") as two,
        HostProcess(tmp_path / "rest", app, azurite, "--only", "others") as rest,
    ):
        numbers = [str(number) for number in range(40)]
        put(azurite, *numbers)
        one.wait(lambda: sum(each.startswith("end") for each in one.notes + two.notes) == len(numbers))
        rest.wait(lambda: rest.notes == ["tick"])
        assert [json.loads(each.call("/admin/host/status")[2])["functions"] for each in (one, rest)] == [
            [{"name": "work"}],
            [{"name": "ticked"}],
        ]
        for host in (one, two):
            now, most = 0, 0
            for each in host.notes:
                now += 1 if each.startswith("start") else -1
                most = max(most, now)
            assert most == 3
            assert len(host.notes) // 2 >= len(numbers) // 3
        ended = Counter(each.split()[1] for each in one.notes + two.notes if each.startswith("end"))
        assert ended == Counter(numbers)


@pytest.mark.parametrize(("tries", "notes"), [(5, ["1", "2", "2 end"]), (1, ["1"])])
def test_a_killed_worker_leaves_its_message_to_another(
    tmp_path: Path, azurite: Azurite, tries: int, notes: list[str]
) -> None:
    """It comes again when its invisibility ends; if that was its last try, it is poison without another.

    The other handler takes longer than the invisibility, which is renewed: the message comes only once more.
    """
    configure(tmp_path, maxDequeueCount=tries)
    app = (
        TRIGGER
        + """
async def work(message: func.QueueMessage) -> None:
    note(message.dequeue_count)
    await asyncio.sleep(600 if message.dequeue_count == 1 else 5)
    note(message.dequeue_count, "end")
"""
    )
    put(azurite, "a")
    with ImpatientHost(tmp_path, app, azurite) as host:
        host.wait(lambda: host.notes == ["1"])
        host.process.kill()
        host.process.wait()
    with ImpatientHost(tmp_path, app, azurite) as host:
        host.wait(lambda: count(azurite, "work") == 0)
        assert host.notes == notes
        assert len(stored(azurite, "work-poison")) == (0 if "2 end" in notes else 1)


def test_a_stop_gives_a_handler_its_grace(tmp_path: Path, azurite: Azurite) -> None:
    """A message in progress is finished and deleted; no other one is taken."""
    configure(tmp_path, batchSize=1, newBatchThreshold=0)
    app = (
        TRIGGER
        + """
def work(message: func.QueueMessage) -> None:
    note(message.get_body().decode())
    time.sleep(1.5)
    note("end")
"""
    )
    put(azurite, "first", "second")
    with HostProcess(tmp_path, app, azurite) as host:
        host.wait(lambda: host.notes == ["first"])
        assert host.stop() == 0
        assert host.notes == ["first", "end"]
    assert stored(azurite, "work") == [b64encode(b"second").decode()]


def test_garbage_does_not_stop_the_host(tmp_path: Path, azurite: Azurite) -> None:
    """What is not in base64 is moved at once, what is not in UTF-8 after its tries, without the handler."""
    configure(tmp_path, maxDequeueCount=2)
    app = (
        TRIGGER
        + """
def work(message: func.QueueMessage) -> None:
    note(repr(message.get_body().decode()))
"""
    )
    not_base64 = ["clauses!", "å📄", "<a>&amp;</a>", "AAA", "=", "{}", "x" * 60_000]
    not_utf8 = [b64encode(bytes(each)).decode() for each in (b"\xff", b"\xed\xa0\x80", range(256))]
    put(azurite, *not_base64, *not_utf8, *not_base64, "", raw=True)
    put(azurite, "\0", "gut", "öffne")
    with HostProcess(tmp_path, app, azurite) as host:
        host.wait(lambda: count(azurite, "work") == 0)
        assert Counter(host.notes) == Counter(map(repr, ("", "\0", "gut", "öffne")))
        assert Counter(stored(azurite, "work-poison")) == Counter(2 * not_base64 + not_utf8)
        assert host.stop() == 0


def test_a_queue_that_appears_and_vanishes_is_waited_for(tmp_path: Path, azurite: Azurite) -> None:
    """The host starts without the queue, takes a message when there is one, and again after a delete."""
    configure(tmp_path)
    app = (
        TRIGGER
        + """
def work(message: func.QueueMessage) -> None:
    note(describe(message))

def describe(message) -> str:
    held = message.expiration_time - message.insertion_time
    return f"{message.get_body().decode()} {held.days} {message.time_next_visible is not None}"
"""
    )

    def seen(host: HostProcess) -> Any:
        return [note.split()[0] for note in host.notes]

    with HostProcess(tmp_path, app, azurite) as host:
        time.sleep(0.5)
        put(azurite, "first")
        host.wait(lambda: host.notes == ["first 7 True"])
        queue(azurite, "work").delete_queue()
        time.sleep(0.5)
        put(azurite, "second")
        host.wait(lambda: seen(host) == ["first", "second"])
