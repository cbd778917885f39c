"""The import rules of the layout, held for the code as it is and tried on small sources."""

from __future__ import annotations

import ast
import functools
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUR_OWN = {"shared", "local", "tests", "bench", "dev", "function_app"}

VOCABULARY = {"shared.domain", "shared.errors"}
PORTS = {*VOCABULARY, "shared.alerts", "shared.ports"}
CONTROL_LOOP = {*PORTS, "shared.rows", "shared.planning", "shared.inference"}
DOCUMENTS = {
    *CONTROL_LOOP,
    *(f"shared.hosting.{name}" for name in ("answering", "leases", "ledger", "probe")),
    "shared.waiting",
}

# Which of our own modules and packages each module or package may import. What is not here has no rule yet.
MAY_IMPORT: dict[str, set[str]] = {
    "shared.__init__": set(),
    "shared.domain": set(),
    "shared.errors": set(),
    "shared.alerts": set(),
    "shared.bindings": set(),
    "shared.named_blob": set(),
    "shared.ports": VOCABULARY,
    "shared.rows": {*VOCABULARY, "shared.ports"},
    "shared.waiting": {*VOCABULARY, "shared.ports"},
    "shared.storage_clock": {*VOCABULARY, "shared.ports"},
    "shared.planning": {*VOCABULARY, "shared.planning"},
    "shared.inference": {*PORTS, "shared.inference"},
    "shared.hosting": {*CONTROL_LOOP, "shared.hosting"},
    "shared.documents": {*DOCUMENTS, "shared.documents"},
    "shared.adapters": {*PORTS, "shared.adapters"},
    "shared.answer_schema": set(),
    "shared.task_files": {"shared.answer_schema"},
    "shared.windows_zones": set(),
    "shared.zone_names": {"shared.windows_zones"},
    "shared.scalars": {"shared.planning", "shared.task_files", "shared.zone_names"},
    "shared.configuration": {*VOCABULARY, "shared.planning", "shared.scalars"},
    "shared.settings_indentation": {*VOCABULARY, "shared.configuration"},
    "shared.settings_mistakes": {*VOCABULARY, "shared.configuration", "shared.settings_indentation"},
    "shared.settings": {
        *VOCABULARY,
        *("shared.planning", "shared.configuration"),
        *("shared.settings_indentation", "shared.settings_mistakes"),
    },
    "shared.settings_warnings": {
        *VOCABULARY,
        *("shared.planning", "shared.answer_schema", "shared.zone_names"),
    },
    "shared.flow": {*DOCUMENTS, "shared.hosting", "shared.documents"},
    "shared.explain": {
        *VOCABULARY,
        *("shared.planning", "shared.hosting.ledger", "shared.documents.backlog", "shared.flow"),
    },
    "shared.explain_documents": {
        *VOCABULARY,
        *("shared.planning", "shared.documents", "shared.explain", "shared.flow"),
    },
    "shared.inputs": {"shared.scalars"},
    "shared.http_body": set(),
    "shared.holds": {*VOCABULARY, "shared.planning", "shared.flow", "shared.inputs"},
    "shared.preview": {*VOCABULARY, "shared.planning", "shared.explain", "shared.flow"},
    "shared.api": {
        *VOCABULARY,
        *(f"shared.{name}" for name in ("documents", "explain", "explain_documents", "flow", "holds")),
        *("shared.preview", "shared.inputs", "shared.http_body"),
    },
    "shared.settings_blob": {*PORTS, "shared.settings"},
    "shared.doctor": {
        *DOCUMENTS,
        *(f"shared.{name}" for name in ("bindings", "documents", "flow", "hosting", "doctor")),
    },
    "shared.commands": {
        *CONTROL_LOOP,
        *(f"shared.{name}" for name in ("api", "commands", "doctor", "explain", "flow", "holds")),
        *(f"shared.{name}" for name in ("hosting", "inputs", "settings", "settings_blob", "wiring")),
        "shared.settings_warnings",
        *("shared.bindings", "shared.preview"),
    },
    "shared.version": set(),
    "shared.__main__": {
        *VOCABULARY,
        *("shared.commands", "shared.preview", "shared.version", "shared.wiring"),
    },
    "shared.wiring": {"shared"},
    "function_app": {
        *VOCABULARY,
        "shared.alerts",
        "shared.bindings",
        "shared.named_blob",
        "shared.flow",
        "shared.api",
        "shared.wiring",
    },
    "local": {"local"},
    "dev": set(),
}

