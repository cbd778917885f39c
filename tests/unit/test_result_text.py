"""What people get beside the JSON: Markdown and CSV that say what the answer says, and do nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.documents.result_tables import MOST_CHARACTERS, harmless
from shared.documents.result_text import for_people

CONTRACT = {
    "title": "Supply agreement",
    "endDate": "2027-03-31",
    "clauses": [
        {
            "name": "Liability",
            "quote": "not be liable\nfor lost profits",
            "risk": 3,
            "parties": ["Acme", "Beta"],
        },
        {"name": "Term | renewal", "quote": "renews each year", "risk": -3.5, "notice": True},
    ],
    "auto_renewal": None,
    "summary": "It ends.\n# Not a heading",
    "contact": {"first_name": "Ann", "addresses": [{"city": "Oslo", "lines": [["1 Quay"]]}, "none"]},
    "open_points": ["- price", ""],
}
EVIDENCE = [
    {"at": "/clauses/0/quote", "verified": True, "page": 3, "heading": ["Terms", "7. Liability"], "start": 9},
    {"at": "/clauses/1/quote", "verified": False},
    {"at": "/title", "verified": True, "inside": ["a.pdf"], "sheet": "S_1", "row": 4},
]
CONTRACT_MD = r"""# letter\_1.pdf

**Title:** “Supply agreement” (in a.pdf, sheet S\_1, row 4)

**End date:** 2027-03-31

**Auto renewal:** —

**Summary:** It ends.

\# Not a heading

## Clauses

| Name | Quote | Risk | Parties | Notice |
| --- | --- | --- | --- | --- |
| Liability | “not be liable for lost profits” (page 3, under Terms / 7. Liability) | 3 | Acme; Beta |  |
| Term \| renewal | “renews each year” (not found in the document) | -3.5 |  | yes |

## Contact

**First name:** Ann

### Addresses

- **1.**
  - **City:** Oslo
  - **Lines:**
    - **1.**
      - 1 Quay
- none

## Open points

- \- price
- —
"""
CONTRACT_CSV = (
    "\ufeffname,quote,quote (place),risk,parties,notice\r\n"
    'Liability,"not be liable\nfor lost profits","page 3, under Terms / 7. Liability",3,Acme; Beta,\r\n'
    "Term | renewal,renews each year,not found in the document,-3.5,,yes\r\n"
)
QUERIES = [
    {"query": "Who *signs*?", "answer": "Ann\n\nBob", "passages": {"searched": 24, "of": 40}},
    {"query": "When?", "answer": "=1+1", "passages": {"searched": "?"}},
]
QUERIES_MD = r"""# a.txt

## Who \*signs\*?

Ann

Bob

Searched 24 of 40 passages.

## When?

=1+1
"""
HOSTILE = (
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png)",
    "[x]: http://evil.example",
    "<http://evil.example>",
    "a | b\n--|--\nc | d",
    "```\n`x`\n~~~",
    "# x\n===\n---",
    "- a\n+ b\n* c\n1. d\n2) e\n> f\n    g",
    "&lt;b&gt; &#60;b>",
    "\\",
    "\\<b>\\[x](y)\\|",
    "**x** _y_ ~~z~~ $m$ {: onclick=x}",
    "\r\u2028# x\x00\x85<b>\ud800",
)
SHOWN = {"heading_open", "paragraph_open", "bullet_list_open", "list_item_open", "table_open", "inline"}
PARTS = {"thead_open", "tbody_open", "tr_open", "th_open", "td_open", "strong_open", "text", "text_special"}
texts = (
    st.sampled_from(HOSTILE) | st.text(alphabet="ab1 \n\t|`*_[]()<>#!-+=.:;&\\~\"'@", max_size=30) | st.text()
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
flat = st.lists(st.dictionaries(st.sampled_from("abc") | texts, scalars, max_size=3), max_size=3)
answers = st.recursive(
    scalars | flat, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


def files(answer: Any, evidence: Any = None, title: str = "a.txt") -> dict[str, str]:
    """Return the files by the ends of their names."""
    return {each.end: each.data.decode() for each in for_people(answer, evidence, title)}


def tokens(markdown: str) -> Iterator[Token]:
    """Everything that a program with tables and strikethrough sees in a page."""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        yield token
        yield from token.children or ()


def test_an_answer_with_a_schema_is_readable() -> None:
    """Fields with their names in words, a table, nested bullets, and quotes with their places."""
    assert files(CONTRACT, EVIDENCE, "letter_1.pdf") == {".md": CONTRACT_MD, ".csv": CONTRACT_CSV}


def test_answers_to_queries_stand_below_them() -> None:
    """And say how much was searched; together they are a table."""
    found = files(QUERIES)
    assert found[".md"] == QUERIES_MD
    assert (
        found[".csv"]
        == '\ufeffquery,answer,passages\r\nWho *signs*?,"Ann\n\nBob",24 of 40\r\nWhen?,\'=1+1,\r\n'
    )


@pytest.mark.parametrize(("answer", "text"), [("a\n", "a\n"), ("<b>\n# x", "<b>\n# x\n"), ("\ud800", "?\n")])
def test_a_text_is_stored_as_it_is(answer: str, text: str) -> None:
    """Programs read it, and nothing renders it."""
    [file] = for_people(answer, None, "a.txt")
    assert (file.end, file.content_type, file.data.decode()) == (".txt", "text/plain; charset=utf-8", text)


def test_which_tables_get_a_file() -> None:
    """The only one, wherever it is; of several those of fields, whose names may be anything."""
    rows = [{"a": 1}]
    wide = [{str(number): 1 for number in range(41)}]
    assert list(files({"x": {"y": rows}, "z": [], "w": wide})) == [".md", ".csv"]
    assert list(files(rows)) == [".md", ".csv"]
    assert list(files({"x": [rows], "y": [{"a": {}}], "z": [1, {"a": 1}]})) == [".md"]
    names = {"endDates": rows, "../é": rows, "é": rows, "x" * 99: rows, "x" * 98: rows, "in": {"x": rows}}
    ends = ["endDates", "table.2", "table.3", "x" * 20, "table.5"]
    assert list(files(names)) == [".md", *(f".{end}.csv" for end in ends)]
    assert len(files({str(number): rows for number in range(99)})) == 9


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n ", "\xa0"])
def test_a_formula_is_harmless(sign: str, before: str) -> None:
    """Also where Excel divides lines at semicolons, which ends what the comma's rules quote."""
    formula = f"{before}{sign}HYPERLINK(A1)"
    assert harmless(formula)[0] == "'"
    assert harmless(f'x;{before}"{sign}A1') in (f"x;{before}\"'{sign}A1", f"x;{before}'\"{sign}A1")
    [table] = [each for end, each in files([{formula: formula}]).items() if end == ".csv"]
    assert all(cell[0] == "'" for row in csv.reader(io.StringIO(table[1:], newline="")) for cell in row)


