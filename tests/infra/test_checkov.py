"""checkov, a scanner of infrastructure code, finds nothing that is not skipped for a stated reason."""

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
    """What it says about the Bicep files."""
    told = checkov("--directory", str(INFRA), "--framework", "bicep", "--skip-download", "--output", "json")
    found: dict[str, Any] = json.loads(told)
    return found


def test_it_understands_every_file_and_finds_nothing(report: dict[str, Any]) -> None:
    """No parsing error, no failed check, and more than none that passed."""
    summary = report["summary"]
    failed = [f"{each['check_id']} {each['resource']}" for each in report["results"]["failed_checks"]]
    assert (failed, summary["parsing_errors"], summary["failed"]) == ([], 0, 0)
    assert summary["passed"] > 0
    assert summary["resource_count"] > 0


def test_each_skip_has_its_reason_and_is_needed(report: dict[str, Any]) -> None:
    """The comment says why; a skip of a check that would pass, or that is gone, is taken out."""
    stated = [match for path in files() for match in SKIP.findall(path.read_text(encoding="utf-8"))]
    assert [check for check, reason in stated if len(reason.split()) < 5] == []
    skipped = report["results"]["skipped_checks"]
    assert sorted(each["check_id"] for each in skipped) == sorted(check for check, _ in stated)
