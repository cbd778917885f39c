"""How the results of a file are written: what its converter found, kept beside the document."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from shared.documents.records.record import encoded
from shared.model import RecordForm


class RecordFormat(StrEnum):
    """The formats of record files. A Batch file is JSONL."""

    CSV = "csv"
    JSONL = "jsonl"
    SHEET = "sheet"


@dataclass(frozen=True)
class Layout:
    """`columns`: of a table, those that stand in its result. `delimiter`: between the cells of a CSV file."""

    form: RecordForm
    format: RecordFormat
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    def to_json(self) -> str:
        """Return it as text that `layout_from` reads."""
        return encoded(asdict(self)).decode()


def layout_from(text: str) -> Layout:
    """Return the layout that `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    found = json.loads(text)
    return Layout(
        RecordForm(found["form"]),
        RecordFormat(found["format"]),
        tuple(found["columns"]),
        found["delimiter"],
    )
