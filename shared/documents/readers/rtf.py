"""Read rich text (RTF): headers and footers once, paragraphs, and the rows of tables.

Footnotes, comments and text boxes follow the paragraph or row that refers to them. Left out: deleted and
hidden text, pictures, and instructions of fields, whose results are read. Not by striprtf: it reads what is
deleted or hidden, leaves out notes and text boxes, and takes quadratic time for a table of fonts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from shared.documents.readers.charset import codec_of_page
from shared.documents.readers.outline import Outline
from shared.documents.readers.part import Part
from shared.documents.readers.rtf_words import CHARACTERS, CHARSETS, CODECS, KEPT, SKIPPED, STORIES, SYMBOLS
from shared.documents.readers.shifted import LEVEL, LOWERED, RAISED, Shift, shifted
from shared.documents.readers.tables import row
from shared.errors import DocumentRefused

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)|[\r\n]+",
    re.DOTALL,
)
_SURROGATES = re.compile("[\ud800-\udfff]+")
_DEPTH = 1000  # groups inside of groups
_LEVELS = 9  # of headings


def read(data: bytes) -> Iterator[Part]:
    """Yield the text. Raises DocumentRefused for one that is damaged, without text, or nested too deeply."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise DocumentRefused("the file is damaged: open it in a word processor and save it again")
    parts = _Reader(data).parts
    if not parts:
        raise DocumentRefused("the file holds no text: run text recognition (OCR) on it, or upload its text")
    yield from parts


@dataclass
class _Story:
    """The document, or a note, text box, header or footer in it."""

    parts: list[Part] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)  # of the paragraph that is being read
    cells: list[str] = field(default_factory=list)  # of the row that is being read
    following: list[Part] = field(default_factory=list)  # what the paragraph or row refers to
    is_margin: bool = False


@dataclass(frozen=True)
class _State:
    """What a group inherits, and its end restores."""

    story: _Story
    skipped: bool = False
    hidden: bool = False
    deleted: bool = False
    in_fonts: bool = False
    in_table: bool = False
    level: int | None = None  # of a heading, from 0
    font: int | None = None
    shift: Shift = field(default_factory=dict)  # of superscripts and subscripts
    after_unicode: int = 1  # characters to skip after one in Unicode: its replacement for old programs


