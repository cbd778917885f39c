"""`preview` by command, from the file alone: what it prints, and what it tells of another file."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.doors.cli.main import main, parser
from shared.doors.cli.preview import preview
from shared.doors.cli.terminal import Terminal
from shared.errors import InvalidRequest, SettingsError, UnknownDeployment
from tests.fakes.clock import START
from tests.unit.command_line import Answer, Screen
from tests.unit.settings_file import FILE

DAY = timedelta(days=1)
OFFICE = {"days": "mon-fri", "from": "09:00", "to": "18:00", "time_zone": "Europe/Berlin"}
NIGHT = {"days": "daily", "from": "22:00", "to": "04:00", "stop_when_empty": "true"}


def file(folder: Path, name: str = "deployments.yaml", **deployments: dict[str, Any]) -> Path:
    """A file with these deployments, on top of what each must have."""
    (folder / "prompt.md").write_text("Summarise.")
    common = {key: value for key, value in FILE["deployments"]["clauses"].items() if key != "schedule"}
    document = FILE | {
        "deployments": {
            each: common | {"uploads": {"start": "scheduled" if "schedule" in given else "on_demand"}} | given
            for each, given in deployments.items()
        }
    }
    path = folder / name
    path.write_text(yaml.safe_dump(document))
    return path


async def run(path: Path, *arguments: str, now: datetime = START) -> Answer:
    """`preview` on a Monday morning, with nothing but a file."""
    options = parser().parse_args(["preview", *arguments])
    out, err = Screen(), Screen()
    terminal = Terminal(out, err, as_json=options.json)
    code = await preview(options, terminal, {"DEPLOYMENTS_FILE": str(path)}, now)
    return Answer(int(code), out.getvalue(), err.getvalue())


async def test_the_file_alone_is_enough(tmp_path: Path) -> None:
    """No storage, no Azure: four weeks in local time and UTC, and what is not known is said."""
    path = file(
        tmp_path,
        office={"schedule": [OFFICE], "cost_center": "support"},
        night={"schedule": [NIGHT]},
        mail={"uploads": {"start": "on_demand"}, "mode": "observe"},
    )
    out = (await run(path, "--days", "28")).out
    assert "from the file alone: holds and the past are not known" in out.splitlines()[0]
    assert "185.00 h 314.50" in out, "20 working days of 9 h 15 min"
    assert "not forecast: the past is not known from the file alone" in out
    assert "mail (observe)" in out
    assert "08:45 to" in out and "UTC   9.25 h" in out
    assert "up to: while documents wait" in out
    assert "more to" in out and "--json tells them all" in out
    assert "together" in out


async def test_one_deployment_is_reported_alone_in_json(tmp_path: Path) -> None:
    """Every interval, with its local times; whatever the case of the name is."""
    path = file(tmp_path, office={"schedule": [OFFICE]}, night={"schedule": [NIGHT]})
    document = (await run(path, "--months", "12", "--deployment", "OFFICE", "--json")).json
    (shown,) = document["deployments"]
    assert (shown["deployment"], shown["time_zone"], document["records_known"]) == (
        "office",
        "Europe/Berlin",
        False,
    )
    assert 255 < len(shown["intervals"]) < 270
    for each in shown["intervals"][1:-1]:
        start, local = (datetime.fromisoformat(each[key]) for key in ("start", "local_start"))
        assert start == local and f"{local:%H:%M}" == "08:45" and start.utcoffset() == timedelta(0)


async def test_a_month_with_holidays_and_a_closure(tmp_path: Path) -> None:
    """Four weeks from 7 December, 2026 on: Christmas is a Friday, New Year's Day too, one day is closed."""
    office = {"schedule": [OFFICE | {"skip_holidays": "DE"}]}
    office["closures"] = [{"date": "2026-12-31", "time_zone": "Europe/Berlin", "reason": "stocktaking"}]
    path = file(tmp_path, office=office)
    now = START + 14 * DAY
    out = (await run(path, "--days", "28", now=now)).out
    assert "157.25 h 267.32" in out, "17 days of 9 h 15 min instead of 20"
    assert "Fri 2026-12-25 09:00 holiday: Christmas Day" in out
    assert "Fri 2027-01-01 09:00 holiday: New Year's Day" in out
    assert "Thu 2026-12-31 00:00 closure: stocktaking" in out
    (shown,) = (await run(path, "--days", "28", "--json", now=now)).json["deployments"]
    days = [each["local_start"][:10] for each in shown["intervals"]]
    assert len(days) == 18, "the first Monday's end and the last one's beginning make one day together"
    assert not {"2026-12-25", "2026-12-31", "2027-01-01"} & set(days)
    kinds = [(each["kind"], each["at"]) for each in shown["marks"]]
    assert kinds == [
        ("holiday", "2026-12-25T08:00:00+00:00"),
        ("closure", "2026-12-30T23:00:00+00:00"),
        ("holiday", "2027-01-01T08:00:00+00:00"),
    ]