@pytest.mark.parametrize(
    "cell", ["-3.5", "+1", "-1,234.50", "-1e-05", "-5%", "a-b", "x; -3", "a\n-1", "", " "]
)
def test_a_plain_number_stays_as_it_is(cell: str) -> None:
    """And so does what a formula does not begin with."""
    assert harmless(cell) == cell


def test_what_begins_like_a_number_is_no_number() -> None:
    """A telephone number is a sum to a spreadsheet."""
    assert harmless("+41 79 1") == "'+41 79 1" and harmless("a;-1+A1") == "a;'-1+A1"
    assert harmless("\tx") == "'\tx"


@pytest.mark.parametrize("text", HOSTILE)
def test_an_answer_injects_nothing(text: str) -> None:
    """In a field, a name, a query, a quote, a bullet, a cell and a title."""
    evidence = [{"at": "/q", "verified": True, "heading": [text], "inside": text}]
    for answer in (
        {"q": text, text: [text, {text: [text]}]},
        [{"query": text, "answer": text}],
        [{text: text}],
    ):
        page = files(answer, evidence, text)[".md"]
        assert {token.type for token in tokens(page) if token.nesting >= 0} <= SHOWN | PARTS | {"softbreak"}
        assert "<" not in page and "://" not in page.replace("\\://", "")
    [_, heading, *_] = tokens(files({}, None, text)[".md"])
    shown = "".join(token.content for token in heading.children or ())
    expected = " ".join(text.split()).replace("\x00", "�").encode(errors="replace").decode()
    assert shown == expected or not expected


@given(answer=answers, evidence=answers, title=texts)
def test_any_value_gives_a_page_that_shows_only_text(answer: Any, evidence: Any, title: str) -> None:
    """The same each time; and each table of it has as many cells in every row."""
    places = [{"at": f"/{key}", "verified": True, "page": 1, "heading": evidence} for key in "abc01"]
    for given_evidence in (evidence, places):
        found = files(answer, given_evidence, title)
        assert found == files(answer, given_evidence, title)
        if isinstance(answer, str):
            continue
        kinds = [token.type for token in tokens(found[".md"]) if token.nesting >= 0]
        assert set(kinds) <= SHOWN | PARTS
        assert kinds.count("td_open") == sum(
            line.count(" | ") + 1 for line in found[".md"].splitlines() if line.startswith("| ")
        ) - 2 * kinds.count("th_open")


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"a": "*" * 3_000_000},
        lambda: [{"a": "x" * 90_000, "b": "=" * 9} for _ in range(100)],
        lambda: [["x"] * 1000] * 1000,
        lambda: {str(number): {"a": []} for number in range(200_000)},
    ],
    ids=["long", "wide", "high", "many"],
)
def test_the_files_are_bounded(make: Callable[[], Any]) -> None:
    """They say that they are cut."""
    for text in files(make(), [{"at": "/a" * 99, "verified": True}]).values():
        assert len(text) < MOST_CHARACTERS * 1.2 and "Cut here" in text


def test_an_answer_may_be_nested_deeply() -> None:
    """People see where it goes on."""
    answer: Any = 1
    for _ in range(50_000):
        answer = {"a": [answer]}
    assert "(see the JSON)" in files(answer, [{"at": "/a/0" * 50_000, "verified": True}])[".md"]
