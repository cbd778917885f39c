"""Read files in a child process with limits, so that no file harms the app. Loads no parser itself.

Note [The reader's child]. Parsers in C and Rust abort, hang and take gigabytes on hostile files. A child that
was started once forks for each file, which costs milliseconds. It gets the file through a socket, an empty
environment and no name. `multiprocessing` does not work in a Functions worker, which has no `__main__`, and
forking the worker itself is unsafe, as it has threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from shared.documents.readers import zygote
from shared.documents.readers.part import Part
from shared.errors import DocumentRefused, ReaderUnavailable

SECONDS = 8
"""CPU seconds for reading one file, in all tries."""
SECONDS_FOR_ROWS = 30
"""CPU seconds for the rows of a spreadsheet, in each try: 100,000 rows of 10 cells take 4."""
_MOST = zygote.MOST + zygote.STATUS.size  # bytes received: a child that was taken over may send any number
_MOST_ROWS = zygote.MOST_ROWS + zygote.MOST_ROWS // 100
_RECEIVED = 256 * 1024  # bytes at a time
_FORKS = hasattr(os, "fork")
_TOO_LONG = "reading it takes too long: split it, or save its text"
_FAILED = "the program that reads such files failed on it twice: open it and save it again, or save its text"
_NOT_RUNNING = (
    "the process that reads documents ends at once: check that the app was deployed with the packages of "
    "requirements.txt for its platform, and has memory left"
)
_LEAST_ENVIRONMENT = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows
_LIMITS = {-getattr(signal, name, 0) for name in ("SIGXCPU", "SIGALRM")}


@dataclass(frozen=True)
class Usage:
    """What reading a file took. Unknown, and so 0, where a process cannot fork."""

    cpu_seconds: float = 0.0
    peak_bytes: int = 0


class Sandbox:
    """Read files, one after another, each within its own limits. `usage`: of the last one."""

    usage = Usage()

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def read(self, data: bytes) -> list[Part]:
        """Return a file's parts. Raises DocumentRefused with a reason for its owner; ReaderUnavailable."""
        async with self._turn:
            left, status = float(SECONDS), None
            for _ in range(2):  # the system may have ended the first child for want of memory
                began = time.monotonic()
                status, answer = await (self._ask(data, left) if _FORKS else _ask_once(data, left))
                if status == 0:
                    return await asyncio.to_thread(_parts, answer)
                if status in _LIMITS:
                    raise DocumentRefused(_TOO_LONG)
                left = max(1.0, left - (time.monotonic() - began))
        if status is None:  # files are opened in forks only: they do not end the child
            raise ReaderUnavailable(_NOT_RUNNING)
        raise DocumentRefused(_FAILED)

    async def rows(self, data: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the rows of a spreadsheet's first sheet that people see and that has any, in pieces.

        Together they are lines of JSON: a list of the row's number and its cells; or one object with the
        reason for a refusal, in `refused`. They are untrusted. Raises DocumentRefused and ReaderUnavailable.
        """
        async with self._turn:
            status, size = None, 0
            for _ in range(2):
                last = bytearray()  # may be the status
                source = self._pieces(data, SECONDS_FOR_ROWS | zygote.ROWS) if _FORKS else _rows_once(data)
                async with contextlib.aclosing(source) as pieces:
                    async for piece in pieces:
                        last += piece
                        size += len(piece)
                        if size > _MOST_ROWS:
                            raise DocumentRefused(_FAILED)
                        if ready := bytes(last[: -zygote.STATUS.size]):
                            yield ready
                            del last[: len(ready)]
                status = await self._ended(last)
                if status == 0:
                    return
                if status in _LIMITS:
                    raise DocumentRefused(_TOO_LONG)
                if size > zygote.STATUS.size:  # rows were given already
                    raise DocumentRefused(_FAILED)
        if status is None:
            raise ReaderUnavailable(_NOT_RUNNING)
        raise DocumentRefused(_FAILED)

    async def close(self) -> None:
        """End the child."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._child is not None:
            await asyncio.to_thread(self._child.wait)
            self._child = None

    async def _ask(self, data: bytes, seconds: float) -> tuple[int | None, bytearray]:
        """Return how a fork ended, None if there was none, and its answer."""
        answer = bytearray()
        async with contextlib.aclosing(self._pieces(data, round(seconds))) as pieces:
            async for piece in pieces:
                answer += piece
                if len(answer) > _MOST:
                    return 1, bytearray()
        status = await self._ended(answer[-zygote.STATUS.size :])
        del answer[-zygote.STATUS.size :]
        return status, answer

    async def _pieces(self, data: bytes, request: int) -> AsyncGenerator[bytes, None]:
        """Hand a file to a fork; yield what comes until the other end is closed."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with contextlib.suppress(OSError):  # the fork may end before it has read the file
                with theirs:
                    self._send(theirs, request)
                await loop.sock_sendall(ours, data)
                ours.shutdown(socket.SHUT_WR)
            while True:
                try:
                    piece = await loop.sock_recv(ours, _RECEIVED)
                except ConnectionResetError:  # the fork left data unread; what it has sent comes all the same
                    continue
                if not piece:
                    return
                yield piece

    async def _ended(self, last: bytes | bytearray) -> int | None:
        """Return how a fork ended, by the last bytes of its answer; None if the child itself has ended."""
        if len(last) < zygote.STATUS.size:  # a fork leaves its status
            await self.close()
            return None
        status, *usage = zygote.STATUS.unpack(last)
        self.usage = Usage(*usage)
        return int(status)

    def _send(self, connection: socket.socket, request: int) -> None:
        """Hand a connection to the child. Start the child first if there is none, or anew if it has ended."""
        if self._child is None or self._control is None or self._child.poll() is not None:
            self._start()
        assert self._control is not None
        socket.send_fds(self._control, [bytes([request])], [connection.fileno()])

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603 this program
                _command(),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                start_new_session=True,
            )


def _command(*mode: str) -> list[str]:
    paths = [str(Path(path).resolve()) for path in sys.path]
    return [sys.executable, "-I", zygote.__file__, json.dumps(paths), *mode]


async def _rows_once(data: bytes) -> AsyncGenerator[bytes, None]:
    """Yield the rows without forks, and how the process ended."""
    status, answer = await _ask_once(data, SECONDS_FOR_ROWS, "rows")
    yield bytes(answer)
    yield zygote.STATUS.pack(bool(status), 0.0, 0)


async def _ask_once(data: bytes, seconds: float, mode: str = "once") -> tuple[int | None, bytearray]:
    """Do the same without forks, as on Windows: one process for each file, limited by time alone."""

    def run() -> tuple[int | None, bytearray]:
        try:
            done = subprocess.run(  # noqa: S603 this program
                _command(mode), input=data, capture_output=True, timeout=seconds, env=_LEAST_ENVIRONMENT
            )
        except subprocess.TimeoutExpired:
            raise DocumentRefused(_TOO_LONG) from None
        return done.returncode, bytearray(done.stdout)

    return await asyncio.to_thread(run)


def _parts(answer: bytearray) -> list[Part]:
    """Return the parts of an answer, which is untrusted. Raises DocumentRefused if it is a refusal.

    Line by line: all of it at once would delay the event loop, and take several times its memory.
    """
    parts, above, at = list[Part](), Part("").above, 0
    try:
        while (end := answer.find(b"\n", at)) >= 0:
            found = json.loads(answer[at:end].decode())
            at = end + 1
            if isinstance(found, dict):
                raise DocumentRefused(str(found["refused"]))
            text, page, row, *changed = found
            if changed:
                heading, sheet, inside = changed
                above = tuple(heading), sheet, tuple(inside)
            parts.append(Part(text, page, above[0], above[1], row, above[2]))
    except (ValueError, TypeError, KeyError, RecursionError):
        parts = []
    if not parts:
        raise DocumentRefused(_FAILED)
    return parts
