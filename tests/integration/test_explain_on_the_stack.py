"""Why a deployment is not there: by HTTP from the records alone, and by command with a look at Azure."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from tests.integration.deployments_file import scheduled
from tests.integration.stack import letter, run_stack

REFUSED = {"status": 400, "code": "InsufficientQuota", "message": "no quota in this region"}


def test_a_deployment_explains_itself_by_http(tmp_path: Path, azurite: Azurite) -> None:
    """Refused by Azure: backoff, its problem and its time; and once it is there, its cost and how it came."""
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
        told = explained("refused")
        assert (told["wanted"], told["observed"]) == ("up", "absent")
        assert "no quota in this region" in told["blocked"]
        assert datetime.fromisoformat(told["next_step"]["again_at"]) > datetime.now(UTC)
        assert (told["unfinished"], told["unfinished_more"]) == (1, False)
        assert told["oldest_unfinished"]["age_seconds"] > 0

        stack.wait_until_answered("mail", {"letter.txt": letter("Hosted")})
        stack.wait_until_gone("mail")
        stack.wait("its session ended", lambda: explained("mail")["session"]["ended_at"])
        told = explained("MAIL")
        assert {"create", "serve", "delete"} <= {each["action"] for each in told["decisions"]}
        assert 0 < told["this_month"]["cost_at_most"] <= told["this_month"]["always_on_cost"]
        assert told["this_month"]["sessions"] == 1

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
