"""Write the results of a spreadsheet as XLSX, piece by piece.

For 100,000 rows of 12 cells XlsxWriter takes 10 s of CPU time and a file on disk; this, a fifth and none.
There is one sheet without formats (ECMA-376 part 1, 18.3). All texts are inline, so nothing is a formula or
a link, and numbers stay numbers.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator

from shared.documents.records.answer_columns import AnswerColumns
from shared.documents.records.layout import Layout
from shared.documents.records.record import Outcome, Record, Scalar
from shared.model import Task

_LONGEST = 32_000  # of a cell, in units of UTF-16; Excel holds 32,767
_TOGETHER = 200  # rows
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="Results" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}
_SHEET = "xl/worksheets/sheet1.xml"
# What XML cannot hold is written as _x0000_ (18.18.88), and so is what would read like that.
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class XlsxResult:
    """Write a file: the columns of the source, those of the answers, and what is wrong."""

    end = ".xlsx"
    content_type = f"{_TYPE}.sheet"

    def __init__(self, layout: Layout, task: Task) -> None:
        self._columns = layout.columns
        self._answers = AnswerColumns(task, layout.columns)
        self._out = _Pieces()
        self._zip = zipfile.ZipFile(self._out, "w")
        self._rows = list[str]()

    def head(self) -> bytes:
        """Return the file up to its first rows."""
        for name, content in _PARTS.items():
            self._zip.writestr(_member(name), _XML + content)
        self._sheet = self._zip.open(_member(_SHEET), "w")
        self._rows.append(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>')
        self._add([*self._columns, *self._answers.names])
        return self._out.take()

    def add(self, record: Record, outcome: Outcome) -> bytes:
        """Return what is ready; empty for most rows."""
        kept = record.kept
        self._add([*map(kept.get, self._columns), *self._answers.cells(outcome)])
        return self._out.take() if len(self._rows) >= _TOGETHER and self._write() else b""

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the file."""
        self._rows.append("</sheetData></worksheet>")
        self._write()
        self._sheet.close()
        self._zip.close()
        yield self._out.take()

    def _add(self, cells: list[Scalar]) -> None:
        self._rows.append(f"<row>{''.join(map(_cell, cells))}</row>")

    def _write(self) -> bool:
        self._sheet.write("".join(self._rows).encode())
        self._rows.clear()
        return True


class _Pieces:
    """Take what is written, until it is taken away."""

    def __init__(self) -> None:
        self._pieces = list[bytes]()

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _member(name: str) -> zipfile.ZipInfo:
    """Return a member without a time: the same results are the same file."""
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_DEFLATED
    member._compresslevel = 1  # type: ignore[attr-defined]
    return member


def _cell(value: Scalar) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{value:d}</v></c>'
    if not isinstance(value, str):
        return f"<c><v>{value!r}</v></c>"
    if 2 * len(value) > _LONGEST:
        value = _cut(value)
    if not value.isprintable() or "&" in value or "<" in value or ">" in value or "_x" in value:
        value = _SPECIAL.sub(_written, value)
    return f'<c t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>'


def _cut(text: str) -> str:
    units = text.encode("utf-16-le", "replace")
    return text if len(units) <= 2 * _LONGEST else units[: 2 * _LONGEST].decode("utf-16-le", "ignore") + "…"


def _written(found: re.Match[str]) -> str:
    sign = found[0]
    return _NAMED.get(sign) or ("\N{REPLACEMENT CHARACTER}" if sign >= "\ud800" else f"_x{ord(sign):04X}_")
