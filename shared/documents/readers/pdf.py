"""Read PDF files with pdfium, which is native code: in the reader's child only."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

import pypdfium2
from pypdfium2 import raw

from shared.documents.readers.part import Part
from shared.errors import DocumentRefused

_PAGES = 5000  # a file may show one page as often as it likes
_DAMAGED = "the file is damaged: open it, and print or save it as a PDF again"
_OPENING = {
    raw.FPDF_ERR_PASSWORD: "the file is protected by a password: save it without one",
    raw.FPDF_ERR_SECURITY: "the file's encryption is not supported: print it as a PDF without protection",
}
_COPYING = 1 << 4  # the permission's bit (ISO 32000, table 22)
_OCR = "run text recognition (OCR) and upload the result"

_PICTURE = "pictures without text"
_LETTERS = "letters that the file does not identify"
_FEW = 100  # characters: a stamp over a scan, such as an envelope's number, but no page of text
_SAMPLE = 200  # characters of a page whose letters are checked
_OBJECTS = 5000  # of a page that are looked at
_DRAWN = 50  # paths that may be letters drawn as curves
_ATTACHMENTS = 100

_LINEARIZED = re.compile(rb"/Linearized\b[^>]*?/L\s+(\d+)")
_OBJECT, _SLACK = 2048, 64  # bytes: the first object, and what may get lost at the end
_HYPHEN = re.compile("(?<=([^\\W\\d_]))[\x02\ufffe](?=([^\\W\\d_]))")  # pdfium's mark for one at a line's end
_SPACE = re.compile(r"[ \t]*\n\s*")
_CHARACTERS = {
    **dict.fromkeys([*range(9), 11, *range(14, 32), 127, 0xFFFE, 0xFFFF]),
    0x0C: "\n",
    0xAD: "-",  # in a PDF a soft hyphen is drawn
    **dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)),
}
_MARKS = {
    raw.FPDF_ANNOT_HIGHLIGHT,
    raw.FPDF_ANNOT_UNDERLINE,
    raw.FPDF_ANNOT_SQUIGGLY,
    raw.FPDF_ANNOT_STRIKEOUT,
}  # programs write the marked text into these
_NO_COMMENTS = {raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_POPUP}


def read(data: bytes) -> Iterator[Part]:
    """Give a part a page, then those of its filled-in form fields and of its comments.

    A page whose text cannot be read gives a part that says so. Raises DocumentRefused if none can.
    """
    with _refused(), closing(_opened(data)) as document:
        yield from _Pages(document).read()


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except DocumentRefused:
        raise
    except MemoryError:
        raise DocumentRefused("the file needs more memory than the app has: split it") from None
    except Exception:  # of pdfium's wrapper: they tell no more than that
        raise DocumentRefused(_DAMAGED) from None


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    _check_whole(data)
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        code = error.err_code if b"/Encrypt" in data else None  # pdfium may give that of the file before
        raise DocumentRefused(_OPENING.get(code, _DAMAGED)) from None
    try:
        _check(document)
    except BaseException:
        document.close()
        raise
    return document


def _check_whole(data: bytes) -> None:
    """Refuse a file whose end is missing: pdfium would repair it and give the pages that are there."""
    declared = _LINEARIZED.search(data, 0, _OBJECT)  # a file that may be shown while it loads
    ends = b"startxref" in data or b"%%EOF" in data
    if not ends or (declared and int(declared[1][:10]) > len(data) + _SLACK):
        raise DocumentRefused("the file ends too early: upload it again")


def _check(document: pypdfium2.PdfDocument) -> None:
    if not raw.FPDF_GetDocPermissions(document) & _COPYING:
        raise DocumentRefused("the file is protected: its owner forbids copying its text, and may lift that")
    if len(document) > _PAGES:
        raise DocumentRefused(f"the file has {len(document):,} pages, more than {_PAGES:,}: split it")
    form = document.get_formtype()
    if form == raw.FORMTYPE_XFA_FULL:
        raise DocumentRefused("the file is a form that only Adobe's programs show (XFA): print it as a PDF")
    if form != raw.FORMTYPE_NONE:
        document.init_forms()


class _Pages:
    """The pages of one document, and what of them concerns the whole."""

    def __init__(self, document: pypdfium2.PdfDocument) -> None:
        self._document = document
        self._fields: set[str] = set()  # read already: a field may stand on every page
        self._stamps: set[str] = set()  # the text over unreadable pages, without its digits
        self._readable = False
        self._reason = ""

    def read(self) -> Iterator[Part]:
        for number in range(1, len(self._document) + 1):
            with closing(self._document[number - 1]) as page:
                for text in self._texts(page, number):
                    yield Part(text, page=number)
        self._check_readable()
        for number in range(min(self._document.count_attachments(), _ATTACHMENTS)):
            name = _clean(self._document.get_attachment(number).get_name())
            yield Part(f"[The document holds the file {name} here. It was not read.]")

    def _texts(self, page: pypdfium2.PdfPage, number: int) -> Iterator[str]:
        text, reason = _text(page)
        if text:
            yield text
        if reason:
            yield f"[Page {number} holds {reason}. They were not read.]"
        self._note(text, reason)
        comments = []
        for annotation in _annotations(page):
            field = _field(self._document.formenv, annotation)
            if field and field not in self._fields:
                self._fields.add(field)
                yield field
            comments.append(_comment(annotation, text))
        yield from filter(None, comments)

    def _note(self, text: str, reason: str) -> None:
        if reason:
            self._reason = reason
            self._stamps.add(re.sub(r"\d+", "", text))
        elif text:
            self._readable = True

    def _check_readable(self) -> None:
        """Refuse scans, also those with the same stamp on each page; a single page of few words is read."""
        stamps = self._stamps - {""}
        scans = not stamps or (len(stamps) == 1 and len(self._document) > 1)
        if self._reason and not self._readable and scans:
            raise DocumentRefused(f"its pages hold {self._reason}: {_OCR}")


# --- the page itself ----------------------------------------------------------------------------


def _text(page: pypdfium2.PdfPage) -> tuple[str, str]:
    """Return the text within the page's borders, and what on it cannot be read."""
    with closing(page.get_textpage()) as textpage:
        text = _clean(textpage.get_text_bounded())
        if _garbled(textpage, text):
            return "", _LETTERS
    return text, _PICTURE if len(text) < _FEW and _drawn(page, text) else ""


