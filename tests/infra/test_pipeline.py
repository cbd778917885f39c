"""The GitHub workflows run only pinned third-party actions, and leave no token on disk."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.infra.shared_uses import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\b")


def steps(name: str) -> list[dict[str, Any]]:
    """Return every step of every job of a workflow."""
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    return [step for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_actions_are_pinned_by_digest(name: str) -> None:
    """Each action is pinned to a commit: an attacker can move a tag to other code, but not a commit."""
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.search(r"\buses:", line)]
    assert len(lines) == sum("uses" in step for step in steps(name)) > 0
    assert [line for line in lines if not PINNED.search(line)] == []
    versions: dict[str, set[str]] = {}
    for line in lines:
        action, at = line.partition("uses: ")[2].split("@", 1)
        versions.setdefault(action, set()).add(at.split("#")[0].strip())
    assert [action for action, found in versions.items() if len(found) > 1] == []


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_a_checkout_leaves_no_token(name: str) -> None:
    """Checkouts do not persist the token: by default every later step could read it in .git/config."""
    checkouts = [step for step in steps(name) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert [step for step in checkouts if step.get("with", {}).get("persist-credentials") is not False] == []
