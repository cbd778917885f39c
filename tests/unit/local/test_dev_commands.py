"""The commands of dev.py: what they start, what they leave behind, and what they say."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import dev

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

# Starts a child that nobody waits for, writes the child's id, and stays.
PARENT_OF_ORPHAN = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1], "w") as file:
    file.write(str(child.pid))
time.sleep(float(sys.argv[2]))
"""


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than an entry that nobody has collected yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition to become true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """A clone that is set up; commands are collected instead of run, and succeed."""
    started: list[Sequence[str]] = []

    @contextlib.contextmanager
    def nothing_to_do() -> Iterator[None]:
        yield

    def run(command: Sequence[str], log: Path | None = None, limit: float | None = None) -> int:
        started.append(command[1:])
        return 0

    monkeypatch.setattr(dev, "ready_clone", nothing_to_do)
    monkeypatch.setattr(dev, "stop_on_signals", lambda: None)
    monkeypatch.setattr(dev, "run", run)
    return started


@needs_linux
@pytest.mark.parametrize("seconds", [0.0, 600.0], ids=["it ends by itself", "it takes too long"])
def test_no_process_outlives_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """A command leaves a child behind, or hangs with one: both are gone when run returns or raises."""
    monkeypatch.setattr(dev, "GRACE", 5.0)
    pid_file = tmp_path / "pid"
    command = [sys.executable, "-c", PARENT_OF_ORPHAN, str(pid_file), str(seconds)]
    if seconds:
        with pytest.raises(dev.Problem, match="longer than 3 s"):
            dev.run(command, limit=3.0)
    else:
        assert dev.run(command) == 0
    orphan = int(pid_file.read_text())
    wait_until(lambda: not is_running(orphan))


@needs_linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_with_everything_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """While a command runs, dev.py is interrupted: it leaves with 128 + the signal, and nothing stays."""
    pid_file = tmp_path / "pid"
    script = (
        "import signal, sys, dev\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have had the tests ignore it\n"
        "dev.stop_on_signals(); sys.exit(dev.run([sys.executable, '-c', *sys.argv[1:]]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, PARENT_OF_ORPHAN, str(pid_file), "600"], cwd=dev.ROOT
    )
    try:
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
        orphan = int(pid_file.read_text())
        process.send_signal(number)
        assert process.wait(40) == 128 + number
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not is_running(orphan))


@needs_linux
def test_a_command_that_was_killed_is_reported_as_shells_do() -> None:
    """128 + the signal, which is a failure whatever the caller makes of it."""
    assert dev.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 137


def test_a_command_sees_nothing_that_leads_its_environment_astray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates and indexes are passed on; search paths and install targets of other places are not."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("PIP_TARGET", "/somewhere/else")
    monkeypatch.setenv("PIP_CERT", "/etc/company.pem")
    script = (
        "import os; print(os.environ.get('PYTHONPATH'), os.environ.get('PIP_TARGET'), os.environ['PIP_CERT'])"
    )
    log = tmp_path / "log"
    assert dev.run([sys.executable, "-c", script], log) == 0
    assert log.read_text() == "None None /etc/company.pem\n"