# What else but Python's own library is imported together with a module. All the rest is imported where it is
# used: cold start is import time, and a broken setting must not make the functions vanish.
AT_ONCE: dict[str, set[str]] = {
    "shared": {"shared"},
    "shared.adapters": {"shared", "azure"},
    "shared.adapters.transport": {"shared", "azure", "aiohttp"},
    "shared.configuration": {"shared", "pydantic"},
    "shared.inference.retry": {"shared", "tenacity"},
    "shared.scalars": {"shared", "pydantic"},
    "shared.settings": {"shared", "pydantic", "yaml"},
    "shared.settings_indentation": {"shared", "pydantic", "yaml"},
    "shared.settings_mistakes": {"shared", "pydantic_core"},
    "shared.task_files": {"shared", "jsonschema"},
    "shared.named_blob": {"shared", "azurefunctions"},
    "function_app": {"azure.functions", "shared.bindings", "shared.named_blob"},
    "dev": set(),
}

# Planning is pure: it imports and calls nothing that does I/O, tells the time or throws dice.
PURE = {
    *(
        "__future__",
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "holidays",
        "statistics",
        "itertools",
        "json",
        "math",
    ),
    *("typing", "zlib", "zoneinfo"),
}
IMPURE_CALLS = {"now", "utcnow", "today", "open", "print", "input", "__import__"}


@dataclass(frozen=True)
class Import:
    """A module that is imported, and whether that happens as soon as the importing module is."""

    name: str
    line: int
    at_once: bool


def imports(tree: ast.Module, modules: set[str]) -> Iterator[Import]:
    """Everything that is imported; `from shared import wiring` is `shared.wiring` if that is a module."""
    late = {id(node) for each in ast.walk(tree) if _runs_later(each) for node in ast.walk(each)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            whole = [f"{package}.{alias.name}" for alias in node.names]
            names = [name if name in modules else package for name in whole]
        for name in dict.fromkeys(names):
            yield Import(name, node.lineno, id(node) not in late)


def _runs_later(node: ast.AST) -> bool:
    """Functions, and what is there for type checkers only."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_in(name: str, packages: set[str]) -> bool:
    """Whether it is one of these, or in one of these packages."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def rule(rules: Mapping[str, set[str]], module: str) -> set[str] | None:
    """The module's own rule, or that of the closest package that it is in."""
    fits = [name for name in rules if is_in(module, {name})]
    return rules[max(fits, key=len)] if fits else None


def violations(sources: Mapping[str, str]) -> list[str]:
    """Whatever breaks a rule in these modules, given by their names."""
    modules = {*own_sources(), *sources}
    found = []
    for module, source in sources.items():
        may, at_once = rule(MAY_IMPORT, module), rule(AT_ONCE, module)
        if may is None:
            found.append(f"{module} has no rule: decide what it may import")
            continue
        tree = ast.parse(source)
        for each in imports(tree, modules):
            what, top = f"{module}:{each.line} imports {each.name}", each.name.partition(".")[0]
            if top in OUR_OWN and not is_in(each.name, may):
                found.append(what)
            elif each.name.startswith("."):
                found.append(f"{what}: write the whole name")
            elif is_in(module, {"shared.planning"}) and top not in {*PURE, "shared"}:
                found.append(f"{what}: planning is pure")
            elif each.at_once and at_once is not None and top not in sys.stdlib_module_names:
                found += [] if is_in(each.name, at_once) else [f"{what} at once: do it where it is used"]
        if is_in(module, {"shared.planning"}):
            found += [f"{module}:{line} calls {name}: planning is pure" for line, name in impure_calls(tree)]
    return found


def impure_calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls that read the clock or do I/O."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] in IMPURE_CALLS or name.startswith("time."):
                yield node.lineno, name


@functools.cache
def own_sources() -> dict[str, str]:
    """The repository's own modules, but for tests and benchmarks."""
    paths = [
        ROOT / "function_app.py",
        ROOT / "dev.py",
        *ROOT.glob("shared/**/*.py"),
        *ROOT.glob("local/**/*.py"),
    ]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in paths
        if "node_modules" not in path.parts
    }


# --- the code as it is -------------------------------------------------------------------------------


def test_the_code_keeps_the_rules() -> None:
    """Nobody imports what the layout does not let them."""
    assert violations(own_sources()) == []


