"""HTML → parts: what a browser shows, once and in order."""

from __future__ import annotations

import random

import pytest

from shared.documents.readers.part import Part
from shared.documents.readers.web import read
from shared.errors import DocumentRefused


def texts(page: str) -> list[str]:
    """The text of each part."""
    return [part.text for part in read(page.encode())]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>one<p>two <b>bold</b>, <i>it</i>alic", ["one", "two bold, italic"]),
        ("<div>around<div>inner</div>after</div>", ["around", "inner", "after"]),
        ("<p>Hauptstr. 5<br>20095\n  Hamburg", ["Hauptstr. 5\n20095 Hamburg"]),
        ("<pre>a = 1\n\n  b =  2\n</pre>", ["a = 1\n\n  b =  2"]),
        ("<p>5&nbsp;&euro; &lt;b&gt; M&uuml;ller", ["5 € <b> Müller"]),
        ('<a href="https://example.com/x">our terms</a><a href="y">Help</a>', ["our terms Help"]),
        ('<p>See <img src="a.png" alt="the  plan"><img alt="">.', ["See the plan ."]),
        (
            '<ul><li>tea<li>milk</ul><ol start="3"><li><p>pay<li value="7">call',
            ["tea", "milk", "3. pay", "7. call"],
        ),
        ('<ol><li>one<ol type="a"><li>in it</ol><li>two', ["1. one", "a. in it", "2. two"]),
        ('<ol style="list-style: upper-roman" start=4><li>x</ol><ol type=I><li>y', ["IV. x", "I. y"]),
        ('<ol style="list-style-type:none" type=a><li>x</ol><ol type=A start=27><li>y', ["x", "AA. y"]),
        ("<select><option>red<option>blue</select><textarea> a\n b</textarea>", ["red", "blue", "a\n b"]),
        (
            "Name: <input value='Ann'><input type=hidden value=x><input type=submit value=Go>",
            ["Name: Ann Go"],
        ),
        ("<input type=checkbox checked>Yes <input type=Checkbox value=n>No", ["☒ Yes ☐ No"]),
        ("a<dialog>closed</dialog><dialog open>open</dialog>", ["a", "open"]),
        ("a <video>Your browser is old</video><datalist><option>x</datalist>b", ["a b"]),
        (
            "10<sup>6</sup> m<sup>2<sub>1</sub>3</sup>4, see<sup><a>[1]</a></sup>, 1<sup>st",
            ["10⁶ m²₁³4, see[¹], 1st"],
        ),
        ("&#8203;&nbsp;<p>&zwnj;&nbsp;&zwnj;<p>text", ["text"]),
        ("<html><body></body></html>", []),
    ],
)
def test_blocks_are_parts(page: str, expected: list[str]) -> None:
    """White space folds as a browser folds it; a numbered item has the number that people refer to."""
    assert texts(page) == expected


def test_a_part_names_the_headings_above_it() -> None:
    """A heading ends those of its level and below; one of another level may be left out."""
    page = (
        "<h1>Terms</h1><p>a<h2>Price</h2><p>b<h4>VAT</h4><p>c<h2>Delivery<br>times</h2><p>d<h1>Annex</h1><p>e"
    )
    assert [(part.text, part.heading) for part in read(page.encode())] == [
        ("Terms", ()),
        ("a", ("Terms",)),
        ("Price", ("Terms",)),
        ("b", ("Terms", "Price")),
        ("VAT", ("Terms", "Price")),
        ("c", ("Terms", "Price", "VAT")),
        ("Delivery\ntimes", ("Terms",)),
        ("d", ("Terms", "Delivery times")),
        ("Annex", ()),
        ("e", ("Annex",)),
    ]


