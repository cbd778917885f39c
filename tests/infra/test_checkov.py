"""checkov, a scanner for infrastructure code, finds nothing except what is skipped with a reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.infra.bicep import INFRA, files
from tests.infra.checkov_environment import checkov

pytestmark = pytest.mark.slow

SKIP = re.compile(r"//\s*checkov:skip=(\w+):?(.*)")


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Return its report about the Bicep files."""
    output = checkov("--directory", str(INFRA), "--framework", "bicep", "--skip-download", "--output", "json")
    found: dict[str, Any] = json.loads(output)
    return found


def test_checkov_parses_every_file_and_finds_nothing(report: dict[str, Any]) -> None:
    """It has no parsing error and no failed check, and some checks passed."""
    summary = report["summary"]
    failed = [f"{check['check_id']} {check['resource']}" for check in report["results"]["failed_checks"]]
    assert (failed, summary["parsing_errors"], summary["failed"]) == ([], 0, 0)
    assert summary["passed"] > 0
    assert summary["resource_count"] > 0


def test_each_skip_has_its_reason_and_is_needed(report: dict[str, Any]) -> None:
    """Every skip has a reason, and none is for a check that would pass or no longer exists."""
    stated = [match for path in files() for match in SKIP.findall(path.read_text(encoding="utf-8"))]
    assert [check for check, reason in stated if len(reason.split()) < 5] == []
    skipped = report["results"]["skipped_checks"]
    assert sorted(check["check_id"] for check in skipped) == sorted(check for check, _ in stated)
