"""`submit`: files in as through the HTTP door, and, if waited for, their answers out."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.app import Lamplighter
from shared.doors import api
from shared.doors.cli.arguments import Exit, WrongUse, config
from shared.doors.cli.terminal import Terminal, clean, table
from shared.errors import ArmRefused, DocumentRefused, LamplighterError
from shared.model import DeploymentConfig, DocumentState
from shared.serve import POLL_SECONDS, SLICE_SECONDS

_UNFINISHED = (DocumentState.WAITING, DocumentState.CLAIMED)
_REFUSED = "refused"  # nothing was stored
_LOOK = 1.0  # seconds


@dataclass
class _Submitted:
    """A file, and what became of it."""

    path: Path
    told: dict[str, Any]  # as the HTTP API tells a document
    answer: Any = None
    saved: str | None = None

    @property
    def state(self) -> str:
        return str(self.told["state"])

    @property
    def is_unfinished(self) -> bool:
        return self.state in _UNFINISHED


async def submit(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Put files into the inbox, wait for them if asked, and tell of each what became of it."""
    chosen = config(app, options.deployment)
    paths = [Path(name) for name in options.files]
    waits = options.wait or options.out is not None
    if options.out is not None:
        twice = [name for name, count in Counter(path.name for path in paths).items() if count > 1]
        if twice:
            raise WrongUse(f"two of the files are called {twice[0]!r}: their results would be one file")
        options.out.mkdir(parents=True, exist_ok=True)
    files = [_Submitted(path, await _hand_in(app, chosen, path)) for path in paths]
    if waits:
        await _answered(app, chosen, files, options.timeout, terminal)
        for each in files:
            if each.state == DocumentState.DONE:
                await _fetch(app, each, options.out)
    terminal.show({"deployment": chosen.name, "documents": [_told(each) for each in files]}, _lines(files))
    wanted = {DocumentState.DONE} if waits else {*_UNFINISHED, DocumentState.DONE}
    return Exit.OK if all(each.state in wanted for each in files) else Exit.FAILED


async def _hand_in(app: Lamplighter, chosen: DeploymentConfig, path: Path) -> dict[str, Any]:
    """What the API tells of the document, or why there is none."""
    try:
        data = await asyncio.to_thread(_read, path, app.settings.max_document_bytes)
    except OSError as error:
        return _refused(f"the file cannot be read ({error.strerror})")
    except DocumentRefused as refusal:
        return _refused(str(refusal))
    name = path.name.encode(errors="surrogatepass").decode(errors="replace")  # a name that is no UTF-8
    reply = await api.submit(app, chosen.name, name, data, None)
    return _refused(reply.body["error"]) if reply.status >= 400 else dict(reply.body)


def _read(path: Path, limit: int) -> bytes:
    """Raises DocumentRefused for a file above the limit, before it is read."""
    if (size := path.stat().st_size) > limit:
        raise DocumentRefused(f"the file has {size:,} bytes; limits.max_document_bytes is {limit:,}")
    return path.read_bytes()


def _refused(reason: str) -> dict[str, Any]:
    return {"id": None, "state": _REFUSED, "reason": reason}


async def _answered(
    app: Lamplighter,
    chosen: DeploymentConfig,
    files: list[_Submitted],
    timeout: timedelta,
    terminal: Terminal,
) -> None:
    """Drive the deployment's flow until none of the files is unfinished, or the time is over.

    Raises ArmRefused, which no wait will mend; what may mend itself is told.
    """
    clock = app.context.clock
    until = clock.monotonic() + timeout.total_seconds()
    flow: asyncio.Task[None] | None = None
    with terminal.progress() as tell:
        try:
            while any(each.is_unfinished for each in files) and clock.monotonic() < until:
                if flow is None:
                    left = min(until - clock.monotonic(), SLICE_SECONDS)
                    flow = asyncio.create_task(app.drive(chosen, left))
                await clock.sleep(_LOOK)
                await _look(app, files)
                done = sum(not each.is_unfinished for each in files)
                record = await app.context.ledger.record(chosen.account, chosen.name)
                tell(f"{done} of {len(files)} finished; {chosen.name} is {record.observed}: {record.reason}")
                if flow.done():
                    _tell_error(flow, tell)
                    flow = None
                    if done < len(files):
                        # It returned at once: somebody else drives it, or nothing wants it yet.
                        await clock.sleep(max(0.0, min(POLL_SECONDS, until - clock.monotonic())))
            if flow is not None and not any(each.is_unfinished for each in files):
                tell("finishing")  # the flow's last pass deletes what nobody needs
                await asyncio.wait([flow], timeout=SLICE_SECONDS)
        finally:
            if flow is not None and not flow.done():
                flow.cancel()
            if flow is not None:
                await asyncio.gather(flow, return_exceptions=True)
    await _look(app, files)


def _tell_error(flow: asyncio.Task[None], tell: Any) -> None:
    error = flow.exception()
    if isinstance(error, LamplighterError) and not isinstance(error, ArmRefused):
        tell(str(error))
    elif error is not None:
        raise error


async def _look(app: Lamplighter, files: list[_Submitted]) -> None:
    for each in files:
        if each.is_unfinished:
            reply = await api.document(app, each.told["id"])
            each.told = dict(reply.body)


async def _fetch(app: Lamplighter, file: _Submitted, folder: Path | None) -> None:
    reply = await api.result(app, file.told["id"])
    if reply.status != 200:
        file.told |= {"state": DocumentState.FAILED, "reason": reply.body["error"]}
        return
    file.answer = reply.body["answer"]
    if folder is not None:
        target = folder / f"{file.path.name}.json"
        target.write_text(json.dumps(reply.body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        file.saved = str(target)


def _told(file: _Submitted) -> dict[str, Any]:
    return {"file": str(file.path), **file.told, "answer": file.answer, "saved": file.saved}


def _lines(files: list[_Submitted]) -> Iterator[str]:
    rows = [
        (
            each.path,
            each.state,
            f"{each.told.get('cost', 0.0):.6f}",
            each.saved or each.told["id"] or "-",
            each.told["reason"],
        )
        for each in files
    ]
    yield from table(("FILE", "STATE", "COST", "ID OR RESULT", "REASON"), rows)
    for each in files:
        if each.answer is not None and each.saved is None:
            answer = each.answer
            if not isinstance(answer, str):
                answer = json.dumps(answer, ensure_ascii=False, indent=2)
            yield from ("", f"{clean(each.path)}:", clean(answer, lines=True))
