"""`submit`: put files into the inbox and, if asked, wait for their answers."""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.app import Lamplighter
from shared.documents.source import refuse_by_size
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clean, table
from shared.errors import (
    Conflict,
    DocumentRefused,
    InvalidRequest,
    LamplighterError,
    NotFound,
    ProviderRefused,
    ResultDamaged,
    ResultDeleted,
)
from shared.model import DeploymentConfig, DocumentState
from shared.operations.submit import submit as submit_document
from shared.reports.as_json import to_json
from shared.reports.documents import DocumentReport, document_report, report_of, stored_result
from shared.serve import SLICE_SECONDS

_UNFINISHED = (DocumentState.WAITING, DocumentState.CLAIMED)
_REFUSED = "refused"  # the state of a file that was not stored
_LOOK = 1.0  # seconds


@dataclass
class _File:
    """A file and its outcome. `saved_as`: its result's place in the folder of results."""

    path: Path
    saved_as: Path
    document: DocumentReport | None = None  # None: it was refused
    refusal: str = ""
    note: str | None = None
    fetched: bool = False
    answer: Any = None
    saved: str | None = None
    unsaved: bool = False  # its result could not be written into the folder: the note says why

    @property
    def state(self) -> str:
        return self.document.state if self.document else _REFUSED

    @property
    def is_unfinished(self) -> bool:
        return self.state in _UNFINISHED


async def submit(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Put files into the inbox, wait for them if asked, and show the outcome of each."""
    config = app.settings.find(options.deployment)
    paths: list[Path] = options.files
    waits = options.wait or options.out is not None
    if options.out is not None:
        twice = [name for name, count in Counter(path.name for path in paths).items() if count > 1]
        if twice:
            raise InvalidRequest(f"two of the files are called {twice[0]!r}: their results would be one file")
        _make_folder(options.out)
    files = [await _hand_in(app, config, path) for path in paths]
    if waits:
        await _answered(app, config, files, options.timeout, options.out, terminal)
    terminal.show({"deployment": config.name, "documents": [_written(file) for file in files]}, _lines(files))
    wanted = {DocumentState.DONE} if waits else {*_UNFINISHED, DocumentState.DONE}
    reached = all(file.state in wanted and not file.unsaved for file in files)
    return Exit.OK if reached else Exit.FAILED


def _make_folder(folder: Path) -> None:
    """Make the folder of the results, before anything is submitted. Raises InvalidRequest."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InvalidRequest(
            f"--out {folder}: results cannot be written there ({error.strerror}): name another folder, "
            "or a new one. Nothing was submitted"
        ) from None


async def _hand_in(app: Lamplighter, config: DeploymentConfig, path: Path) -> _File:
    name, saved_as = path.name, Path(f"{path.name}.json")
    name = name.encode(errors="surrogatepass").decode(errors="replace")  # a name that is no UTF-8
    try:
        data = await asyncio.to_thread(_read, path, app.settings.max_document_bytes)
        submitted = await submit_document(app, config, name.strip(), data)
    except (InvalidRequest, DocumentRefused, Conflict) as refusal:
        return _File(path, saved_as, refusal=str(refusal))
    return _File(path, saved_as, await report_of(app, submitted.document), note=submitted.note)


def _read(path: Path, limit: int) -> bytes:
    """Return the file's bytes. Raises DocumentTooLarge before reading, InvalidRequest if it is unreadable."""
    try:
        if size := path.stat().st_size:
            refuse_by_size(size, limit)
        with path.open("rb") as file:
            data = file.read(limit + 1)  # such as a pipe, which tells no size and may have no end
            refuse_by_size(len(data), limit)
            return data
    except OSError as error:
        raise InvalidRequest(f"the file cannot be read ({error.strerror})") from None