def _garbled(textpage: pypdfium2.PdfTextPage, text: str) -> bool:
    """Whether the letters of most fonts have no codes: pdfium then gives glyphs' numbers as letters."""
    count = textpage.count_chars()
    sample = range(0, count, max(1, count // _SAMPLE))
    unknown = sum(raw.FPDFText_HasUnicodeMapError(textpage, index) == 1 for index in sample)
    small = sum(map(str.islower, text))  # old fonts of TeX have no codes either, but the right letters
    return bool(unknown * 2 > len(sample)) and small * 2 < sum(map(str.isalpha, text)) + 1


def _drawn(page: pypdfium2.PdfPage, text: str) -> bool:
    """Whether a picture, or letters drawn as curves, hold more than the text does."""
    paths = area = 0.0
    for item in islice(page.get_objects(max_depth=3), _OBJECTS):
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            area += abs((right - left) * (top - bottom))
        paths += item.type == raw.FPDF_PAGEOBJ_PATH
    if text:
        return bool(area * 2 > page.get_width() * page.get_height())
    return area > 0 or paths >= _DRAWN


def _clean(text: str) -> str:
    """Join words that were divided at the end of a line; leave out control characters and empty lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HYPHEN.sub(lambda found: "" if found[2].islower() else "-", text).translate(_CHARACTERS)
    return _SPACE.sub("\n", text).strip()


# --- what is laid over it -----------------------------------------------------------------------


def _annotations(page: pypdfium2.PdfPage) -> Iterator[Any]:
    """Give the handles of those that people see; each is valid until the next."""
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if not raw.FPDFAnnot_GetFlags(annotation) & raw.FPDF_ANNOT_FLAG_HIDDEN:
                yield annotation
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _field(form: pypdfium2.PdfFormEnv | None, annotation: Any) -> str:
    """Return a form field's name and value; empty for a field that is not filled in."""
    if form is None or raw.FPDFAnnot_GetSubtype(annotation) != raw.FPDF_ANNOT_WIDGET:
        return ""
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    checked = raw.FPDFAnnot_IsChecked(form, annotation) == 1
    value = ""
    if kind == raw.FPDF_FORMFIELD_CHECKBOX:
        value = "checked" if checked else "not checked"
    elif kind == raw.FPDF_FORMFIELD_RADIOBUTTON and checked:
        value = _string(raw.FPDFAnnot_GetFormFieldExportValue, form, annotation)
    elif kind in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
        value = _string(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
    name = _string(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _string(raw.FPDFAnnot_GetFormFieldName, form, annotation)
    return f"{name}: {value}" if name and value else value


def _comment(annotation: Any, text: str) -> str:
    """Return what somebody wrote onto the page, or to its text."""
    kind = raw.FPDFAnnot_GetSubtype(annotation)
    content = _string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
    if kind in _NO_COMMENTS or not content or (kind in _MARKS and content in text):
        return ""
    author = _string(raw.FPDFAnnot_GetStringValue, annotation, b"T")
    if kind == raw.FPDF_ANNOT_FREETEXT:
        return content
    return f"Comment by {author}: {content}" if author else f"Comment: {content}"


def _string(function: Callable[..., int], *arguments: Any) -> str:
    """Call a function of pdfium that fills a buffer with UTF-16 up to a zero."""
    size = function(*arguments, None, 0)
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    function(*arguments, buffer, size)
    return _clean(bytes(buffer)[: max(0, size - 2)].decode("utf-16-le", "ignore"))
