"""Holds and the preview, by HTTP in the running app and by command, on Azurite and the emulator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from tests.integration.command_line import WHY, Setup
from tests.integration.deployments_file import scheduled
from tests.integration.stack import letter, run_stack

OFFICE = {"days": "daily", "from": "09:00", "to": "18:00"}


def test_holds_and_the_preview_by_http(tmp_path: Path, azurite: Azurite) -> None:
    """A hold down makes uploads wait, a hold up needs none, a release deletes. The preview agrees."""
    opens = datetime.now(UTC) + timedelta(hours=3)
    deployments = {"mail": {}, "night": scheduled(opens, opens + timedelta(hours=1))}
    with run_stack(tmp_path, azurite, deployments) as stack:

        def previewed(name: str, query: str = "") -> dict[str, Any]:
            answer = stack.api(f"preview{query}")
            assert answer.status == 200, answer.body
            return next(each for each in answer.json["deployments"] if each["deployment"] == name)

        def hold(name: str, way: str) -> dict[str, Any]:
            wish = {"way": way, "for": "2h", "owner": "Jürgen", "reason": "a demo – with dashes"}
            answer = stack.post(f"deployments/{name}/hold", wish)
            assert answer.status == 200, answer.body
            return dict(answer.json)

        assert hold("mail", "down")["forecast"]["cost"] == 0
        stack.upload("mail/letter.txt", letter("Waiting"))
        stack.wait("it is recorded", lambda: stack.states("mail"))
        assert stack.deployment("mail")["hold"]["owner"] == "Jürgen"
        assert previewed("mail")["hold"]["way"] == "down"
        # Passes continue every other second and leave it alone.
        swept = stack.wait("a sweep", lambda: stack.api("deployments").json["sweep"])["began_at"]
        stack.wait("another", lambda: stack.api("deployments").json["sweep"]["began_at"] > swept)
        assert stack.azure.sessions("mail") == []
        assert stack.delete("deployments/mail/hold").json["released"] is True
        assert stack.delete("deployments/mail/hold").json["released"] is False
        stack.wait_until_answered("mail", {"letter.txt": letter("Waiting")})
        stack.wait_until_gone("mail")

        held = hold("night", "up")
        assert held["forecast"]["currency"] == "USD"
        assert 0 < held["forecast"]["cost"] < 2 * 1.70 + 0.1
        stack.wait("it is up", lambda: stack.deployment("night")["observed"] == "ready")
        forecast = previewed("night", "?days=2")
        assert forecast["always_on"]["hours"] == 48
        assert 2.9 < forecast["certain"]["hours"] < 3.1, "two hours of the hold and the window"
        assert stack.delete("deployments/night/hold").status == 200
        stack.wait_until_gone("night")

        refused = stack.post("deployments/mail/hold", {"way": "up", "for": "9y"})
        assert refused.status == 400
        assert {each["key"] for each in refused.json["problems"]} == {"for", "owner", "reason"}
        assert stack.post("deployments/nihgt/hold", {}).status == 404
        assert stack.api("preview?days=0").status == 400
        stack.assert_log_is_discreet()


async def test_the_command_previews_with_storage_and_from_the_file_alone(setup: Setup) -> None:
    """With the records it includes a hold; a change of the file is compared with the old file."""
    setup.configure(schedule=[OFFICE], uploads={"start": "scheduled"})
    old = setup.folder / "old.yaml"
    old.write_text((setup.folder / "deployments.yaml").read_text())
    setup.configure(schedule=[OFFICE | {"from": "08:00"}], uploads={"start": "scheduled"})
    assert (await setup.run("down", "clauses", "--for", "25h", *WHY)).code == 0
    document = (await setup.run("preview", "--days", "2", "--json")).json
    (forecast,) = document["deployments"]
    assert (document["records_known"], forecast["hold"]["way"]) == (True, "down")
    assert forecast["certain"]["hours"] < 10.25 + 0.1, "of two days the hold takes one"
    changed = (await setup.run("preview", "--days", "10", "--diff", str(old), "--json")).json["diff"]
    assert {each["deployment"] for each in changed["changes"]} == {"clauses"}
    assert changed["changes"][0]["certain"]["hours"] > 0
    assert "held down until" in (await setup.run("preview")).out
    setup.change(DOCUMENTS_STORAGE__tableServiceUri="")
    alone = (await setup.run("preview", "--days", "2")).out
    assert "from the file alone: holds and the past are not known" in alone
    assert await setup.hosted() == (0, 0)