def test_run_takes_the_samples_unless_files_are_named(
    ready: list[Sequence[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are looked up where the caller is, as the job itself runs elsewhere."""
    assert dev.main(["run"]) == 0
    assert {Path(name).parent for name in ready[0][5:]} == {dev.ROOT / "samples"}
    (tmp_path / "my letter.txt").write_text("Hello")
    monkeypatch.chdir(tmp_path)
    assert dev.main(["run", "my letter.txt", "--keep", "--upstream", "http://127.0.0.1:1/v1"]) == 0
    expected = ["-m", "local.demo", *dev.PARENT, "--keep", "--upstream", "http://127.0.0.1:1/v1", "--"]
    assert ready[1] == [*expected, str(tmp_path / "my letter.txt")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "no such file.txt"], "no such file.txt is not a file that can be read"),
        (["run", "."], "is not a file"),
        (["up", "no such file.yaml"], "name a deployments.yaml"),
        (["up", "--workers", "-1"], "0 or more"),
        (["up", "--workers", "2", "--no-host"], "with a host"),
        (["bench"], "name a measurement: known are"),
        (["bench", "no-such-measurement"], "no measurement is called"),
        (["frobnicate"], "usage: python3 dev.py COMMAND"),
        (["frobnicate"], "there is no command 'frobnicate'"),
        ([], "usage: python3 dev.py COMMAND"),
    ],
)
def test_wrong_use_is_explained_and_starts_nothing(
    ready: list[Sequence[str]], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit code 2 and a sentence, before any set-up."""
    assert dev.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert ready == []


def test_up_hosts_what_a_file_of_the_caller_s_says(
    ready: list[Sequence[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, the example of this repository."""
    monkeypatch.chdir(dev.ROOT)
    assert dev.main(["up", "--no-host"]) == 0
    program = ["-m", "local.up", *dev.PARENT]
    assert ready[0] == [*program, "--no-host", "--", str(dev.ROOT / "deployments.yaml")]
    (tmp_path / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert dev.main(["up", "mine.yaml"]) == 0
    assert ready[1] == [*program, "--", str(tmp_path / "mine.yaml")]
    assert dev.main(["up", "mine.yaml", "--workers", "2"]) == 0
    assert ready[2] == [*program, "--workers", "2", "--", str(tmp_path / "mine.yaml")]


def test_bench_runs_a_measurement_with_its_own_arguments(
    ready: list[Sequence[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Standard output belongs to the measurement; a private module is no measurement."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "start.py").touch()
    (tmp_path / "bench" / "_shared.py").touch()
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    assert dev.main(["bench", "start", "--json"]) == 0
    assert ready == [["-m", "bench.start", "--json"]]
    assert dev.main(["bench", "_shared"]) == 2
    assert capsys.readouterr().out == ""


STEPS = ["ruff check", "ruff format", "mypy", "import", "pytest"]


@pytest.mark.parametrize("broken", [None, *STEPS])
def test_test_fails_when_any_step_fails_and_runs_all_of_them(
    ready: list[Sequence[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str | None,
) -> None:
    """One failing step does not hide the others, and pytest comes last, without the slow tests."""

    def run(command: Sequence[str], log: Path | None = None, limit: float | None = None) -> int:
        ready.append(command)
        return int(broken is not None and broken in " ".join(command))

    monkeypatch.setattr(dev, "run", run)
    assert dev.main(["test"]) == int(broken is not None)
    assert len(ready) == len(STEPS)
    assert all(step in " ".join(command) for step, command in zip(STEPS, ready, strict=True))
    assert ready[-1][-2:] == ["-m", "not slow"]
    output = capsys.readouterr().out
    assert ("mypy: FAILED" if broken == "mypy" else "mypy: passed") in output


def test_test_all_has_the_slow_tests_as_its_last_step(ready: list[Sequence[str]]) -> None:
    """What the quick step leaves out, and nothing else."""
    assert dev.main(["test", "--all"]) == 0
    assert len(ready) == len(STEPS) + 1
    assert (ready[-2][-1], ready[-1][-1]) == ("not slow", "slow")


def test_given_arguments_test_runs_pytest_alone(ready: list[Sequence[str]]) -> None:
    """Paths alone: several tests at once. With options it is pytest's own command line."""
    assert dev.main(["test", "tests/unit", "-k", "windows"]) == 0
    assert ready == [["-m", "pytest", "tests/unit", "-k", "windows"]]
    assert dev.main(["test", "tests/unit"]) == 0
    assert ready[1][:3] == ["-m", "pytest", "-n"]
    assert ready[1][-1] == "tests/unit"


@pytest.mark.parametrize("command", ["run", "up", "test", "bench"])
def test_each_command_has_a_help_of_its_own(
    ready: list[Sequence[str]], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """It starts nothing, not even the set-up; that of bench names the measurements."""
    with contextlib.suppress(SystemExit):
        assert dev.main([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: ")
    assert f"dev.py {command}" in printed
    assert ready == []
    assert command != "bench" or "Measure a cold start" in printed


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_printed_on_request(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    """Asked for, it is output and no error."""
    assert dev.main([flag]) == 0
    assert capsys.readouterr().out == dev.USAGE
