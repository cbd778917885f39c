"""The README and docs/: links lead somewhere, paths exist, and the table of steps names what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCED = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:shared|local|tests|infra|bench|tasks|samples|docs)/[\w./-]*)`")
_NAME = re.compile(r"`([\w.]+)`")


def text_of(page: Path) -> str:
    """A page without its examples."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """Those within the repository; other sites are not asked."""
    links = [link for link in _LINK.findall(text_of(page)) if "://" not in link]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_path_in_the_docs_exists(page: Path) -> None:
    """A file that moves takes its name in the docs along."""
    assert [path for path in _PATH.findall(text_of(page)) if not (ROOT / path).exists()] == []


def test_the_table_of_steps_names_what_the_code_has() -> None:
    """Every function and class stands in the file of its row."""
    rows = [line.strip("|").split("|") for line in text_of(ROOT / "docs" / "design.md").splitlines()]
    steps = [row for row in rows if len(row) == 3 and ".py`" in row[2]]
    assert len(steps) > 10
    for _, names, files in steps:
        (path,) = re.findall(r"`([\w/]+\.py)`", files)
        source = (ROOT / path).read_text(encoding="utf-8")
        for name in _NAME.findall(names):
            for part in name.split("."):
                assert re.search(rf"^ *(?:async )?(?:def|class) {part}\b", source, re.MULTILINE), (name, path)


def test_the_index_names_every_page() -> None:
    """A newcomer finds each by its question."""
    index = text_of(ROOT / "docs" / "README.md")
    assert [
        page.name for page in PAGES[1:] if page.name != "README.md" and f"({page.name}" not in index
    ] == []


def test_the_readme_is_short() -> None:
    """Two pages; what is longer belongs into docs/."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
