"""The reader's child: what a hostile file may do to it, and never to the app or to the next file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.documents.readers import child, sandbox, zygote
from shared.documents.readers.part import Part
from shared.documents.readers.sandbox import Sandbox
from shared.errors import DocumentRefused

ROOT = Path(__file__).parents[3]
PAGE = b"<html><p>Read in the child."
_OBEDIENT = """
import contextlib, json, os, stat, time
from shared.documents.readers.part import Part

def is_socket(number):
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    return False

def read(data):
    order = data.decode()
    if order == 'abort':
        os.abort()
    if order == 'spin':
        while True:
            pass
    if order == 'sleep':
        time.sleep(60)
    if order == 'eat':
        bytearray(600_000_000)
    if order == 'panic':
        raise BaseException('as those of parsers in Rust')
    if order == 'write':
        open(__file__ + '.txt', 'wb', buffering=0).write(b'x')
    if order == 'lie':
        for connection in range(3, 20):
            with contextlib.suppress(OSError):
                os.write(connection, b'no JSON')
        os._exit(0)
    if order == 'sockets':
        return [Part(json.dumps([each for each in range(20) if is_socket(each)]))]
    if order == 'flood':
        connection = next(each for each in range(3, 20) if is_socket(each))
        while True:
            os.write(connection, bytes(1_000_000))
    return [Part(order, inside=('a.zip',)), Part(repr(sorted(os.environ.keys() - {'LC_CTYPE'})))]
"""
"""In place of the parsers: a child that does what the file says."""


@pytest_asyncio.fixture
async def reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox with that child, and a second of CPU time for each file."""
    folder = tmp_path / "shared" / "documents" / "readers"
    folder.mkdir(parents=True)
    for path in ("shared", "shared/documents", "shared/documents/readers"):
        (tmp_path / path / "__init__.py").touch()
    for copied in ("errors.py", "documents/readers/part.py"):
        (tmp_path / "shared" / copied).write_text((ROOT / "shared" / copied).read_text())
    (folder / "child.py").write_text(_OBEDIENT)
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    reader = Sandbox()
    yield reader
    await reader.close()


async def test_a_file_is_read_in_a_child_without_environment() -> None:
    """No connection string and no identity of the app is there to be stolen."""
    reader = Sandbox()
    assert await reader.read(PAGE) == [Part("Read in the child.")]
    assert reader.usage.cpu_seconds > 0
    assert reader.usage.peak_bytes < zygote.MEMORY
    child = reader._child
    assert child is not None
    assert Path(f"/proc/{child.pid}/environ").read_bytes() == b""
    await reader.close()
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("abort", "failed on it twice"),
        ("panic", "failed on it twice"),
        ("write", "failed on it twice"),
        ("lie", "failed on it twice"),
        ("flood", "failed on it twice"),
        ("spin", "takes too long"),
        ("eat", "takes more memory"),
    ],
)
async def test_a_file_that_harms_its_reader_is_refused_and_the_next_is_read(
    reader: Sandbox, tmp_path: Path, order: str, reason: str
) -> None:
    """Each limit is the file's own: time, memory, output, and its process."""
    with pytest.raises(DocumentRefused, match=reason):
        await reader.read(order.encode())
    assert await reader.read(b"next") == [Part("next", inside=("a.zip",)), Part("[]")]
    assert not [path for path in tmp_path.rglob("*.txt") if path.stat().st_size]


async def test_a_file_does_not_reach_those_after_it(reader: Sandbox) -> None:
    """Of the child's sockets it has only its own."""
    (sockets,) = await reader.read(b"sockets")
    assert len(json.loads(sockets.text)) == 1


async def test_a_document_is_not_to_blame_for_a_child_that_does_not_start(
    reader: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once the app is deployed with its packages."""
    (tmp_path / "shared" / "documents" / "readers" / "child.py").write_text("import no_such_package")
    with pytest.raises(sandbox.ReaderUnavailable, match=r"requirements\.txt"):
        await reader.read(b"first")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no_such_file"))
    with pytest.raises(sandbox.ReaderUnavailable):
        await reader.read(b"first")
    monkeypatch.undo()
    assert await reader.read(PAGE) == [Part("Read in the child.")]


async def test_a_reader_that_somebody_killed_is_started_again(reader: Sandbox) -> None:
    """The document is not to blame."""
    await reader.read(b"first")
    assert reader._child is not None
    reader._child.kill()
    assert (await reader.read(b"second"))[0].text == "second"


async def test_who_stops_waiting_leaves_no_file_to_the_next(reader: Sandbox) -> None:
    """A read that is cancelled ends with its own limit; the next gets its own answer."""
    slow = asyncio.create_task(reader.read(b"spin"))
    await asyncio.sleep(0.5)
    slow.cancel()
    assert (await reader.read(b"next"))[0].text == "next"


def test_the_child_ends_with_an_app_that_was_killed() -> None:
    """SIGKILL of the app leaves no process behind."""
    code = (
        "import asyncio\nfrom shared.documents.readers.sandbox import Sandbox\nreader = Sandbox()\n"
        f"asyncio.run(reader.read({PAGE!r}))\nprint(reader._child.pid, flush=True)\ninput()"
    )
    app = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert app.stdout is not None
    child = int(app.stdout.readline())
    app.kill()
    app.communicate()
    until = time.monotonic() + 20
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(child, signal.SIGCONT)


async def test_without_forks_each_file_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setattr(sandbox, "_FORKS", False)
    reader = Sandbox()
    assert await reader.read(PAGE) == [Part("Read in the child.")]
    with pytest.raises(DocumentRefused, match="nothing but white space"):
        await reader.read(b" ")
    monkeypatch.setattr(sandbox, "SECONDS", 0.01)
    with pytest.raises(DocumentRefused, match="takes too long"):
        await reader.read(PAGE)


@pytest.mark.parametrize(
    "page",
    [
        b"<h1>" + b"h" * 290 + b"</h1>" + b"<p>a" * 90_000,
        b"<p>a" * 130_000,
        b"<p>" + b"word " * 1_200_000 + "\N{GRINNING FACE}".encode(),
    ],
    ids=["a long heading over many paragraphs", "many paragraphs", "one wide character"],
)
async def test_a_small_file_does_not_fill_the_memory_of_the_app(page: bytes) -> None:
    """What its parts have in common is there once; parts that would take more are refused."""
    reader, page = Sandbox(), b"<html><meta charset=utf-8><body>" + page
    tracemalloc.start()
    try:
        with contextlib.suppress(DocumentRefused):
            assert await reader.read(page)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
        await reader.close()
    assert reader.usage.peak_bytes < zygote.MEMORY


async def test_parts_come_back_as_they_were_read() -> None:
    """Also a text that reads like a refusal."""
    page = b"<html><title>t</title><p>refused</p><h1>A</h1><p>a<p>b<h2>B</h2><table><tr><td>1<td>2</table>"
    reader = Sandbox()
    assert await reader.read(page) == child.read(page)
    await reader.close()


def test_an_answer_names_what_it_refuses() -> None:
    """What the child writes is JSON, whatever the file is."""
    assert json.loads(zygote.answer(b"")) == {"refused": "the file is empty"}