class _Reader:
    def __init__(self, data: bytes) -> None:
        document = _Story()
        self._state = _State(document)
        self._stack = list[_State]()
        self._outline = Outline()
        self._codec = "cp1252"
        self._fonts = dict[int, str]()
        self._default_font: int | None = None
        self._raw = bytearray()  # text that is not decoded yet: its characters may have several bytes
        self._to_skip = 0
        self._starred = False
        self._margins = set[str]()
        self._read(data)
        while self._stack:  # the file is cut off
            self._end_group()
        self._end_story(document)
        self.parts = document.parts

    def _read(self, data: bytes) -> None:
        at = 0
        while token := _TOKEN.search(data, at):
            at = token.end()
            word, number, code, symbol, brace, text = token.groups()
            if text is not None:
                self._add_raw(text)
            elif code is not None:
                self._add_raw(bytes([int(code, 16)]))
            elif symbol is not None:
                self._symbol(symbol)
            elif brace == b"{":
                self._begin_group()
            elif brace is not None:
                self._end_group()
                if not self._stack:
                    return
            elif word == b"bin":
                at += max(0, int(number or 0))
            elif word is not None:
                self._word(word.decode(), None if number is None else int(number))

    def _add_raw(self, text: bytes) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        if not self._is_silent():
            self._raw += text[skipped:]

    def _add(self, text: str) -> None:
        if not self._is_silent():
            self._state.story.pieces.append(shifted(text, self._state.shift))

    def _is_silent(self) -> bool:
        state = self._state
        return state.skipped or state.hidden or state.deleted or state.in_fonts

    def _decode(self) -> None:
        """Decode the text so far: what follows may have another font, and so another encoding."""
        if self._raw:
            font = self._default_font if self._state.font is None else self._state.font
            name = self._fonts.get(-1 if font is None else font, self._codec)
            text = self._raw.decode(name, "replace")
            self._state.story.pieces.append(shifted(text, self._state.shift))
            self._raw.clear()

    def _symbol(self, symbol: bytes) -> None:
        if symbol in b"\\{}":
            self._add_raw(symbol)
            return
        self._decode()
        self._to_skip = 0
        if symbol == b"*":
            self._starred = True
        elif symbol in b"\r\n":
            self._end_line()
        else:
            self._add(SYMBOLS.get(symbol, ""))

    def _begin_group(self) -> None:
        self._decode()
        self._to_skip, self._starred = 0, False
        if len(self._stack) >= _DEPTH:
            raise DocumentRefused(
                "the file is nested too deeply: open it in a word processor and save it again"
            )
        self._stack.append(self._state)

    def _end_group(self) -> None:
        self._decode()
        self._to_skip, self._starred = 0, False
        if self._stack:
            ended, self._state = self._state.story, self._stack.pop()
            if ended is not self._state.story:
                self._end_story(ended)
                around = self._state.story
                place = around.parts if ended.is_margin else around.following
                place += self._unless_told(ended)

    def _word(self, word: str, number: int | None) -> None:
        self._decode()
        self._to_skip = 0
        starred, self._starred = self._starred, False
        if word in STORIES:
            if not self._state.skipped:
                self._set(story=_Story(is_margin=STORIES[word]), in_table=False, level=None)
        elif word in SKIPPED or (starred and word not in KEPT):
            self._set(skipped=True)
        elif word in CHARACTERS:
            self._add(CHARACTERS[word])
        elif word in CODECS:
            self._codec = CODECS[word]
        elif word in _WORDS:
            _WORDS[word](self, number)

    def _set(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]

    def _unicode(self, number: int | None) -> None:
        number = (number or 0) + (0x10000 if (number or 0) < 0 else 0)
        if 0 < number <= 0x10FFFF:
            self._add(chr(number))
        self._to_skip = self._state.after_unicode

    def _use_page(self, number: int | None) -> None:
        self._codec = codec_of_page(number or 0) or self._codec

    def _use_font(self, number: int | None) -> None:
        self._set(font=number)

    def _set_default_font(self, number: int | None) -> None:
        self._default_font = number

    def _font_codec(self, name: str | None) -> None:
        if self._state.in_fonts and self._state.font is not None and name:
            self._fonts[self._state.font] = name

    def _begin_paragraph_format(self, _: int | None) -> None:
        self._set(in_table=False, level=None)

    def _begin_character_format(self, _: int | None) -> None:
        self._set(hidden=False, deleted=False, font=None, shift=LEVEL)

    def _end_line(self, _: int | None = None) -> None:
        """End a paragraph; in a table, a line of a cell."""
        story = self._state.story
        if self._is_silent():
            return
        if self._state.in_table:
            story.pieces.append("\n")
        else:
            self._end_row()
            self._end_paragraph(story)

    def _end_cell(self, _: int | None = None) -> None:
        if not self._is_silent():
            story = self._state.story
            story.cells.append(_joined(story.pieces))
            story.pieces = []

    def _end_row_text(self, _: int | None) -> None:
        if not self._is_silent():
            self._end_cell()
            self._end_row()

    def _end_row(self) -> None:
        story = self._state.story
        if story.cells:
            self._emit(story, row(story.cells), None)
            story.cells = []

    def _end_paragraph(self, story: _Story) -> None:
        text, story.pieces = _joined(story.pieces), []
        self._emit(story, text, self._state.level)

    def _emit(self, story: _Story, text: str, level: int | None) -> None:
        path = self._outline.path
        if text and level is not None and level < _LEVELS:
            self._outline.enter(level, " ".join(text.split()))
            path = self._outline.path[:-1]
        story.parts += [Part(text, heading=path)] if text else []
        story.parts += story.following
        story.following = []

    def _end_story(self, story: _Story) -> None:
        if story.cells:
            story.cells.append(_joined(story.pieces))
            story.pieces = [row(story.cells)]
        self._end_paragraph(story)

    def _unless_told(self, story: _Story) -> list[Part]:
        """Return its parts. Sections repeat their headers and footers: these are read once."""
        text = "\n".join(part.text for part in story.parts)
        if story.is_margin and text in self._margins:
            return []
        self._margins.add(text)
        return story.parts


def _joined(pieces: list[str]) -> str:
    text = "".join(pieces).replace("\0", "")
    text = _SURROGATES.sub(lambda half: _whole(half[0]), text)
    return "\n".join(line.strip() for line in text.split("\n")).strip()


def _whole(halves: str) -> str:
    """Join the two characters that RTF writes for one beyond U+FFFF."""
    return halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_WORDS: dict[str, Callable[[_Reader, int | None], None]] = {
    "u": _Reader._unicode,
    "uc": lambda reader, number: reader._set(after_unicode=min(max(number or 0, 0), 100)),
    "ansicpg": _Reader._use_page,
    "f": _Reader._use_font,
    "deff": _Reader._set_default_font,
    "fonttbl": lambda reader, _: reader._set(in_fonts=True),
    "fcharset": lambda reader, number: reader._font_codec(CHARSETS.get(number or 0)),
    "cpg": lambda reader, number: reader._font_codec(codec_of_page(number or 0)),
    "v": lambda reader, number: reader._set(hidden=number != 0),
    "deleted": lambda reader, number: reader._set(deleted=number != 0),
    "super": lambda reader, number: reader._set(shift=LEVEL if number == 0 else RAISED),
    "sub": lambda reader, number: reader._set(shift=LEVEL if number == 0 else LOWERED),
    "nosupersub": lambda reader, _: reader._set(shift=LEVEL),
    "plain": _Reader._begin_character_format,
    "pard": _Reader._begin_paragraph_format,
    "intbl": lambda reader, _: reader._set(in_table=True),
    "outlinelevel": lambda reader, number: reader._set(level=number or 0),
    "par": _Reader._end_line,
    "sect": _Reader._end_line,
    "page": _Reader._end_line,
    "column": _Reader._end_line,
    "cell": _Reader._end_cell,
    "row": _Reader._end_row_text,
}
