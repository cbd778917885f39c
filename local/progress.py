"""Snapshots that the demonstration takes from outside, and the changes between two of them."""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FINAL = frozenset({"done", "failed", "superseded", "withdrawn"})


@dataclass(frozen=True)
class Document:
    """A document as ``GET /api/documents`` shows it, or a refused submission."""

    state: str
    reason: str = ""
    id: str | None = None

    @property
    def is_final(self) -> bool:
        """Return whether its state is final."""
        return self.state in FINAL


@dataclass(frozen=True)
class Deployment:
    """A deployment as ``GET /api/deployments`` shows it."""

    observed: str
    reason: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Deployments by name, documents by deployment and name, and the emulator's bill."""

    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    documents: Mapping[tuple[str, str], Document] = field(default_factory=dict)
    bill: Mapping[str, Any] = field(default_factory=lambda: {"open": 0, "deployments": []})

    def files(self, deployment: str, submitted: Iterable[str]) -> list[str]:
        """Return the names of a deployment's documents: the submitted files, and those in ZIP archives."""
        unpacked = (file for name, file in self.documents if name == deployment)
        return list(dict.fromkeys([*submitted, *sorted(unpacked)]))

    def is_final(self, deployment: str, submitted: Iterable[str]) -> bool:
        """Return whether each of these documents is in a final state."""
        keys = [(deployment, file) for file in self.files(deployment, submitted)]
        return all(key in self.documents and self.documents[key].is_final for key in keys)

    def count(self, deployment: str, *states: str) -> int:
        """Count a deployment's documents that are in one of these states."""
        documents = self.documents.items()
        return sum(name == deployment and document.state in states for (name, _), document in documents)


def changes(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield what happened between two snapshots: a deployment's name and a short text."""
    for name, deployment in after.deployments.items():
        old = before.deployments.get(name)
        if old is None or old.observed != deployment.observed:
            yield name, f"{deployment.observed}: {plain(deployment.reason)}"
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for (name, file), document in after.documents.items():
        known = before.documents.get((name, file))
        if known is None or (document.state != known.state and document.is_final):
            why = f" ({plain(document.reason)})" if document.state == "failed" else ""
            alike[name, f"{document.state}{why}"].append(plain(file, 60))
    for (name, what), files in alike.items():
        yield name, f"{what}: {', '.join(sorted(files))}"
    gone_before = sum(row["deleted"] is not None for row in before.bill["deployments"])
    gone = [row for row in after.bill["deployments"] if row["deleted"] is not None]
    for row in sorted(gone, key=lambda row: row["deleted"])[gone_before:]:
        cost = f"${row['dollars']:.4f}"
        yield row["deployment"], f"gone, by the meter: hosted for {row['hosted_seconds']:.0f} s at {cost}"


def plain(text: str, limit: int = 200) -> str:
    """Return untrusted text as one short line that is safe to print on a terminal.

    Drops control, format (bidirectional overrides), surrogate and private characters.
    """
    visible = (" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join("".join(visible).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def answer_text(result: Mapping[str, Any]) -> str:
    """Return the answer of a stored result as one short line; of a ZIP archive, what became of it."""
    if "documents" in result:
        return f"unpacked: {len(result['documents'])} documents"
    answer = result.get("answer")
    return plain(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))


def unique_names(names: Sequence[str]) -> list[str]:
    """Return a distinct Unicode name for each file: a second upload of a name would overwrite the first."""
    taken: list[str] = []
    for given in names:
        name = given.encode(errors="replace").decode()  # on POSIX a file name may be any bytes
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{number}-{name}", number + 1
        taken.append(candidate)
    return taken
