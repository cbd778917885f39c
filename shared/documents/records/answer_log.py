"""Keep what became of each record in append-only blobs, so that a crash repeats what was in flight only.

A line is `<number> <key> <run> <kind> <JSON>`: the record's number in the file from 0, the key of its staged
line, the run, and what it is. A later line of a record counts instead of an earlier one. An answer counts in
every later run, anything else only in its own. An append names the length that the blob has: of two workers
one is refused, and no answer of the other is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from array import array
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.documents.checkpoints import CHECKPOINTS
from shared.documents.identity import short_id
from shared.documents.records.record import Outcome, Problem, encoded
from shared.documents.spent import Spent, parsed
from shared.documents.threads import in_thread
from shared.errors import BlobRefused, Changed, ContainerMissing, Missing, StorageError
from shared.model import Document
from shared.ports import BlobItem, Blobs

MOST_BYTES = 3_000_000
"""Of entries that are kept at a time: Azure appends 4 MiB at most."""
_KEY = 12  # characters
_PIECE = 1024 * 1024
_SEGMENT = 200_000_000  # bytes, after which another blob begins
_FULL = "BlockCountExceedsLimit"  # Azure's code: a blob takes 50,000 appends
_SPENT = b"- "  # begins a line with the cost of the document so far


_ANSWER, _PROBLEM = b"ap"


class Kind(StrEnum):
    """What a line says of a record."""

    ANSWER = "a"
    PROBLEM = "p"  # it has no answer, and gets none in this run
    FAILURE = "f"  # a try failed, and the record is to blame


@dataclass(frozen=True)
class Entry:
    """A line of the log."""

    number: int
    key: bytes
    kind: Kind
    line: bytes


def key_of(staged_line: bytes) -> bytes:
    """Return the key of a record: another one if its row was changed since."""
    return hashlib.blake2b(staged_line, digest_size=_KEY // 2).hexdigest().encode()


@dataclass
class Known:
    """What the log says of each record, by number, without the answers themselves."""

    kinds: bytearray  # 0, or the kind's letter; of failures only with no answer or problem
    places: array[int]  # segment * 2**40 + offset of the line
    sizes: array[int]
    keys: bytearray
    failures: dict[int, int] = field(default_factory=dict)
    spent: Spent | None = None
    answered: int = 0
    refused: int = 0

    @classmethod
    def of(cls, records: int) -> Known:
        """Return that nothing is known of so many records."""
        return cls(
            bytearray(records),
            array("Q", bytes(8 * records)),
            array("I", bytes(4 * records)),
            bytearray(_KEY * records),
        )

    def kind(self, number: int, key: bytes) -> Kind | None:
        """Return what became of the record with this key; None if it is still to be asked."""
        kind = self.kinds[number]
        if kind and self.keys[_KEY * number : _KEY * (number + 1)] != key:
            self._count(kind, -1)  # its row was changed since
            kind = self.kinds[number] = 0
        return Kind(chr(kind)) if kind else None

    def _count(self, kind: int, change: int) -> None:
        self.answered += change if kind == _ANSWER else 0
        self.refused += change if kind == _PROBLEM else 0

    def note(self, entry_kind: bytes, number: int, key: bytes, place: int, size: int) -> None:
        """Take in a line of the log."""
        if entry_kind == b"f":
            self.failures[number] = self.failures.get(number, 0) + 1
            return
        self._count(self.kinds[number], -1)
        self._count(entry_kind[0], 1)
        self.kinds[number] = entry_kind[0]
        self.places[number], self.sizes[number] = place, size
        self.keys[_KEY * number : _KEY * (number + 1)] = key


class AnswerLog:
    """The log of one document. Every method may raise StorageError."""

    def __init__(self, blobs: Blobs, document: Document) -> None:
        self._blobs = blobs
        self._stem = f"{document.deployment}/{short_id(document)}.answers"
        self._run = document.run
        self._segment, self._length = 0, 0
        self.size = 0
        """Bytes of all segments that were read or written."""

    def _name(self, segment: int) -> str:
        return f"{self._stem}.{segment}"

    async def length(self) -> int:
        """Return the bytes that are kept."""
        return sum([item.size async for item in self._items()])

    async def clear(self) -> None:
        """Delete what is kept."""
        async for item in self._items():
            with contextlib.suppress(BlobRefused):  # a policy keeps it; the document is finished anyway
                await self._blobs.delete(CHECKPOINTS, item.name, item.etag)

    async def _items(self) -> AsyncIterator[BlobItem]:
        with contextlib.suppress(ContainerMissing):
            for segment in itertools.count():
                item = await self._blobs.stat(CHECKPOINTS, self._name(segment))
                if item is None:
                    return
                yield item

    async def load(self, records: int) -> Known:
        """Read what is kept of a file with so many records."""
        known = Known.of(records)
        self._segment, self._length, self.size = 0, 0, 0
        await self.load_on(known)
        return known

    async def load_on(self, known: Known) -> None:
        """Read on what another worker has kept meanwhile."""
        while (length := await self._load_segment(self._segment, self._length, known)) is not None:
            self.size += length - self._length
            self._length = length
            if await self._blobs.stat(CHECKPOINTS, self._name(self._segment + 1)) is None:
                return
            self._segment, self._length = self._segment + 1, 0

    async def _load_segment(self, segment: int, at: int, known: Known) -> int | None:
        """Read a segment from a length on; return its length, None if it does not exist."""
        rest = b""
        while True:
            try:
                piece = await self._blobs.read_range(CHECKPOINTS, self._name(segment), at, _PIECE)
            except (Missing, ContainerMissing):
                return None
            if not piece:
                return at
            begin = (segment << 40) + at - len(rest)
            at += len(piece)
            data = rest + piece
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            await in_thread(end, _take_in, known, data[:end], begin, self._run)

    def entry(self, number: int, key: bytes, kind: Kind, outcome: Outcome) -> Entry:
        """Return the line of a record."""
        line = b"%d %b %d %b %b\n" % (number, key, self._run, kind.value.encode(), _json(outcome))
        return Entry(number, key, kind, line)

    async def append(self, entries: Sequence[Entry], spent: Mapping[str, Any], known: Known) -> None:
        """Keep entries, and what the document has cost; note them in `known`.

        Raises Changed if another worker wrote. Safe to repeat after another StorageError.
        """
        data = b"".join([*(entry.line for entry in entries), _SPENT + encoded(spent) + b"\n"])
        if self._length and self._length + len(data) > _SEGMENT:
            self._segment, self._length = self._segment + 1, 0
        try:
            await self._append(data)
        except StorageError as error:
            if error.code != _FULL:
                raise
            self._segment, self._length = self._segment + 1, 0
            await self._append(data)
        place = (self._segment << 40) + self._length
        for entry in entries:
            known.note(entry.kind.value.encode(), entry.number, entry.key, place, len(entry.line))
            place += len(entry.line)
        self._length += len(data)
        self.size += len(data)

    async def _append(self, data: bytes) -> None:
        name = self._name(self._segment)
        try:
            await self._blobs.append(CHECKPOINTS, name, data, self._length)
        except Changed:
            # The call before this one may have ended without an answer, and with an effect.
            written = await self._blobs.read_range(CHECKPOINTS, name, self._length, len(data) + 1)
            if written != data:
                raise

    def reader(self, known: Known) -> Reader:
        """Return a reader of single outcomes."""
        return Reader(self._blobs, self._name, known)


class Reader:
    """Read outcomes in about the order in which they were kept: the last stretches stay in memory."""

    _MOST = 4  # stretches

    def __init__(self, blobs: Blobs, name_of: Callable[[int], str], known: Known) -> None:
        self._blobs = blobs
        self._name_of = name_of
        self._known = known
        self._stretches: dict[tuple[int, int], bytes] = {}

    async def read(self, number: int) -> bytes:
        """Return the JSON of what became of a record that has an outcome."""
        place, size = self._known.places[number], self._known.sizes[number]
        line = await self._read(place >> 40, place & ((1 << 40) - 1), size)
        return line.split(b" ", 4)[4]

    async def _read(self, segment: int, offset: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            at = offset + len(found)
            stretch = await self._stretch(segment, at // _PIECE)
            begin = at % _PIECE
            piece = stretch[begin : begin + size - len(found)]
            if not piece:
                raise StorageError("the kept answers are shorter than they were")
            found += piece
        return found

    async def _stretch(self, segment: int, number: int) -> bytes:
        key = segment, number
        if key in self._stretches:
            return self._stretches[key]
        while len(self._stretches) >= self._MOST:
            del self._stretches[next(iter(self._stretches))]
        data = await self._blobs.read_range(CHECKPOINTS, self._name_of(segment), number * _PIECE, _PIECE)
        self._stretches[key] = data
        return data


def _json(outcome: Outcome) -> bytes:
    body = dict[str, Any]()
    if outcome.problem is not None:
        body["problem"] = [outcome.problem.code, outcome.problem.message]
    if outcome.response is not None:
        body["response"] = outcome.response
    elif outcome.problem is None:
        body["answer"] = outcome.answer
    return encoded(body)


def outcome_of(line: bytes) -> Outcome:
    """Return the outcome in the JSON of a line."""
    body = json.loads(line)
    problem = body.get("problem")
    return Outcome(body.get("answer"), body.get("response"), Problem(*problem) if problem else None)


def _take_in(known: Known, data: bytes, begin: int, run: int) -> None:
    """Note the lines of a stretch. `begin`: the place of its first byte."""
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        line, place = data[at : end + 1], begin + at
        at = end + 1
        if line.startswith(_SPENT):
            known.spent = _spent(line, known.spent)
            continue
        fields = line.split(b" ", 4)
        if len(fields) < 5 or not fields[0].isdigit():
            continue
        number, key, kind = int(fields[0]), fields[1], fields[3]
        if number < len(known.kinds) and (kind == b"a" or fields[2] == b"%d" % run):
            known.note(kind, number, key, place, len(line))


def _spent(line: bytes, before: Spent | None) -> Spent | None:
    try:
        return parsed(json.loads(line[len(_SPENT) :]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return before
