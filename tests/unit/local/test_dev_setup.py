"""The set-up of dev.py: what counts as done, which interpreter is taken, and what a failure says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dev

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written with POSIX shell scripts")


def make_step(folder: Path, *, script: str = "open('product', 'w')", inputs: str = "v1") -> dev.Step:
    """A step that runs a line of Python in ``folder``."""
    command = [sys.executable, "-c", f"import os; os.chdir({str(folder)!r}); {script}"]
    return dev.Step("Setting up", [command], folder / "product", folder / "stamp", inputs)


def put_python(folder: Path, name: str, script: str) -> None:
    """An executable called ``name`` that runs a shell script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_finished_step_is_not_repeated_until_its_inputs_change(tmp_path: Path) -> None:
    """Done once it is current; with other inputs, or without its product, it is not."""
    step = make_step(tmp_path)
    assert not step.is_current()
    step.carry_out(tmp_path / "log")
    assert step.is_current()
    assert not make_step(tmp_path, inputs="v2").is_current()
    (tmp_path / "product").unlink()
    assert not step.is_current()


def test_an_interrupted_repetition_is_not_mistaken_for_the_finished_one_before(tmp_path: Path) -> None:
    """A step that was current loses its stamp before it starts again, so that a failure leaves none."""
    make_step(tmp_path).carry_out(tmp_path / "log")
    again = make_step(tmp_path, script="raise SystemExit(1)")
    with pytest.raises(dev.Problem):
        again.carry_out(tmp_path / "log")
    assert (tmp_path / "product").exists()
    assert not again.is_current()


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        (
            "connection broken by NewConnectionError: [Errno -3] Temporary failure in name resolution",
            "network",
        ),
        ("npm error code EAI_AGAIN\nnpm error errno EAI_AGAIN", "network"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("npm error code EACCES", "who owns this folder"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "certificate was refused"),
        ("something nobody has seen before", "The log says why"),
    ],
)
def test_a_failed_step_shows_the_end_of_its_log_and_a_plain_sentence(
    tmp_path: Path, output: str, remedy: str
) -> None:
    """What pip or npm wrote becomes a cause and a remedy, with the evidence above it."""
    step = make_step(tmp_path, script=f"print({output!r}); raise SystemExit(1)")
    with pytest.raises(dev.Problem) as problem:
        step.carry_out(tmp_path / "log")
    assert remedy in str(problem.value)
    assert f"  | {output.splitlines()[-1]}" in str(problem.value)
    assert str(tmp_path / "log") in str(problem.value)


def test_a_changed_requirement_another_python_or_another_name_is_another_fingerprint(tmp_path: Path) -> None:
    """Contents, file names and the other inputs all count; the same ones give the same value."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("a==1")
    two.write_text("a==1")
    before = dev.fingerprint([one], "3.11.7")
    assert before == dev.fingerprint([one], "3.11.7")
    assert len({before, dev.fingerprint([two], "3.11.7"), dev.fingerprint([one], "3.12.1")}) == 3
    one.write_text("a==2")
    assert dev.fingerprint([one], "3.11.7") != before


def test_a_clone_without_its_requirements_is_called_not_whole(tmp_path: Path) -> None:
    """A missing file is named instead of ending in a traceback."""
    with pytest.raises(dev.Problem, match=r"requirements\.txt is missing"):
        dev.fingerprint([tmp_path / "requirements.txt"])


def test_an_old_python_builds_on_one_from_path_and_passes_over_broken_shims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The running Python is too old, the first python3.12 is a shim that fails, and python3.11 works."""
    put_python(tmp_path, "old", "echo 3.9.18 /usr/bin/old")
    put_python(tmp_path, "python3.12", "echo 'python3.12: command not found' >&2; exit 127")
    put_python(tmp_path, "python3.11", "echo 3.11.9 /opt/my python/python3.11")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "old"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dev.find_python() == ("/opt/my python/python3.11", "3.11.9")


def test_without_a_usable_python_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an old one and one that calls itself python3.12 but is not."""
    put_python(tmp_path, "python3.12", "echo 3.14.0 /usr/bin/python3.14")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(dev.Problem, match=r"Python 3\.11 or 3\.12 .* is needed(.|\n)*apt install"):
        dev.find_python()


@pytest.mark.parametrize(("answer", "usable"), [("v20.20.2", True), ("v18.19.0", False), ("no", False)])
def test_an_old_or_broken_node_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, usable: bool
) -> None:
    """The machine's npm is taken only with a Node.js that is new enough for Azurite."""
    put_python(tmp_path, "node", f"echo {answer}")
    put_python(tmp_path, "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dev.machine_npm() == (str(tmp_path / "npm") if usable else None)


def test_node_from_pypi_becomes_part_of_the_environment_where_the_machine_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its absence is an input of the environment, so that a machine that loses Node.js is set up again."""
    monkeypatch.setattr(dev, "machine_npm", lambda: "/usr/bin/npm")
    with_npm = dev.steps()
    monkeypatch.setattr(dev, "machine_npm", lambda: None)
    without = dev.steps()
    assert dev.NODE_WHEEL not in with_npm[0].commands[-1]
    assert dev.NODE_WHEEL in without[0].commands[-1]
    assert with_npm[0].inputs != without[0].inputs
    assert with_npm[1].inputs == without[1].inputs


def test_an_environment_that_is_a_link_is_not_emptied(tmp_path: Path) -> None:
    """Setting up anew clears the folder, and the one behind a link may belong to another clone."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    with pytest.raises(dev.Problem, match="remove the link"):
        dev.refuse_link(tmp_path / "ours")
    dev.refuse_link(tmp_path / "theirs")


def test_the_file_parses_on_an_old_python() -> None:
    """Python 3.8 has to reach the message, so nothing newer may be in the grammar."""
    ast.parse(Path(dev.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_second_start_waits_for_the_one_that_sets_up(tmp_path: Path) -> None:
    """Exclusive means alone; users share; the lock is free again when its holder is gone."""
    path = tmp_path / "lock"
    holder = (
        "import sys, dev; file = open(sys.argv[1], 'w');"
        "assert dev.try_lock(file, exclusive=sys.argv[2] == 'exclusive');"
        "print('held', flush=True); sys.stdin.read()"
    )

    def hold(kind: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", holder, str(path), kind]
        process = subprocess.Popen(command, cwd=dev.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    with path.open("w") as mine:
        with hold("exclusive") as builder:
            assert not dev.try_lock(mine, exclusive=False)
            builder.kill()
        with hold("shared") as user:
            assert dev.try_lock(mine, exclusive=False)
            assert not dev.try_lock(mine, exclusive=True)
            user.kill()
        assert dev.try_lock(mine, exclusive=True)
