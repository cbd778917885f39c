"""What all commands share: arguments, settings, exit codes; and `validate`."""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.doors.cli.main import main, parser
from shared.doors.cli.terminal import OutputClosed, Terminal
from shared.operations.inputs import instant
from shared.version import VERSION
from tests.unit.settings_file import ACCOUNT_ID, SCHEMA

ROOT = Path(__file__).parents[2]
WHY = ("--owner", "d", "--reason", "r")
FILE = """\
installation: contoso-test
defaults: {time_zone: Europe/Berlin, mode: observe}
prices:
  hosting_per_hour: {GlobalStandard: 1.70}
  tokens_per_million: {input: 0.40, output: 1.60}
accounts:
  main: {resource_id: "${AZURE_OPENAI_ACCOUNT_ID}"}
deployments:
  clauses:
    account: main
    adopt: true
    model: {name: gpt-4.1-mini-2025-04-14.ft-0e2c, version: "1"}
    sku: {name: GlobalStandard, capacity: 120}
    schedule:
      - {days: mon-fri, from: "09:00", to: "18:00"}
      - {days: "mon,wed", from: "17:00", to: "19:00", stop_when_empty: true}
      - {days: daily, from: "23:00", to: "24:00", time_zone: UTC}
      - {from: 2026-11-22T14:00:00Z, to: 2026-11-22T15:00:00Z}
    uploads: {start: scheduled}
    task: {system_prompt: prompt.md, max_output_tokens: 2000}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A valid deployments.yaml with its prompt."""
    (tmp_path / "prompt.md").write_text("Summarise.")
    path = tmp_path / "deployments.yaml"
    path.write_text(FILE)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the whole command line with only this environment."""
    code = main(arguments, dict(environment))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def validated(capsys: pytest.CaptureFixture[str], file: Path) -> tuple[str, dict[str, Any]]:
    """Return what `validate` says of a valid file, as text and as JSON."""
    arguments = ("validate", str(file))
    code, text, err = run(capsys, *arguments, AZURE_OPENAI_ACCOUNT_ID=ACCOUNT_ID)
    assert (code, err) == (0, "")
    code, document, err = run(capsys, *arguments, "--json", AZURE_OPENAI_ACCOUNT_ID=ACCOUNT_ID)
    assert (code, err) == (0, "")
    return text, json.loads(document)


# --- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["explain"],
        ["up", "clauses"],
        ["up", "clauses", "--for", "2h", "--owner", "dana"],
        ["up", "clauses", "--for", "2h", "--until", "2026-11-23T12:00Z", *WHY],
        ["up", "clauses", "--for", "two hours", *WHY],
        ["up", "clauses", "--for", "0s", *WHY],
        ["up", "clauses", "--until", "2026-11-23T12:00", *WHY],
        ["up", "clauses", "--until", "noon", *WHY],
        ["up", "clauses", "--for", "2h", "--owner", " ", "--reason", "r"],
        ["up", "clauses", "--for", "2h", "--owner", "d", "--reason", "r" * 201],
        ["wait", "clauses", "--for", "tea"],
        ["submit", "clauses"],
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is carried out; the usage goes to standard error, or with --json a document to the output."""
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "usage:" in printed.err
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"], {})
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)) == ["error"] and printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "clauses", "--for", "-2h", *WHY], "argument --for: write a duration such as 90s, 15m"),
        (["preview", "--days", "-3"], "argument --days: write a whole number from 1 to 366"),
        (["sessions", "--since", "-1d"], "argument --since: write a date, or an ISO time"),
        (
            ["submit", "clauses", "--wait", "--out", "x", "--timeout", "0s", "--", "-1.txt"],
            "--timeout: must be",
        ),
    ],
)
def test_a_negative_value_is_a_value(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is about the value; argparse itself would take -2h for an option."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments, {})
    assert says in capsys.readouterr().err
    assert parser().parse_args(["submit", "clauses", "--", "--wait", "-1.txt"]).files == [
        Path("--wait"),
        Path("-1.txt"),
    ]


def test_times_are_read_with_their_zone() -> None:
    """A date is its midnight in UTC; an offset is kept in mind."""
    assert instant("2026-11-01") == datetime(2026, 11, 1, tzinfo=UTC)
    assert instant("2026-11-01T09:00:00+01:00") == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert parser().parse_args(["wait", "clauses"]).timeout == timedelta(minutes=30)


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the whole and of each command, without a setting."""
    for arguments in (["--help"], ["wait", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments, {})
        assert ended.value.code == 0
        assert "exit codes: 0" in capsys.readouterr().out


# --- settings ----------------------------------------------------------------------------------------


def test_settings_come_from_a_file_of_app_settings(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Values of local.settings.json count as the environment does, and before it."""
    settings = tmp_path / "local.settings.json"
    values = {"AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID, "DEPLOYMENTS_FILE": str(file)}
    settings.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    code, out, _ = run(capsys, "validate", "--settings", str(settings), DEPLOYMENTS_FILE="elsewhere.yaml")
    assert code == 0
    assert str(file) in out


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("not json", "is not of the form"),
        ("[]", "is not of the form"),
        ('{"Values": {"A": 1}}', "is not of the form"),
        ('{"Values": null}', "is not of the form"),
        ('{"IsEncrypted": true, "Values": {"A": "x"}}', "func settings decrypt"),
        ('{"Values": {"A=B": "x"}}', "no environment can hold"),
        ('{"Values": {"A": "x\\u0000"}}', "no environment can hold"),
        ('{"Values": ' + "[" * 20_000, "is not of the form"),
    ],
)
def test_a_settings_file_that_cannot_be_used_ends_with_2(
    content: str | None, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is wrong with it."""
    settings = tmp_path / "local.settings.json"
    if content is not None:
        settings.write_text(content)
    code = main(["status", "--settings", str(settings)])  # a real environment, which gets nothing of it
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert shown in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", ""],
        ["validate", "--settings", ""],
        ["preview", "--diff="],
        ["submit", "clauses", ""],
        ["submit", "clauses", "a.txt", "--out", ""],
    ],
)
def test_an_empty_path_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """A script's variable without a value would otherwise mean the current folder."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments, {})
    assert "is empty: name a file or folder" in capsys.readouterr().err


def test_missing_app_settings_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Every one of them is named, also as JSON on standard output."""
    code, _, err = run(capsys, "status")
    assert code == 2
    assert "DOCUMENTS_STORAGE__blobServiceUri" in err
    assert "DOCUMENTS_STORAGE__tableServiceUri" in err
    code, out, err = run(capsys, "status", "--json")
    assert (code, err) == (2, "")
    keys = [each["key"] for each in json.loads(out)["problems"]]
    assert keys == ["DOCUMENTS_STORAGE__blobServiceUri", "DOCUMENTS_STORAGE__tableServiceUri"]


def test_a_file_that_cannot_be_read_is_told_with_what_named_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The argument, the option, or the setting: that is where to correct it. A folder has a name, too."""
    missing = str(file.with_name("missing.yaml"))
    named = {"DEPLOYMENTS_FILE": str(file), "AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID}
    for arguments, environment, says in (
        (["validate", missing], named, "(No such file or directory): the argument FILE names the file"),
        (["validate", "."], named, "(Is a directory): the argument FILE names the file"),
        (["preview", "--diff", missing], named, "(No such file or directory): --diff names the file"),
        (["validate"], {"DEPLOYMENTS_FILE": missing}, "DEPLOYMENTS_FILE names the file"),
        (["status", "--settings", "."], {}, "(Is a directory): --settings names the file"),
    ):
        code, _, err = run(capsys, *arguments, **environment)
        assert (code, says in err) == (2, True), err
        assert not err.startswith(" ")


# --- validate ----------------------------------------------------------------------------------------


def test_validate_tells_what_it_found(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each deployment with its schedule in words, and the scheduled hours, in which overlaps count once."""
    out, document = validated(capsys, file)
    assert "installation contoso-test, 1 account(s), 1 deployment(s)." in out
    assert "mon-fri 09:00-18:00 Europe/Berlin; mon,wed 17:00-19:00 Europe/Berlin until empty" in out
    assert "daily 23:00-24:00 UTC; once 2026-11-22T14:00:00+00:00 to 2026-11-22T15:00:00+00:00" in out
    (shown,) = document["deployments"]
    assert shown["scheduled_hours_a_week"] == 5 * 9 + 2 * 1 + 7 * 1
    assert (shown["mode"], shown["adopt"], shown["price_per_hour"]) == ("observe", True, 1.70)


def test_validate_warns_of_what_may_be_meant(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 and the key: a window that is over, and one on a day on which the clocks change."""
    over = "{from: 2020-11-22T14:00:00Z, to: 2020-11-22T15:00:00Z}"
    night = '{days: daily, from: "02:30", to: "06:00", time_zone: America/New_York}'
    file.write_text(
        FILE.replace("{from: 2026-11-22T14:00:00Z, to: 2026-11-22T15:00:00Z}", f"{over}\n      - {night}")
    )
    out, document = validated(capsys, file)
    assert (
        "Warnings:\n  deployments.clauses.schedule.3: is over since 2020-11-22 15:00 UTC: remove it\n" in out
    )
    over_warning, *moved = document["warnings"]
    assert over_warning["key"] == "deployments.clauses.schedule.3"
    assert {each["key"] for each in moved} == {"deployments.clauses.schedule.4"}
    assert "02:30 is skipped and it opens at 03:30" in moved[0]["remedy"]


def test_validate_warns_of_what_no_answer_is_checked_for(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A keyword of the answer schema, with its key in the file and its place in the schema."""
    schema = SCHEMA | {"properties": {"title": {"type": "string", "format": "uri"}}}
    file.with_name("answer.json").write_text(json.dumps(schema))
    file.write_text(FILE.replace("prompt.md,", "prompt.md, response_schema: answer.json,"))
    _, document = validated(capsys, file)
    shown = {each["key"]: each["remedy"] for each in document["warnings"]}
    assert "(at #/properties/title/format)" in shown["deployments.clauses.task.response_schema"]


def test_validate_tells_what_round_the_clock_costs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The cost of a month, as no window ends it."""
    start, end = FILE.index("    schedule:"), FILE.index("    uploads:")
    file.write_text(FILE[:start] + "    always: true\n" + FILE[end:])
    out, _ = validated(capsys, file)
    assert "clauses is hosted round the clock: 730 h a month, 1,241.00 USD" in out
    assert " 168 " in out
    environment = {"AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID, "DEPLOYMENTS_FILE": str(file)}
    _, out, _ = run(capsys, "preview", "--json", **environment)
    (shown,) = json.loads(out)["deployments"]
    assert shown["certain"] == shown["always_on"]
    file.write_text(file.read_text().replace("start: scheduled", "start: on_demand"))
    _, out, _ = run(capsys, "preview", **environment)
    assert "at 1.70 an hour, round the clock\n  uploads: documents are answered at once" in out
    assert "not forecast" not in out and "up to" not in out, "uploads start nothing that is up already"


def test_validate_tells_dates_and_closures(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of the file; hours a week are those of days and times alone."""
    dates = "skip_holidays: DE-BE, skip_dates: [2026-12-24], also_on: [2026-12-27], until: 2099-12-31"
    closure = "closures: [{from: 2026-12-31T12:00:00Z, to: 2027-01-01T00:00:00Z, reason: inventory}]"
    text = FILE.replace('to: "18:00"}', f'to: "18:00", {dates}}}')
    file.write_text(text.replace("    uploads:", f"    {closure}\n    uploads:"))
    out, _ = validated(capsys, file)
    assert (
        "mon-fri 09:00-18:00 Europe/Berlin, until 2099-12-31, not on holidays of DE-BE, not on 2026-12-24, "
        "also on 2026-12-27; "
    ) in out
    assert "closed 2026-12-31T12:00:00+00:00 to 2027-01-01T00:00:00+00:00 (inventory)" in out
    assert " 54+ " not in out and " 54 " in out


def test_validate_tells_every_problem_with_its_remedy(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key, value and remedy of each mistake at once, for people and as JSON."""
    file.write_text(FILE.replace("Europe/Berlin", "Europe/Berln").replace("capacity: 120", "capacity: lots"))
    code, out, err = run(capsys, "validate", str(file))
    assert (code, out) == (2, "")
    assert "did you mean 'Europe/Berlin'?" in err
    assert "deployments.clauses.sku.capacity" in err
    assert "set AZURE_OPENAI_ACCOUNT_ID in the app settings" in err
    code, out, _ = run(capsys, "validate", str(file), "--json")
    problems: list[dict[str, Any]] = json.loads(out)["problems"]
    assert code == 2
    assert {"key", "value", "remedy"} == set(problems[0])
    assert len(problems) == 3


def test_a_name_that_the_console_cannot_show_is_no_error(file: Path) -> None:
    """Where the console's encoding lacks a character, it is written with an escape."""
    named = file.rename(file.with_name("Übersicht.yaml"))
    environment = {**os.environ, "AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "shared", "validate", str(named)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xdcbersicht.yaml can be used" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["validate", "FILE"], ["validate", "FILE", "--json"], ["up", "--help"]]
)
def test_a_reader_that_has_gone_ends_a_command_quietly(file: Path, arguments: list[str]) -> None:
    """As in `status | head`: no traceback, and the code that a shell gives to a closed pipe."""
    command = [sys.executable, "-m", "shared", *(str(file) if each == "FILE" else each for each in arguments)]
    environment = {**os.environ, "AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        shown = running.stderr.read()
        assert shown == b"" and running.wait(60) in (0, 141)


def test_a_command_continues_where_nobody_reads_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error may be closed while passes are made; the answer is still printed."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "closed")

    terminal = Terminal(sys.stdout, Closed(), as_json=False)
    terminal.tell("still at it")
    terminal.show({}, ["done"])
    assert capsys.readouterr().out == "done\n"
    with pytest.raises(OutputClosed):
        Terminal(Closed(), sys.stderr, as_json=False).show({}, ["done"])


def test_the_program_s_metadata_is_what_the_app_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Its dependencies are those that Azure installs, its version is the code's, its entry point is there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert project["dependencies"] == [line for line in lines if line[:1].isalpha()]
    module, _, function = project["scripts"]["lamplighter"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    with pytest.raises(SystemExit):
        main(["--version"], {})
    assert capsys.readouterr().out == f"lamplighter {VERSION}\n"


def test_validate_asks_for_the_file_behind_a_blob(capsys: pytest.CaptureFixture[str]) -> None:
    """It does not call Azure, so the command must name the file."""
    code, _, err = run(capsys, "validate", DEPLOYMENTS_FILE="blob:settings/deployments.yaml")
    assert code == 2
    assert "name the FILE" in err
