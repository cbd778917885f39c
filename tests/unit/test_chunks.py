"""A long document is cut where its text pauses; nothing of it is lost, and a clause stays whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.chunks import MOST_OVERLAP, Chunk, chunks
from shared.documents.readers.part import Part, placed
from tests.unit.growth import grows_linearly

DAY, NIGHT = "The sun is up. " * 3, "The moon is up. " * 3
PLACES = st.sampled_from([(), ("A",), ("A", "B")])
PARTS = st.builds(
    Part,
    st.text("ab.」 \n\u3000", max_size=60) | st.sampled_from(["A", "B", "word " * 20, "a" * 90]),
    page=st.sampled_from([None, 1, 2]),
    heading=PLACES,
    sheet=st.sampled_from(["", "2026"]),
    row=st.sampled_from([None, 7]),
    inside=PLACES,
)


def texts(*parts: Part, size: int, overlap: float = 0.1) -> list[str]:
    return [chunk.text for chunk in chunks(parts, size, overlap)]


@given(st.lists(PARTS, max_size=9), st.integers(16, 90), st.floats(0, MOST_OVERLAP))
def test_nothing_is_lost(parts: list[Part], size: int, overlap: float) -> None:
    """Whatever the text: chunks are stretches of it in order, and between two of them is only white space."""
    (text, places), held, before = placed(parts), 0, -1
    assert all(text.startswith(part.text, place) for part, place in zip(parts, places, strict=True))
    for number, chunk in enumerate(chunks(parts, size, overlap)):
        assert chunk == Chunk(number, text[chunk.start : chunk.end], chunk.start, chunk.end)
        assert len(chunk.text) <= size and chunk.text.strip() == chunk.text
        assert before < chunk.start and held < chunk.end and not text[held : chunk.start].strip()
        held, before = chunk.end, chunk.start
    assert not text[held:].strip()


@given(st.lists(st.builds(Part, st.text("ab. ,", min_size=1).map(str.strip)), max_size=90))
def test_no_chunk_is_tiny(parts: list[Part]) -> None:
    """Where the text has no long gaps, each but an only one has a quarter of the size, less a gap."""
    found = texts(
        Part("word " * 13), *(part for part in parts if part.text and "  " not in part.text), size=64
    )
    assert min(map(len, found)) >= 64 // 4 - 2


def test_a_chunk_ends_with_a_section() -> None:
    """Not under a heading, and nothing is repeated there; a page's end is the next best."""
    day = (Part("Light"), Part("Day", heading=("Light",)), Part(DAY.strip(), heading=("Light", "Day")))
    night = (Part("Dark"), Part(NIGHT.strip(), heading=("Dark",)))
    whole = [f"Light\n\nDay\n\n{DAY.strip()}", f"Dark\n\n{NIGHT.strip()}"]
    assert texts(*day, *night, size=100) == texts(*day, *night, size=66) == whole
    pages = [
        Part("one " * 9, page=1),
        Part("two " * 9, page=1),
        Part("six " * 9, page=2),
        Part("x" * 60, page=2),
    ]
    assert texts(*pages, size=120, overlap=0)[0] == f"{'one ' * 9}\n\n{'two ' * 9}".strip()


def test_a_sheet_s_name_stays_with_its_rows() -> None:
    """As does an attachment's."""
    rows = [
        Part(f"{row} | {row * row}", sheet=sheet, row=row, inside=(name,))
        for name, sheet in (("a.xlsx", "1"), ("a.xlsx", "2"), ("b.xlsx", "2"))
        for row in range(1, 6)
    ]
    squares = "1 | 1\n2 | 4\n3 | 9\n4 | 16\n5 | 25"
    assert texts(*rows, size=60) == [f"a.xlsx\n\n1\n{squares}", f"2\n{squares}", f"b.xlsx\n\n2\n{squares}"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two\nthree.\n\nfour. Five.\nsix seven eight", "One. Two\nthree."),
        ("One two. Three\nfour five.\nSix\nseven eight nine ten", "One two. Three\nfour five."),
        ("One two. Three four\nfive six. Seven eight nine", "One two. Three four"),
        ("One two. Three “four.” Five six seven eight nine ten", "One two. Three “four.”"),
        ("双方应当在签署之日起三十日内完成货物。交付和" * 2, "双方应当在签署之日起三十日内完成货物。"),
        ("One two three four five six seven eight nine ten", "One two three four five six"),
        ("a" * 50, "a" * 30),
        ("Hi.\n\nOne two three four five six seven eight nine", "Hi.\n\nOne two three four five"),
    ],
)
def test_the_best_pause_is_taken(text: str, first: str) -> None:
    """A paragraph's end, a line's with a sentence's, a line's, a sentence's, a word's, any; but not early."""
    assert texts(Part(text), size=30, overlap=0)[0] == first


def test_chunks_share_some_lines() -> None:
    """About a tenth of the size, from the beginning of a sentence if there is one."""
    found = chunks([Part("".join(f"Clause {n} is kept by all. " for n in range(100, 400)))], 1000)
    shared = [one.end - two.start for one, two in pairwise(found)]
    assert len(found) == 9 and all(75 <= length <= 125 for length in shared)
    assert all(chunk.text.startswith("Clause") and chunk.text.endswith(".") for chunk in found)


@pytest.mark.parametrize("text", ["a", "\n ", ".)", "word ", "One. Two three.\n"])
def test_cutting_takes_as_long_as_the_text_is(text: str) -> None:
    """Also texts that are made to be slow."""
    assert grows_linearly(lambda size: chunks([Part(f"a{text * (size // len(text))}b")]), 1_000_000)


def test_what_cannot_be_cut() -> None:
    """No text, no chunks; a size or an overlap that would leave nothing new in a chunk is refused."""
    assert chunks([]) == chunks([Part(" \n ")]) == []
    for size, overlap in ((15, 0.1), (4000, 0.3), (4000, -0.1), (4000, float("nan"))):
        with pytest.raises(ValueError, match="cannot overlap"):
            chunks([Part("a")], size, overlap)
