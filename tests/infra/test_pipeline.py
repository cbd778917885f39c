"""The GitHub workflows run only pinned actions, leave no token on disk, and pass every parameter."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.infra.bicep import INFRA
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


def test_the_pipeline_passes_every_parameter_that_people_set() -> None:
    """A runner has no azd environment: a parameter that is not passed would go back to its default.

    Other steps do not get them: the commands there read DEPLOYMENTS_FILE as well.
    """
    named = set(re.findall(r"\$\{(\w+)", (INFRA / "main.parameters.json").read_text(encoding="utf-8")))
    people_set = named - {"AZURE_PRINCIPAL_ID"}  # azd finds it out by itself
    assert {"LAMPLIGHTER_ALERT_EMAIL", "DEPLOYMENTS_FILE"} <= people_set
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8"))
    provisions = 0
    for step in steps("deploy.yml"):
        passed = {**workflow["env"], **step.get("env", {})}
        if "azd provision" in step.get("run", ""):
            provisions += 1
            assert {name: passed.get(name) for name in people_set} == {
                name: f"${{{{ vars.{name} }}}}" for name in people_set
            }
        else:
            assert "DEPLOYMENTS_FILE" not in passed
    assert provisions == 2  # the preview and the real one
    guide = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in guide.splitlines() if line.lstrip().startswith("| `"))
    assert [name for name in sorted(people_set) if f"`{name}`" not in rows] == []
