"""Windows: a batch that ends when all is answered, business hours, and documents that wait for a window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.azurite import Azurite
from tests.integration.deployments_file import LEAD, scheduled
from tests.integration.stack import letter, run_stack


def in_seconds(seconds: float) -> datetime:
    """Return the time so many seconds from now, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def test_a_batch_is_answered_in_its_window(tmp_path: Path, azurite: Azurite) -> None:
    """Documents wait for the window; the deployment is created just before it, and ends long before it."""
    opens = in_seconds(15)
    closes = opens + timedelta(hours=1)
    batch = scheduled(opens, closes, stop_when_empty=True)
    with run_stack(tmp_path, azurite, {"nightly": batch}) as stack:
        documents = {f"{number}.txt": letter(f"Number {number}") for number in range(5)}
        for name, text in documents.items():
            answer = stack.submit("nightly", name, text)
            assert answer.status == 202, answer.body
            assert answer.json["state"] == "waiting"
            shown = stack.api(answer.headers["Location"].removeprefix("/api/"))
            assert shown.json["name"] == name
        stack.wait_until_answered("nightly", documents)
        [session] = stack.wait_until_gone("nightly")
        assert opens - timedelta(seconds=LEAD) <= session.created
        assert session.deleted is not None
        assert session.deleted < closes - timedelta(minutes=50)
        assert stack.azure.bill()["open"] == 0


def test_business_hours_are_kept_without_documents(tmp_path: Path, azurite: Azurite) -> None:
    """The deployment is created before the window, answers documents during it, and is deleted after it."""
    opens = in_seconds(15)
    closes = opens + timedelta(seconds=15)
    with run_stack(tmp_path, azurite, {"office": scheduled(opens, closes)}) as stack:
        stack.wait("it is up", lambda: stack.deployment("office")["observed"] == "ready")
        assert stack.deployment("office")["unfinished"] == 0
        stack.wait("the window is open", lambda: datetime.now(UTC) >= opens)
        stack.upload("office/letter.txt", letter("Office"))
        stack.wait_until_answered("office", {"letter.txt": letter("Office")})
        [session] = stack.wait_until_gone("office")
        assert opens - timedelta(seconds=LEAD) <= session.created
        [result] = stack.results("office")
        assert opens <= datetime.fromisoformat(result["timings"]["answered_at"])
        assert session.deleted is not None
        assert session.deleted >= closes
        assert stack.azure.bill()["open"] == 0


def test_what_waits_may_be_overwritten_or_deleted(tmp_path: Path, azurite: Azurite) -> None:
    """One upload is overwritten and one deleted before the window: only the new version is answered."""
    opens = in_seconds(15)
    batch = scheduled(opens, opens + timedelta(hours=1), stop_when_empty=True)
    with run_stack(tmp_path, azurite, {"mailroom": batch}) as stack:
        stack.upload("mailroom/changed.txt", letter("Old version"))
        stack.upload("mailroom/dropped.txt", letter("Dropped"))
        waiting = {("changed.txt", "waiting"): 1, ("dropped.txt", "waiting"): 1}
        stack.wait("both wait", lambda: stack.states("mailroom") == waiting)
        stack.upload("mailroom/changed.txt", letter("New version"))
        stack.remove_upload("mailroom/dropped.txt")
        settled = {("changed.txt", "superseded"), ("dropped.txt", "withdrawn")}
        stack.wait("the old ones are settled", lambda: settled <= stack.states("mailroom").keys())
        stack.wait("the new one is recorded", lambda: len(stack.documents("mailroom")) == 3)
        stack.wait_until_answered("mailroom", {"changed.txt": letter("New version")})
        assert len(stack.wait_until_gone("mailroom")) == 1
        final = {*settled, ("changed.txt", "done")}
        assert stack.states("mailroom") == dict.fromkeys(final, 1)
        assert all(document["reason"] for document in stack.documents("mailroom"))
        assert stack.azure.bill()["open"] == 0