@pytest.mark.parametrize(
    ("title", "expected"), [("Offer 12", ["Offer 12", "Our offer"]), (" our\n OFFER ", ["Our offer"])]
)
def test_the_title_is_read_unless_the_first_heading_repeats_it(title: str, expected: list[str]) -> None:
    """It is often the only place of a name or a date."""
    assert texts(f"<head><title>{title}</title></head><h1>Our offer</h1>") == expected


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("<tr><th>Item<th>Price<tr><td>Pump<td>5 €", ["Item | Price", "Pump | 5 €"]),
        ("<caption>Prices</caption><tr><td>a<td><td>c<tr><td><td>b<td>", ["Prices", "a |  | c", "| b"]),
        ("<tr><td>a<p>b</p>c<br>d<td>e", ["a b c d | e"]),
        ("<tr><td>out<table><tr><td>in<td>it</table><td>side", ["out in it | side"]),
        ("<tr><td><h2>Layout</h2><p>one<table><tr><td>a<td>b</table>", ["Layout", "one", "a | b"]),
        ("<tr><td>a<td>b</td>after<tr><td>c<td>d", ["a | b | after", "c | d"]),
        ("<tr><td hidden>secret<td>a<td>b", ["a | b"]),
        (
            "<tr><td rowspan=2>a<td colspan=2>b<td>c<tr><td>d<td>e<tr><td>f<td>g",
            ["a | b |  | c", "| d | e", "f | g"],
        ),
        ("<tr><td rowspan=0>a<td>b<tr><td>c<tr><td>d<tbody><tr><td>e<td>f", ["a | b", "| c", "| d", "e | f"]),
        ("<tr><td colspan=999999999>a<td>b<tr><td colspan=0>c<td rowspan=-1>d", ["a | b", "c | d"]),
        (
            "<tr><td colspan=999999>a<td>b<tr><td rowspan=999999>c<td>d<tr><td>e",
            [f"a{' | ' * 999} | b", "c | d", "| e"],
        ),
    ],
)
def test_a_row_is_a_part(table: str, rows: list[str]) -> None:
    """A table inside of a cell is in its row, once; a table of single cells only arranges blocks."""
    assert texts(f"<table>{table}</table>") == rows


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>secret()</script>",
        "<style>secret</style>",
        "<template><p>secret</template>",
        "<!-- secret -->",
        "<span hidden>secret</span>",
        '<div style="color: red; DISPLAY : none"><p>secret</div>',
        '<span style="visibility:hidden">secret</span>',
        "<noscript><p>secret</noscript>",
        "<svg><title>secret</title></svg>",
    ],
)
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    """A model must not be told by a page what its readers do not see. The text around it stays whole."""
    assert "".join(texts(f"<p>vis{hidden}ible")) == "visible"


def test_a_page_that_needs_scripts_gives_what_it_says_without_them() -> None:
    """Its text is no duplicate then."""
    assert texts("<div id=app></div><noscript>Invoice 7 is paid.</noscript>") == ["Invoice 7 is paid."]


@pytest.mark.parametrize("element", ["div", "b", "blockquote", "table><tr><td"])
def test_deep_nesting_is_read_or_refused_but_never_lost(element: str) -> None:
    """Beyond 256 levels by default, and 2,048 at most, libxml2 returns an empty page and no error."""
    assert texts(f"<p>before</p>{f'<{element}>' * 300}deep") == ["before", "deep"]
    with pytest.raises(DocumentRefused, match="nested too deeply"):
        texts(f"<p>before</p>{f'<{element}>' * 500_000}deep")


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8-sig", "iso-8859-1"),  # the mark decides
        ("utf-16", ""),
        ("utf-8", ""),
        ("utf-8", "iso-8859-1"),  # a wrong name
        ("utf-8", "utf-16"),
        ("utf-8", "zip"),
        ("cp1252", "ISO-8859-1"),
        ("cp1252", ""),  # detected from its content
        ("cp1250", "windows-1250"),
    ],
)
def test_the_encoding_is_the_one_in_which_the_page_is_a_text(encoding: str, named: str) -> None:
    """A mark, the page's own words, UTF-8 and the content are asked in this order."""
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={named}">' if named else ""
    page = f"<html><head>{meta}</head><p>Für Größe und Qualität: Müller, Königsallee 5</html>"
    assert [part.text for part in read(page.encode(encoding))] == [
        "Für Größe und Qualität: Müller, Königsallee 5"
    ]


def test_damaged_pages_are_read_or_refused() -> None:
    """Whatever the bytes are; and every part is a text."""
    page = (
        "<!doctype html><html><head><meta charset=utf-8><title>Größe</title></head><body><h1>A</h1><ol><li>b"
        "<table><tr><td>c<td>d<table><tr><td>e</table></table><pre>f\n g</pre><h2>h</h2><img alt=i></html>"
    ).encode()
    noise = random.Random(5)
    for _ in range(300):
        data = bytearray(page)
        for _ in range(noise.randint(1, 8)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        try:
            parts = list(read(bytes(data[: noise.randint(1, len(data))])))
        except DocumentRefused as refusal:
            assert str(refusal)
        else:
            assert all(isinstance(part, Part) and part.text == part.text.strip() != "" for part in parts)
