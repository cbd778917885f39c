"""Read a folder of files as the app does: `python3 dev.py bench readers --corpus DIR [--json]`.

DIR has a `manifest.csv` with the columns file, expected ("read", "refused", or both with "or") and words, and
if it likes pages. Printed for each file: the outcome, the share of the words that were found, the time as the
app sees it, and the child's CPU time and peak memory. Exit code 1 if an outcome is not as the manifest says,
or a word is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench._report import machine, show
from shared.documents.readers.part import joined
from shared.documents.readers.sandbox import Usage
from shared.documents.source import Sources
from shared.errors import DocumentRefused
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import VirtualClock
from tests.fakes.world import config

_ANY_SIZE = 1_000_000  # thousand tokens a minute


@dataclass(frozen=True)
class Row:
    """What the manifest says of a file."""

    file: str
    expected: str
    words: tuple[str, ...]
    pages: int

    @property
    def outcomes(self) -> set[str]:
        """Return the outcomes that are right."""
        return {outcome for outcome in ("read", "refused") if outcome in self.expected}


@dataclass(frozen=True)
class Reading:
    """What became of a file."""

    file: str
    outcome: str
    reason: str
    as_expected: bool
    words_found: float | None  # share
    characters: int
    milliseconds: float  # as the app sees it
    cpu_ms: float | None
    cpu_ms_a_page: float | None
    peak_mb: float | None


def rows(corpus: Path) -> list[Row]:
    """Return the manifest's rows."""
    with (corpus / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
        return [
            Row(row["file"], row["expected"], tuple(row["words"].split()), int(row.get("pages") or 0))
            for row in csv.DictReader(file)
        ]


async def read(sources: Sources, corpus: Path, row: Row) -> Reading:
    """Read one file."""
    data, reason, text = (corpus / row.file).read_bytes(), "", ""
    sources.sandbox.usage = Usage()
    began = time.perf_counter()
    try:
        text = joined(await sources.parts_of(data, config(capacity=_ANY_SIZE)))
    except DocumentRefused as refusal:
        reason = str(refusal)
    took, outcome = time.perf_counter() - began, "refused" if reason else "read"
    found = [" ".join(word.split()).casefold() in " ".join(text.split()).casefold() for word in row.words]
    usage = sources.sandbox.usage
    return Reading(
        file=row.file,
        outcome=outcome,
        reason=reason,
        as_expected=outcome in row.outcomes and (bool(reason) or all(found)),
        words_found=statistics.mean(found) if found and not reason else None,
        characters=len(text),
        milliseconds=round(1000 * took, 1),
        cpu_ms=round(1000 * usage.cpu_seconds, 1),
        cpu_ms_a_page=round(1000 * usage.cpu_seconds / row.pages, 1) if row.pages else None,
        peak_mb=round(usage.peak_bytes / 1e6, 1),
    )


async def measure(corpus: Path) -> dict[str, object]:
    """Read every file of the manifest, after one that starts the child."""
    sources, found = Sources(MemoryBlobs(VirtualClock())), list[Reading]()
    try:
        await sources.parts_of(b"<html><p>This one starts the child.", config())
        for row in rows(corpus):
            found.append(await read(sources, corpus, row))
    finally:
        await sources.close()
    shares = [each.words_found for each in found if each.words_found is not None]
    per_page = [each.cpu_ms_a_page for each in found if each.cpu_ms_a_page is not None]
    return {
        "files": len(found),
        "not_as_expected": [each.file for each in found if not each.as_expected],
        "words_found_median": statistics.median(shares) if shares else None,
        "words_found_min": min(shares, default=None),
        "cpu_ms_a_page_median": statistics.median(per_page) if per_page else None,
        "readings": [asdict(each) for each in found],
        **machine(),
    }


def main() -> int:
    """Parse, read, print."""
    parser = argparse.ArgumentParser(prog="dev.py bench readers", description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    if not (options.corpus / "manifest.csv").is_file():
        parser.error(f"argument --corpus: {options.corpus} has no manifest.csv")
    found = asyncio.run(measure(options.corpus))
    show(found, as_json=options.json)
    return 1 if found["not_as_expected"] else 0


if __name__ == "__main__":
    sys.exit(main())
