"""The package that azd deploys: .funcignore names what the app needs, and everything else stays."""

from __future__ import annotations

import re
import subprocess
from pathlib import PurePosixPath

import pathspec
import pytest
import yaml

from tests.infra.shared_uses import ROOT

# What Azure needs beside the app's modules: the host's file, the packages, and the configuration.
BESIDE_THE_CODE = {
    *("host.json", "function_app.py", "deployments.yaml"),
    *("requirements.txt", "requirements-databases.txt", "constraints.txt"),
}

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What the docs have people write into the repository's folder, and which documents they have them put there.
WRITTEN = re.compile(
    r"--out (\S+)|sessions .*> (\S+)|dev\.py up (\w\S*\.yaml)|^cp \S+ (\S+\.yaml)", re.MULTILINE
)
PUT_THERE = re.compile(r"dev\.py run (\w\S*\.txt)|shared submit [\w-]+ (\w[\w./-]*\.\w+)")


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
    ignored = patterns(".funcignore")
    return {path for path in listed.stdout.splitlines() if not ignored.match_file(path)}


def patterns(file: str) -> pathspec.GitIgnoreSpec:
    """Return what an ignore file leaves out."""
    return pathspec.GitIgnoreSpec.from_lines((ROOT / file).read_text(encoding="utf-8").splitlines())


def named_in_the_docs(names: re.Pattern[str]) -> set[str]:
    """Return the file and folder names that a pattern finds in the docs, without placeholders (FILE)."""
    found = {match for page in PAGES for match in names.findall(page.read_text(encoding="utf-8"))}
    return {name.strip("`),") for groups in found for name in groups if name and not name.isupper()}


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
    """The package has no tests, no local stack, no local settings, and no file that lies there by chance."""
    assert {PurePosixPath(path).parts[0] for path in packaged} == {*BESIDE_THE_CODE, "shared", "tasks"}


def test_no_pattern_begins_with_a_slash() -> None:
    """azd matches with denormal/go-gitignore: there `/*` matches at every depth, and the package is empty."""
    lines = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.lstrip("!").startswith("/")] == []


def test_files_that_the_docs_have_people_write_are_not_packaged() -> None:
    """Answers, reports and drafts in the repository's folder are neither sent to Azure nor committed."""
    written, documents = named_in_the_docs(WRITTEN), named_in_the_docs(PUT_THERE)
    assert {"answers", "november.csv", "mine.yaml"} <= written and {"my.txt", "letter.txt"} <= documents
    for name in written:
        path = name if "." in name else f"{name}/letter.txt.json"
        assert patterns(".funcignore").match_file(path), name
        assert patterns(".gitignore").match_file(path), name
    assert [name for name in documents if not patterns(".funcignore").match_file(name)] == []
