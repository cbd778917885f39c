"""The package that azd deploys: .funcignore leaves what the app needs and little else."""

from __future__ import annotations

import subprocess
from pathlib import PurePosixPath

import pathspec
import pytest
import yaml

from tests.infra.shared_uses import ROOT

# What Azure needs beside the app's modules: the host's file, the packages, and the configuration.
BESIDE_THE_CODE = {"host.json", "requirements.txt", "constraints.txt", "function_app.py", "deployments.yaml"}


@pytest.fixture(scope="module")
def packaged() -> set[str]:
    """Return the files of the repository, committed or new, that .funcignore does not exclude."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a clone")
    ignored = pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())
    return {path for path in listed.stdout.splitlines() if not ignored.match_file(path)}


def test_everything_that_runs_is_packaged(packaged: set[str]) -> None:
    """The package has all modules of the app, and each file that deployments.yaml names."""
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "shared").rglob("*.py")}
    file = yaml.safe_load((ROOT / "deployments.yaml").read_text(encoding="utf-8"))
    tasks = {
        deployment["task"][key]
        for deployment in file["deployments"].values()
        for key in ("system_prompt", "response_schema")
        if key in deployment["task"]
    }
    assert (modules | tasks | BESIDE_THE_CODE) - packaged == set()


def test_nothing_else_is_packaged(packaged: set[str]) -> None:
    """The package has no tests, no local stack and no local settings."""
    parts = {PurePosixPath(path).parts[0] for path in packaged}
    assert parts - BESIDE_THE_CODE <= {
        "shared",
        "tasks",
        "LICENSE",
        "azure.yaml",
        ".funcignore",
        ".gitignore",
    }