@pytest.mark.parametrize(
    ("window", "says", "hours"),
    [
        (NIGHT, "Sun 2026-10-25 02:00 clocks: the clocks go back by 1:00:00; it is open for 7:00:00", 7.25),
        (OFFICE, "Sun 2026-10-25 02:00 clocks: the clocks go back by 1:00:00", 0),
    ],
)
async def test_a_change_of_the_clocks_is_marked(
    tmp_path: Path, window: dict[str, str], says: str, hours: float
) -> None:
    """In the night an hour more; and where no window is open, as from then on all are elsewhere in UTC."""
    path = file(tmp_path, one={"schedule": [window | {"time_zone": "Europe/Berlin"}]})
    saturday = datetime(2026, 10, 24, 17, 0, tzinfo=UTC)
    answer = await run(path, "--days", "1", now=saturday)
    assert says in answer.out
    (shown,) = (await run(path, "--days", "1", "--json", now=saturday)).json["deployments"]
    assert shown["certain"]["hours"] + shown["batch_at_most"]["hours"] == hours


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--deployment", "offcie"], "no deployment is called 'offcie': did you mean 'office'"),
        (["--diff", "missing.yaml"], "missing.yaml: cannot be read"),
    ],
)
async def test_wrong_use_is_reported(tmp_path: Path, arguments: list[str], says: str) -> None:
    """The command line ends with 2."""
    with pytest.raises((InvalidRequest, UnknownDeployment, SettingsError), match=says):
        await run(file(tmp_path, office={}), *arguments)


@pytest.mark.parametrize("arguments", [["--days", "0"], ["--months", "13"], ["--days", "1", "--months", "1"]])
async def test_wrong_arguments_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    """By argparse, with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        await run(file(tmp_path, office={}), *arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [
        ("deployments.yaml", 0, "office"),
        ("blob:config/deployments.yaml", 2, "DOCUMENTS_STORAGE__blobServiceUri"),
        ("missing.yaml", 2, "cannot be read"),
    ],
)
def test_the_command_line_needs_no_storage_unless_the_file_lies_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, code: int, says: str
) -> None:
    """What is missing is named."""
    folder = file(tmp_path, office={"schedule": [OFFICE]}).parent
    given = place if place.startswith("blob:") else str(folder / place)
    assert main(["preview"], {"DEPLOYMENTS_FILE": given}) == code
    printed = capsys.readouterr()
    assert says in (printed.err if code else printed.out)


@pytest.mark.parametrize("place", ["deployments.yaml", "blob:settings/deployments.yaml"])
def test_storage_that_cannot_be_read_costs_the_past_and_not_the_preview(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    free_port: int,
) -> None:
    """Nobody listens there: the schedule is shown with a note, unless it lies in that storage itself."""
    monkeypatch.setattr("shared.adapters.blob_service.RETRIES", 0)  # the pauses between tries take 12 s
    folder = file(tmp_path, office={"schedule": [OFFICE]}).parent
    url = f"http://127.0.0.1:{free_port}/account"
    environment = {
        "DEPLOYMENTS_FILE": place if place.startswith("blob:") else str(folder / place),
        "DOCUMENTS_STORAGE__blobServiceUri": url,
        "DOCUMENTS_STORAGE__tableServiceUri": url,
    }
    code = main(["preview"], environment)
    printed = capsys.readouterr()
    if place.startswith("blob:"):
        assert (code, printed.out) == (1, "") and "failed:" in printed.err
        return
    heading, note, *_ = printed.out.splitlines()
    assert code == 0 and "from the file alone" in heading
    assert note.startswith("The storage could not be read: table storage")
    assert "office: GlobalStandard at 1.70 an hour" in printed.out


@pytest.fixture
def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


# --- the difference of two files ---------------------------------------------------------------------


async def test_a_change_is_reported_in_hours_dollars_and_intervals(tmp_path: Path) -> None:
    """Office hours from 08:00 instead of 09:00; the night is new, the mail gone."""
    old = file(tmp_path, "old.yaml", office={"schedule": [OFFICE]}, mail={}, unchanged={})
    new = file(
        tmp_path, office={"schedule": [OFFICE | {"from": "08:00"}]}, night={"schedule": [NIGHT]}, unchanged={}
    )
    out = (await run(new, "--days", "28", "--diff", str(old))).out
    assert "+20.00  +20.00   +34.00    +34.00" in out
    assert "night (new)     0       +175.00  0         +297.50" in out
    assert "07:45 to" in out and "1.00 h" in out
    assert "\nunchanged" not in out
    document = (await run(new, "--days", "28", "--diff", str(old), "--json")).json
    changes = {each["deployment"]: each for each in document["diff"]["changes"]}
    office, night, mail = (changes.pop(name) for name in ("office", "night", "mail"))
    assert changes == {}
    assert office["certain"] == {"hours": 20.0, "cost": 34.0}
    assert {each["local_start"][11:16] for each in office["appears"]} == {"07:45"}
    assert (len(office["appears"]), office["vanishes"]) == (20, [])
    assert (night["before"], night["certain"]["hours"], night["at_most"]["hours"]) == (None, 0, 175)
    assert (mail["after"], mail["vanishes"]) == (None, [])


async def test_nothing_that_changes_is_said(tmp_path: Path) -> None:
    """A prompt, say: what is hosted stays."""
    path = file(tmp_path, office={"schedule": [OFFICE]})
    out = (await run(path, "--diff", str(path))).out
    assert f"Nothing changes against {path}." in out


async def test_two_currencies_are_not_compared(tmp_path: Path) -> None:
    """Dollars and euros have no difference."""
    new = file(tmp_path, office={})
    old = tmp_path / "old.yaml"
    old.write_text(new.read_text().replace("prices:\n", "prices:\n  currency: EUR\n"))
    with pytest.raises(InvalidRequest, match="different currencies"):
        await run(new, "--diff", str(old))
