"""What an import costs: cold start is import time. Who may import whom is in `.importlinter`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARSERS = {"lxml", "olefile", "pypdfium2", "python_calamine"}
DATABASES = {"mssql_python", "psycopg", "sqlalchemy"}
HEAVY = {
    *("aiohttp", "azure.core", "azure.data", "azure.identity", "azure.mgmt", "azure.storage", "holidays"),
    *("httpx", "jsonschema", "openai", "pydantic", "requests", "rich", "tenacity", "yaml"),
    *PARSERS,
    *DATABASES,
}
_CODE = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


def loaded_with(module: str, *options: str) -> set[str]:
    """Every module that a fresh process has loaded after importing that one."""
    done = subprocess.run(
        [sys.executable, *options, "-c", _CODE, module], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        ("function_app", set()),
        ("shared.doors.api", {"tenacity"}),
        ("shared.settings.load", {"jsonschema", "pydantic", "yaml"}),
        ("shared.__main__", set()),
        ("shared.doors.cli.main", {"jsonschema", "pydantic", "tenacity", "yaml"}),
        ("shared.wiring", HEAVY - PARSERS - DATABASES - {"holidays", "httpx", "openai", "rich"}),
    ],
)
def test_an_import_loads_only_what_it_needs(module: str, needs: set[str]) -> None:
    """All the rest is imported where it is used."""
    assert loaded_with(module) & HEAVY == needs


def test_the_functions_are_there_whatever_is_broken() -> None:
    """Loading them loads no code that reads settings: a broken file must not make them vanish."""
    ours = {name for name in loaded_with("function_app") if name.startswith("shared.")}
    rooms = {"shared.settings", "shared.doors"}
    assert ours == {*rooms, "shared.settings.bindings", "shared.doors.named_blob"}


def test_set_up_needs_python_alone() -> None:
    """`dev.py` runs before anything is installed."""
    assert "dev" in loaded_with("dev", "-S")


def test_an_interpreter_without_the_packages_gets_a_sentence() -> None:
    """A newcomer types python3 instead of .venv/bin/python: no traceback; with --json, one document."""
    command = [sys.executable, "-S", "-m", "shared", "status"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot run the commands: No module named" in done.stderr and ".venv/bin/python" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "")
    assert "pip install -r requirements.txt" in json.loads(done.stdout)["error"]