async def _answered(
    app: Lamplighter,
    config: DeploymentConfig,
    files: list[_File],
    timeout: timedelta,
    folder: Path | None,
    terminal: Terminal,
) -> None:
    """Run the deployment's flow until none of the files is unfinished, or the time is over.

    `folder`: for the results. The files of ZIP archives are added to `files`.

    Raises ProviderRefused, since no wait helps; other errors of Azure and storage are shown as progress.
    """
    clock = app.context.clock
    until = clock.monotonic() + timeout.total_seconds()
    flow: asyncio.Task[bool] | None = None
    await _look(app, files, folder)
    with terminal.progress() as show:
        try:
            while any(file.is_unfinished for file in files) and clock.monotonic() < until:
                if flow is None:
                    left = min(until - clock.monotonic(), SLICE_SECONDS)
                    flow = asyncio.create_task(app.drive(config, left))
                await clock.sleep(_LOOK)
                await _look(app, files, folder)
                done = sum(not file.is_unfinished for file in files)
                last = (await app.context.ledger.record(config.hosted_id)).decision
                show(f"{done} of {len(files)} finished; {config.name} is {last.observed}: {last.reason}")
                if flow.done():
                    _show_error(flow, show)
                    flow = None
                    if done < len(files):
                        # It returned at once: another worker runs it, or nothing needs the deployment yet.
                        pause = min(app.context.timing.poll_seconds, until - clock.monotonic())
                        await clock.sleep(max(0.0, pause))
            if flow is not None and not any(file.is_unfinished for file in files):
                show("finishing")  # the flow's last pass deletes the deployment if nothing needs it
                await asyncio.wait([flow], timeout=SLICE_SECONDS)
        finally:
            if flow is not None and not flow.done():
                flow.cancel()
            if flow is not None:
                await asyncio.gather(flow, return_exceptions=True)
    await _look(app, files, folder)


def _show_error(flow: asyncio.Task[bool], show: Callable[[str], None]) -> None:
    error = flow.exception()
    if isinstance(error, LamplighterError) and not isinstance(error, ProviderRefused):
        show(str(error))
    elif error is not None:
        raise error


async def _look(app: Lamplighter, files: list[_File], folder: Path | None) -> None:
    """Read the states of the files, fetch the results that are new, and add the files of archives."""
    for file in files:  # the loop comes to those that are added
        if file.document is not None and file.is_unfinished:
            file.document = await document_report(app, file.document.id)
        if file.state == DocumentState.DONE and not file.fetched:
            files += await _fetch(app, file, folder)


async def _fetch(app: Lamplighter, file: _File, folder: Path | None) -> list[_File]:
    """Read a document's answer, and write its result into the folder. Return the files of an archive."""
    assert file.document is not None
    file.fetched = True
    try:
        result = await stored_result(app, file.document.id)
    except (NotFound, ResultDeleted, ResultDamaged) as error:
        file.document = replace(file.document, state=DocumentState.FAILED, reason=str(error))
        return []
    file.answer = result["answer"]
    _save(result, file, folder)
    return [
        _File(file.path / name, saved_as, await document_report(app, document_id))
        for document_id, name, saved_as in _unpacked(result, file)
    ]


def _unpacked(result: Any, archive: _File) -> Iterator[tuple[str, str, Path]]:
    """Yield id, name, and the result's place for each document of an archive. Names may be equal."""
    taken = set[str]()
    for each in result.get("documents", ()):
        name = unique = each["name"]
        if name.casefold() in taken:
            unique = f"{name}.{each['id'][-16:]}"
        taken.add(name.casefold())
        yield each["id"], name, Path(archive.path.name, f"{unique}.json")


def _save(result: Any, file: _File, folder: Path | None) -> None:
    if folder is not None:
        target = folder / file.saved_as
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            file.unsaved = True
            unsaved = f"its result could not be written to {target} ({error.strerror}), and stays in storage"
            file.note = f"{file.note}; {unsaved}" if file.note else unsaved
            return
        file.saved = str(target)


def _written(file: _File) -> dict[str, Any]:
    document = file.document or {"id": None, "state": _REFUSED, "reason": file.refusal}
    note = {"note": file.note} if file.note else {}
    return {
        "file": str(file.path),
        **to_json(document),
        **note,
        "answer": file.answer,
        "saved": file.saved,
    }


def _lines(files: list[_File]) -> Iterator[str]:
    rows = [
        (
            file.path,
            file.state,
            f"{file.document.cost if file.document else 0.0:.6f}",
            file.saved or (file.document.id if file.document else "-"),
            file.document.reason if file.document else file.refusal,
        )
        for file in files
    ]
    yield from table(("FILE", "STATE", "COST", "ID OR RESULT", "REASON"), rows)
    yield from (clean(f"{file.path}: {file.note}") for file in files if file.note)
    for file in files:
        if file.answer is not None and file.saved is None:
            answer = file.answer
            if not isinstance(answer, str):
                answer = json.dumps(answer, ensure_ascii=False, indent=2)
            yield from ("", f"{clean(file.path)}:", clean(answer, lines=True))
