"""Timer triggers, through the host as a process."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from host_process import HostProcess, blob_service

from local.azurite import Azurite

HOURLY = """
@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
def hourly(timer: func.TimerRequest) -> None:
    note("hourly", timer.past_due)
"""


def test_a_run_that_overruns_is_followed_by_one(tmp_path: Path, azurite: Azurite) -> None:
    """A run that is longer than the timer's second never overlaps another; the next ones are not past due."""
    app = """
    @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
    async def slow(timer: func.TimerRequest) -> None:
        note("start", timer.past_due)
        await asyncio.sleep(1.2)
        note("end")
    """
    with HostProcess(tmp_path, app, azurite) as host:
        host.wait(lambda: len(host.notes) >= 6)
        assert host.notes[:6] == ["start False", "end"] * 3


def test_an_occurrence_missed_while_the_host_was_down(tmp_path: Path, azurite: Azurite) -> None:
    """A start after the recorded occurrence fires once, past due; a later start and a new schedule do not."""
    record = blob_service(azurite).get_blob_client("azure-webjobs-hosts", "timers/hourly/status")
    clock = """
@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def clock(timer: func.TimerRequest) -> None:
    note("tick")
"""

    def run_for_two_seconds(schedule: str) -> list[str]:
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        with HostProcess(folder, HOURLY + clock, azurite, SCHEDULE=schedule) as host:
            host.wait(lambda: host.notes.count("tick") == 2)
            assert host.stop() == 0
            return [note for note in host.notes if note != "tick"]

    def status() -> dict[str, str]:
        return json.loads(record.download_blob().readall())

    def miss_an_occurrence() -> None:
        missed = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
        record.upload_blob(json.dumps({**status(), "next": missed}), overwrite=True)

    assert run_for_two_seconds("0 0 * * * *") == []
    miss_an_occurrence()
    assert run_for_two_seconds("0 0 * * * *") == ["hourly True"]
    assert datetime.fromisoformat(status()["next"]) > datetime.now(UTC)
    assert run_for_two_seconds("0 0 * * * *") == []
    miss_an_occurrence()
    assert run_for_two_seconds("0 0 0 1 1 *") == []
    assert datetime.fromisoformat(status()["next"]) > datetime.now(UTC)


def test_a_run_at_start(tmp_path: Path, azurite: Azurite) -> None:
    """A function with run_on_startup runs when the host starts, not past due; others wait for their time."""
    app = (
        HOURLY
        + """
@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def yearly(timer: func.TimerRequest) -> None:
    note("yearly", timer.past_due)
"""
    )
    with HostProcess(tmp_path, app, azurite, SCHEDULE="0 0 0 1 2 *") as host:
        host.wait(lambda: host.notes == ["yearly False"])
        status = json.loads(host.call("/admin/host/status")[2])
        assert status == {"functions": [{"name": "hourly"}, {"name": "yearly"}]}


def test_a_missing_setting_ends_the_host(tmp_path: Path, azurite: Azurite) -> None:
    """A schedule that names a missing setting ends the host with the name of the setting."""
    host = HostProcess(tmp_path, HOURLY, azurite)
    host.start()
    assert host.process.wait(30) == 1
    assert "'%SCHEDULE%' does not resolve to a value: set the setting SCHEDULE" in host.output
