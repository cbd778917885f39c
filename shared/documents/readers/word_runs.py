"""Read the runs of a Word paragraph: its text, and what it refers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from lxml import etree

from shared.documents.readers.elements import branch, first, local, number, value
from shared.documents.readers.equations import linear
from shared.documents.readers.shifted import LEVEL, LOWERED, RAISED, Shift, shifted
from shared.documents.readers.symbols import symbol
from shared.documents.readers.word_styles import Style, Styles, is_on

_SHIFTS = {"superscript": RAISED, "subscript": LOWERED}
SKIPPED = frozenset(
    {
        *("pPr", "rPr", "sdtPr", "sdtEndPr", "sectPr", "tblPr", "tblPrEx", "tblGrid", "trPr", "tcPr"),
        *("customXmlPr", "smartTagPr", "del", "moveFrom", "delText", "instrText", "delInstrText"),
    }
)
"""What is deleted, or is no text of the document."""


@dataclass
class Runs:
    """Read paragraphs one after the other, as a field may begin in one and end in another.

    See 17.16.18 of ECMA-376, part 1: a field is its instruction, and after a separator its result. The result
    alone is text: an instruction may hold fields with results of their own.
    """

    styles: Styles
    _closed: set[etree._Element] = field(default_factory=set)  # begins of fields that have an end
    _in_result: list[bool] = field(default_factory=list)  # of the fields that are open here
    _quiet: int = 0  # how many reasons there are to leave out what stands here
    _shifted: dict[etree._Element, Shift] = field(default_factory=dict)  # runs above or below the line
    _hides_some: bool = False  # whether any run may be hidden: to look at each takes long
    _hidden: bool = False  # by the paragraph's style
    _pieces: list[str] = field(default_factory=list)
    _references: list[etree._Element] = field(default_factory=list)

    def prepare(self, root: etree._Element) -> None:
        """Find the fields of a part that end, as one that does not must not swallow all that follows.

        Find superscripts and subscripts, too: to look at each run takes long.
        """
        for mark in root.iter("{*}vertAlign"):
            shift = _SHIFTS.get(value(mark, "val"), LEVEL)
            self._shifted.update(dict.fromkeys(islice(mark.iterancestors(), 1, 2), shift))
        self._hides_some |= self.styles.hide_some or next(root.iter("{*}vanish"), None) is not None
        begun = []
        for mark in root.iter("{*}fldChar"):
            if next(mark.iterancestors("{*}del", "{*}moveFrom"), None) is None:
                kind = value(mark, "fldCharType")
                if kind == "begin":
                    begun.append(mark)
                elif kind == "end" and begun:
                    self._closed.add(begun.pop())

    def read(self, paragraph: etree._Element, style: Style) -> tuple[str, list[etree._Element]]:
        """Return the text, and the elements that name or hold text which stands elsewhere, in their order."""
        self._pieces, self._references, self._hidden = [], [], bool(style.hidden)
        (self._run if local(paragraph) == "r" else self._walk)(paragraph)
        return "".join(self._pieces).strip(), self._references

    def _walk(self, parent: etree._Element) -> None:
        for element in parent:
            name = local(element)
            if name == "t":
                if not self._quiet:
                    self._pieces.append(element.text or "")
            elif name in _READ:
                _READ[name](self, element)
            elif name not in SKIPPED:
                self._walk(element)

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._pieces.append(text)

    def _refer(self, element: etree._Element) -> None:
        if not self._quiet:
            self._references.append(element)

    def _run(self, run: etree._Element) -> None:
        hidden = self._hides_some and self._hides(run)
        self._quiet += hidden
        begin = len(self._pieces)
        self._walk(run)
        if shift := self._shifted.get(run):
            self._pieces[begin:] = [shifted(piece, shift) for piece in self._pieces[begin:]]
        self._quiet -= hidden

    def _hides(self, run: etree._Element) -> bool:
        """Return whether a run is hidden: two styles that hide it show it (17.7.3), itself it decides."""
        hidden = self._hidden
        for properties in run.iterchildren("{*}rPr"):
            for entry in properties.iterchildren("{*}vanish", "{*}rStyle"):
                if local(entry) == "vanish":
                    return is_on(entry)
                hidden ^= self.styles.hides(value(entry, "val"))
        return hidden

    def _field(self, mark: etree._Element) -> None:
        kind = value(mark, "fldCharType")
        if kind == "begin":
            self._say(_form_field(mark))
            if mark in self._closed:
                self._in_result.append(False)
                self._quiet += 1
        elif self._in_result:
            self._quiet -= not self._in_result.pop()
            if kind == "separate":
                self._in_result.append(True)

    def _ruby(self, ruby: etree._Element) -> None:
        """Read the base text, then in parentheses how it is pronounced."""
        for name, before, after in (("rubyBase", "", ""), ("rt", "(", ")")):
            for part in ruby.iterchildren("{*}" + name):
                self._say(before)
                self._walk(part)
                self._say(after)

    def _drawing(self, place: etree._Element) -> None:
        """Read what is drawn, unless it is hidden; its properties hold a description."""
        properties = first(place, "docPr")
        if properties is None or value(properties, "hidden") not in ("1", "true"):
            self._walk(place)

    def _object(self, element: etree._Element) -> None:
        """Refer to a file inside; an old equation is a picture to us, like any other."""
        if not value(element, "ProgID").startswith("Equation"):
            self._refer(element)


def _form_field(begin: etree._Element) -> str:
    """Return what a form field shows that has no result: a check box, or the choice from a list."""
    data = first(begin, "ffData")
    for kind in () if data is None else data:
        if local(kind) == "checkBox":
            state = first(kind, "checked")
            state = first(kind, "default") if state is None else state
            return "☒" if state is not None and is_on(state) else "☐"
        if local(kind) == "ddList":
            result = first(kind, "result")
            chosen = 0 if result is None else number(result, "val", 0)
            return "".join(
                value(entry, "val") for entry in list(kind.iterchildren("{*}listEntry"))[chosen:][:1]
            )
    return ""


_READ: dict[str, Callable[[Runs, etree._Element], None]] = {
    "r": Runs._run,
    "fldChar": Runs._field,
    "ruby": Runs._ruby,
    "OLEObject": Runs._object,
    **dict.fromkeys(("anchor", "inline"), Runs._drawing),
    "AlternateContent": lambda runs, element: runs._walk(branch(element)),
    "oMath": lambda runs, element: runs._say(linear(element)),
    "sym": lambda runs, element: runs._say(symbol(value(element, "font"), value(element, "char"))),
    **dict.fromkeys(("tab", "ptab"), lambda runs, _: runs._say("\t")),
    **dict.fromkeys(("br", "cr"), lambda runs, _: runs._say("\n")),
    "noBreakHyphen": lambda runs, _: runs._say("-"),
    "softHyphen": lambda runs, _: None,  # shown at a line's end only
    **dict.fromkeys(("footnoteReference", "endnoteReference", "commentReference"), Runs._refer),
    **dict.fromkeys(
        ("txbxContent", "textpath", "docPr", "chart", "relIds", "subDoc", "altChunk"), Runs._refer
    ),
}
