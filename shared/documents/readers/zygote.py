"""Run the reader's child: `python -I zygote.py PATHS [once | rows]`, started by `sandbox` alone.

PATHS: the directories of `sys.path` as JSON. This process has one thread, loads the parsers once, and forks
for each file. Each fork sets its own limits and exits. With `once` or `rows`, as on Windows, it reads one
file, or the rows of one, without limits of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.documents.readers.part import Part

MEMORY = 512_000_000
"""Bytes of address space of a fork."""
MOST = 20_000_000
"""Bytes of an answer: JSON writes some characters with more bytes than the text has."""
STATUS = struct.Struct("<bfQ")
"""How a fork ended, after its answer: its exit code, or the number of the signal, negative; the CPU seconds
that it took, and the most bytes that it had in memory."""
MOST_ROWS = 500_000_000
"""Bytes of all rows of a spreadsheet, which are streamed."""
ROWS = 0x80
"""In the byte that comes with a connection: the rows of a spreadsheet are asked for. The rest is seconds."""
_TOO_MUCH = "reading it takes more memory than the app has for one file: split it, or save its text"
_WAIT = 3  # times the CPU seconds that a fork may exist
_WAIT_ROWS = 20  # the same, while the app sends the rows to storage
_TOGETHER = 256 * 1024  # bytes of rows sent at a time, or more
_TABLES = (b"Gr\xc3\xb6\xc3\x9fe", b"Gr\xf6\xdfe: 5 m", b"A+AOQ- and B")  # UTF-8, an old encoding, and UTF-7


def answer(data: bytes) -> bytes:
    """Return the parts, or the reason for a refusal, as lines of JSON."""
    from shared.documents.readers import child
    from shared.errors import DocumentRefused

    try:
        found = b"".join(_lines(child.read(data)))
        return found if len(found) < MOST else _refused(_TOO_MUCH)
    except DocumentRefused as refusal:
        return _refused(str(refusal))
    except MemoryError:
        return _refused(_TOO_MUCH)


def rows(data: bytes) -> Iterator[bytes]:
    """Yield the rows as lines of JSON, and the reason for a refusal if there is one."""
    import orjson

    from shared.documents.readers import child
    from shared.errors import DocumentRefused

    waiting, size, total = list[bytes](), 0, 0
    try:
        for number, cells in child.rows(data):
            line = orjson.dumps([number, *cells]) + b"\n"
            waiting.append(line)
            size += len(line)
            if size > _TOGETHER:
                total += size
                if total > MOST_ROWS:
                    raise DocumentRefused(f"its rows have more than {MOST_ROWS:,} bytes: split it")
                yield b"".join(waiting)
                waiting, size = [], 0
        yield b"".join(waiting)
    except DocumentRefused as refusal:
        yield _refused(str(refusal))
    except MemoryError:
        yield _refused(_TOO_MUCH)


def _lines(parts: Iterable[Part]) -> Iterator[bytes]:
    """Yield each part's text, page and row, and what stands above it if that is another than before."""
    written, above = json.JSONEncoder(ensure_ascii=False).encode, None
    for part in parts:
        line = [part.text, part.page, part.row, *(part.above if part.above != above else ())]
        above = part.above
        yield written(line).encode("utf-8", "replace") + b"\n"


def _refused(reason: str) -> bytes:
    return json.dumps({"refused": reason}).encode() + b"\n"


def serve(control: socket.socket) -> None:
    """Fork for each file until the app closes its end: also when the app was killed."""
    while True:
        request, files, _, _ = socket.recv_fds(control, 1, 1)
        if not request:
            return
        with socket.socket(fileno=files[0]) as connection:
            fork = os.fork()
            if fork == 0:
                control.close()  # the next files are none of its business
                _read_within_limits(connection, request[0])
            _, status, usage = os.wait4(fork, 0)
            ended = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
            with contextlib.suppress(OSError):  # the app does not wait for it any more
                connection.sendall(STATUS.pack(*ended))


def _read_within_limits(connection: socket.socket, request: int) -> None:
    """Answer one file and exit, whatever happens."""
    try:
        gc.disable()  # it ends with the file
        seconds, are_rows = request & ~ROWS, bool(request & ROWS)
        _limit(seconds, _WAIT_ROWS if are_rows else _WAIT)
        with connection.makefile("rb") as stream:
            data = stream.read()
        for piece in rows(data) if are_rows else (answer(data),):
            connection.sendall(piece)
    except BaseException:  # a parser in Rust raises one of its own
        os._exit(1)
    os._exit(0)


def _limit(seconds: int, wait: int) -> None:
    import resource

    with contextlib.suppress(OSError):  # if the instance runs out of memory, this process ends, not the app
        Path("/proc/self/oom_score_adj").write_text("1000")
    for kind, limit, most in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),  # the first one is a signal of its own
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_AS, MEMORY, MEMORY),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses the last one
            resource.setrlimit(kind, (limit, most))
    signal.alarm(wait * seconds)


def main() -> None:
    """Load the parsers and serve."""
    sys.path[:] = json.loads(sys.argv[1])
    if sys.argv[2:]:
        data = sys.stdin.buffer.read()
        sys.stdout.buffer.writelines(rows(data) if sys.argv[2] == "rows" else (answer(data),))
        return
    import orjson  # noqa: F401 before forking, so that each fork has it

    from shared.documents.readers import child  # noqa: F401

    for text in _TABLES:  # the same for what is made when it is needed first
        with contextlib.suppress(Exception):
            answer(text)
    gc.freeze()
    serve(socket.socket(fileno=0))


if __name__ == "__main__":
    main()
