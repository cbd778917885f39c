"""Read slides (PPTX and its kin).

Of each slide first its title, which is the heading of the rest; then its shapes, what its layout and master
show (once, at the first slide that has them), the speaker's notes and the comments. Left out: hidden slides
and shapes, slide numbers and dates in their placeholders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lxml import etree

from shared.documents.readers.drawing import chart, diagram, paragraph, paragraphs
from shared.documents.readers.elements import local, within
from shared.documents.readers.office_parts import OfficePart, main_part
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part, ReadInside
from shared.documents.readers.tables import row

_SHAPES = ("sp", "cxnSp", "graphicFrame", "pic", "grpSp")
_CONTENT = ("cNvPr", "p", "tr", "chart", "relIds", "oleObj")
_TITLES = ("title", "ctrTitle")
_NOISE = ("sldNum", "dt")


def read(package: Package, read_inside: ReadInside | None = None) -> Iterator[Part]:
    """Yield the paragraphs and table rows of a presentation, slide by slide; `page` is the slide's number.

    `read_inside`: for files inside; without it one part says that such a file was not read.
    """
    main = main_part(package, "presentation")
    told = set[str]()
    for slides in main.root.iterchildren("{*}sldIdLst"):
        for number, entry in enumerate(slides, 1):
            slide = main.named(entry)
            if slide is not None and slide.root.get("show") not in ("0", "false"):
                yield from _Slide(slide, number, told, read_inside).parts()


@dataclass
class _Slide:
    slide: OfficePart
    number: int
    told: set[str]  # the layouts and masters that were read
    read_inside: ReadInside | None

    def parts(self) -> Iterator[Part]:
        shapes = list(_shapes(self.slide.root))
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES), None)
        heading = () if title is None else tuple(filter(None, [_title(title)]))
        yield from (Part(text, page=self.number) for text in heading)
        for shape in shapes:
            if shape is not title:
                yield from self._placed(self._content(self.slide, shape), heading)
        yield from self._placed(self._background(), heading)
        for kind in ("notesSlide", "comments"):
            for part in self.slide.of_kind(kind):
                yield from self._placed(self._annexed(part), heading)

    def _placed(self, found: Iterator[str | Part], heading: tuple[str, ...]) -> Iterator[Part]:
        for text in found:
            if isinstance(text, Part):
                yield replace(text, page=text.page or self.number)
            elif text:
                yield Part(text, page=self.number, heading=heading)

    def _content(self, part: OfficePart, shape: etree._Element) -> Iterator[str | Part]:
        for element in within(shape, _CONTENT):
            match local(element):
                case "cNvPr":
                    yield element.get("descr", "").strip()
                case "p":
                    yield paragraph(element)
                case "tr":
                    yield row(_cell(cell) for cell in element.iterchildren("{*}tc"))
                case "oleObj":
                    yield from self._object(part, element)
                case kind:
                    yield from _drawn(part, element, kind)

    def _object(self, part: OfficePart, element: etree._Element) -> Iterator[Part]:
        """Read a file inside; an old equation is a picture to us, like any other."""
        if not element.get("progId", "").startswith("Equation"):
            yield from part.file_inside(element, self.read_inside)

    def _background(self) -> Iterator[str | Part]:
        """Read what the layout and the master show on slides: all but their placeholders."""
        part: OfficePart | None = self.slide
        for kind in ("slideLayout", "slideMaster"):
            if part is None or part.root.get("showMasterSp") in ("0", "false"):
                return
            part = next(part.of_kind(kind, but=self.told), None)
            if part is not None:
                self.told.add(part.name)
                for shape in _shapes(part.root):
                    if _placeholder(shape) is None:
                        yield from self._content(part, shape)

    def _annexed(self, part: OfficePart) -> Iterator[str | Part]:
        """Read the notes, or comments: since 2021 these are paragraphs, before they were plain text."""
        if local(part.root) == "notes":
            for shape in _shapes(part.root):
                yield from self._content(part, shape)
        else:
            for element in within(part.root, ("text", "p")):
                yield (element.text or "").strip() if local(element) == "text" else paragraph(element)


def _shapes(parent: etree._Element) -> Iterator[etree._Element]:
    for shape in within(parent, _SHAPES):
        named = next(shape.iter("{*}cNvPr"), None)
        if named is not None and named.get("hidden") in ("1", "true"):
            continue
        if local(shape) == "grpSp":
            yield from _shapes(shape)
        elif _placeholder(shape) not in _NOISE:
            yield shape


def _placeholder(shape: etree._Element) -> str | None:
    found = next(shape.iter("{*}ph"), None)
    return None if found is None else str(found.get("type", "obj"))


def _title(shape: etree._Element) -> str:
    return " ".join(" ".join(paragraphs(shape)).split())


def _cell(cell: etree._Element) -> str:
    """Return a cell's text; of merged cells only the first is shown."""
    covered = cell.get("hMerge") in ("1", "true") or cell.get("vMerge") in ("1", "true")
    return "" if covered else " ".join(paragraphs(cell))


def _drawn(part: OfficePart, element: etree._Element, kind: str) -> Iterator[str]:
    drawn = part.named(element, "id" if kind == "chart" else "dm")
    if drawn is not None:
        yield from chart(drawn.root) if kind == "chart" else diagram(drawn.root)
