"""What docs, messages and the workflow tell people to type is what the command line takes."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.doors.cli.about import ABOUT
from shared.doors.cli.main import parser

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), WORKFLOW]
SOURCES = [*sorted((ROOT / "shared").rglob("*.py")), *sorted((ROOT / "local").glob("*.py"))]
_NAMES = "|".join(ABOUT)
_LINE = re.compile(rf"python -m shared ((?:{_NAMES})\b[^\n`)]*)|`((?:{_NAMES}) [^\n`]+)`")
_ENDS = re.compile("; | > | \\| |[;,.]$")


def texts() -> Iterator[tuple[str, str]]:
    """Every page, and every text in the code, such as remedies. X: what the code puts into a text."""
    for path in FILES:
        yield path.name, path.read_text(encoding="utf-8")
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield path.name, "".join(str(getattr(part, "value", "X")) for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


def lines() -> list[tuple[str, str]]:
    """Every command with its arguments, by the file that names it."""
    found = [(file, match[1] or match[2]) for file, text in texts() for match in _LINE.finditer(text)]
    return sorted({(file, _ENDS.split(line)[0].replace("DATE", "2026-11-22")) for file, line in found})


@pytest.mark.parametrize(("file", "line"), lines())
def test_a_command_that_people_are_told_to_type_is_taken(file: str, line: str) -> None:
    """With its arguments, as it stands there: argparse would end with 2."""
    parser().parse_args(shlex.split(line))


def test_the_docs_show_every_command() -> None:
    """And no test passes because none was found."""
    shown = {shlex.split(line)[0] for file, line in lines() if file == "commands.md"}
    assert shown == set(commands())
    assert {"accounts.py", "recreation.py"} <= {file for file, _ in lines()}, "remedies are looked at, too"


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = parser()._subparsers
    assert actions is not None
    return dict(actions._group_actions[0].choices or {})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", commands())
def test_the_help_of_a_command_has_an_example_that_is_taken(name: str) -> None:
    """It says what the command does, on lines that fit a terminal."""
    text = commands()[name].format_help()
    assert max(map(len, text.splitlines())) <= 100
    description = commands()[name].description
    assert description and len(description.split(". ")) > 1
    example = text.partition("\nexample:\n")[2].splitlines()[0].partition("shared ")[2]
    parser().parse_args(shlex.split(example))
    assert shlex.split(example)[0] == name


def test_the_workflow_has_no_secrets_and_no_more_rights_than_it_needs() -> None:
    """It reads the repository; to ask for Azure's token is for the jobs that sign in."""
    text = WORKFLOW.read_text(encoding="utf-8")
    workflow: dict[str, Any] = yaml.safe_load(text)
    assert "secrets" not in text.replace("No secrets", "")
    assert workflow["permissions"] == {"contents": "read"}
    sign_in = {name for name, job in workflow["jobs"].items() if "id-token" in job.get("permissions", {})}
    assert sign_in == {"change", "deploy"}
    assert workflow["jobs"]["deploy"]["environment"] == "production"
    assert workflow["jobs"]["deploy"]["needs"] == "change"
    assert workflow["jobs"]["change"]["needs"] == "test"
