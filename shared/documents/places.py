"""Say where a document's source, its results and its note lie."""

from __future__ import annotations

from pathlib import PurePosixPath

from shared.documents.identity import INBOX, short_id
from shared.model import Document

RESULTS, PROCESSED, FAILED = "results", "processed", "failed"
_LONGEST_NAME = 1000  # Azure allows 1,024 characters, counted in UTF-16


def file_name(document: Document) -> str:
    """Return the upload's own name, without the deployment's folder."""
    return document.name.partition("/")[2] or document.name


def result_name(document: Document) -> str:
    """Return the name of this run's result: `<deployment>/<name>.<id>.<run>.json` in `results`."""
    end = f".{short_id(document)}.{document.run}.json"
    return _bounded(document.deployment, file_name(document), end)


def beside(document: Document, end: str) -> str:
    """Return the name of a file for people that stands beside the result of this run."""
    return f"{result_name(document).removesuffix('.json')}{end}"


def finished_name(document: Document) -> str:
    """Return the name of a finished source: it has the id, so that no version overwrites another."""
    suffix = PurePosixPath(file_name(document)).suffix[:20]
    stem = file_name(document).removesuffix(suffix)
    return _bounded(document.deployment, stem, f".{short_id(document)}{suffix}")


def source_of(document: Document) -> tuple[str, str, str | None]:
    """Return an unfinished document's source: container, name, and the version if it is in the inbox.

    A requeued document is read where it was moved to, in any version: its owner may have corrected it there.
    """
    if not document.moved_to:
        return INBOX, document.name, document.source_etag
    container, _, name = document.moved_to.partition("/")
    return container, name, None


def note_name(name: str) -> str:
    return f"{name}.reason.txt"


def _bounded(folder: str, name: str, end: str) -> str:
    room = 2 * (_LONGEST_NAME - len(folder) - len(end) - 1)
    kept = name.encode("utf-16-le", "surrogatepass")[:room].decode("utf-16-le", "ignore")
    return f"{folder}/{kept}{end}"
