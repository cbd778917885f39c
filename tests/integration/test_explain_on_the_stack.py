"""Why a deployment does not exist: by HTTP from the records alone, and by command with a call of Azure."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from tests.integration.deployments_file import scheduled
from tests.integration.stack import letter, run_stack

REFUSED = {"status": 400, "code": "InsufficientQuota", "message": "no quota in this region"}


def test_a_deployment_explains_itself_by_http(tmp_path: Path, azurite: Azurite) -> None:
    """If Azure refuses it: backoff, problem and time. Once it exists: its cost and its last decisions."""
    opens = datetime.now(UTC) + timedelta(hours=3)
    deployments = {"refused": {}, "mail": {}, "night": scheduled(opens, opens + timedelta(hours=1))}
    with run_stack(tmp_path, azurite, deployments) as stack:
        stack.azure.add_fault(plane="arm", operation="put", deployment="refused", **REFUSED)
        stack.upload("refused/letter.txt", letter("Blocked"))
        stack.upload("mail/letter.txt", letter("Hosted"))

        def explained(name: str) -> dict[str, Any]:
            answer = stack.api(f"deployments/{name}")
            assert answer.status == 200, answer.body
            return dict(answer.json)

        stack.wait(
            "the next step waits",
            lambda: "the last try to host it failed" in str(explained("refused")["blocked"]),
        )
        found = explained("refused")
        assert (found["wanted"], found["observed"]) == ("up", "absent")
        assert "no quota in this region" in found["blocked"]
        assert datetime.fromisoformat(found["next_step"]["again_at"]) > datetime.now(UTC)
        assert (found["unfinished"], found["unfinished_more"]) == (1, False)
        assert found["oldest_unfinished"]["age_seconds"] > 0

        stack.wait_until_answered("mail", {"letter.txt": letter("Hosted")})
        stack.wait_until_gone("mail")
        stack.wait("its session ended", lambda: explained("mail")["session"]["ended_at"])
        found = explained("MAIL")
        assert {"create", "serve", "delete"} <= {each["action"] for each in found["decisions"]}
        assert 0 < found["this_month"]["cost_at_most"] <= found["this_month"]["always_on_cost"]
        assert found["this_month"]["sessions"] == 1

        assert datetime.fromisoformat(explained("night")["next_change"]) > datetime.now(UTC)
        unknown = stack.api("deployments/nihgt")
        assert unknown.status == 404
        assert unknown.json["error"].endswith("did you mean 'night'?")
        calls = stack.azure.bill()["arm_calls"]["night"]
        for _ in range(5):
            explained("night")
        assert stack.azure.bill()["arm_calls"]["night"] == calls, (
            "idle: only a question could have asked Azure"
        )
        sweep = stack.api("deployments").json["sweep"]
        assert sweep["unaccounted"] == 0
        assert 0 <= sweep["age_seconds"] < 60
        stack.assert_log_is_discreet()