def test_the_rules_are_about_modules_that_are_there() -> None:
    """A module that was renamed takes its rule with it."""
    modules = own_sources()
    for named in (MAY_IMPORT, AT_ONCE):
        assert [name for name in named if not any(is_in(module, {name}) for module in modules)] == []


# --- the checker -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("shared.planning.plan", "from shared.ports import Clock"),
        ("shared.planning.plan", "from shared.alerts import alert"),
        ("shared.planning.plan", "from shared import rows"),
        ("shared.domain", "from shared.errors import ArmError"),
        ("shared.ports", "import shared.rows"),
        ("shared.rows", "from shared.hosting.ledger import Ledger"),
        ("shared.inference.pacer", "from shared.hosting.leases import WorkLease"),
        ("shared.hosting.act", "from shared.documents.backlog import INBOX"),
        ("shared.hosting.act", "def f():\n    from shared.documents import backlog"),
        ("shared.hosting.act", "if TYPE_CHECKING:\n    from shared.documents import backlog"),
        ("shared.documents.drain", "from shared.hosting.reconcile import reconcile"),
        ("shared.documents.drain", "from shared.hosting import leases, reconcile"),
        ("shared.adapters.arm", "from shared.hosting.ledger import Ledger"),
        ("shared.flow", "from shared.adapters.arm import AzureArm"),
        ("shared.flow", "from shared import wiring"),
        ("shared.settings", "import local.stack"),
        ("shared.settings", "from tests.fakes.clock import VirtualClock"),
        ("local.host.app", "from shared.bindings import STORAGE"),
        ("local.host.app", "import function_app"),
        ("local.emulator.server", "def f():\n    import shared.domain"),
        ("function_app", "def f():\n    from shared.adapters.arm import AzureArm"),
        ("dev", "from local.stack import run"),
    ],
)
def test_what_a_module_may_not_know_is_found(module: str, source: str) -> None:
    """At the top, in a function or for types only: an import is an import."""
    (found,) = violations({module: source})
    assert found.startswith(f"{module}:")
    assert " imports " in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("shared.hosting.act", "import openai"),
        ("shared.hosting.act", "if True:\n    from azure.core import MatchConditions"),
        ("shared.hosting.act", "class A:\n    import yaml"),
        ("shared.documents.ask", "from jsonschema import validate"),
        ("shared.inference.pacer", "import tenacity"),
        ("shared.configuration", "import yaml"),
        ("shared.adapters.arm", "import aiohttp"),
        ("function_app", "import azure.identity"),
        ("function_app", "from shared.flow import slice_seconds"),
        ("function_app", "from shared import api"),
        ("dev", "import rich"),
    ],
)
def test_what_is_imported_too_early_is_found(module: str, source: str) -> None:
    """In a function, or for types only, the same import is fine."""
    (found,) = violations({module: source})
    assert found.endswith("at once: do it where it is used")
    for header in ("async def f():", "if TYPE_CHECKING:"):
        assert violations({module: f"{header}\n{textwrap.indent(source, '    ')}"}) == []


@pytest.mark.parametrize(
    "source",
    [
        *("import asyncio", "import os", "import random", "import logging", "import time", "import pathlib"),
        *("def f():\n    import random", "from os import environ", "import tenacity"),
        *("datetime.now(UTC)", "datetime.datetime.now()", "datetime.utcnow()", "date.today()"),
        *("time.monotonic()", "open('x')", "print('x')", "__import__('os')"),
    ],
)
def test_what_is_impure_in_planning_is_found(source: str) -> None:
    """Planning takes `now`, and does nothing but compute."""
    (found,) = violations({"shared.planning.plan": source})
    assert found.endswith("planning is pure")


def test_what_is_pure_is_left_alone() -> None:
    """Taking `now` as an argument and building times from it is what planning is made of."""
    source = (
        "from datetime import datetime, time\ndef f(now: datetime) -> time:\n    return now.time() or time(0)"
    )
    assert violations({"shared.planning.plan": source}) == []


def test_a_relative_import_is_found() -> None:
    """Rules are about whole names."""
    (found,) = violations({"shared.hosting.act": "from ..documents import backlog"})
    assert found == "shared.hosting.act:1 imports ..documents: write the whole name"


def test_a_module_without_a_rule_is_found() -> None:
    """A new module of `shared` has its place in the layout decided here."""
    (found,) = violations({"shared.utils": ""})
    assert found == "shared.utils has no rule: decide what it may import"
