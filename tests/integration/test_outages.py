"""Outages: a configuration that cannot be used, and a host that dies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.azurite import Azurite
from tests.integration.deployments_file import scheduled, write_deployments
from tests.integration.stack import QUICK, letter, run_stack

FUNCTIONS = {
    "reconcile_deployments",
    "queue_drains",
    "drain_deployment",
    "sync_sources",
    "deliver_events",
    "document_uploaded",
    "submit_document",
    "cancel_document",
    "check_key",
    "openai_api",
    "list_documents",
    "get_document",
    "get_result",
    "requeue_document",
    "list_deployments",
    "get_deployment",
    "hold_deployment",
    "release_deployment",
    "preview_hosting",
}


def test_a_broken_configuration_is_reported_and_can_be_corrected(tmp_path: Path, azurite: Azurite) -> None:
    """With a mistake in deployments.yaml nothing is hosted or lost; after its correction all is answered."""
    mistake = {"time_zone": "Europe/Berln"}
    with run_stack(tmp_path, azurite, {"mail": {}}, defaults=mistake) as stack:
        assert stack.functions() == FUNCTIONS
        for answer in (stack.submit("mail", "refused.txt", letter("Refused")), stack.api("deployments")):
            assert answer.status == 503
            assert "defaults.time_zone" in answer.json["error"]
            assert "did you mean 'Europe/Berlin'?" in answer.json["error"]
        stack.upload("mail/letter.txt", letter("Kept"))
        done = "function=document_uploaded invocation="
        stack.wait("the upload was seen", lambda: done in stack.output)
        stack.wait("a pass was tried", lambda: "function=reconcile_deployments invocation=" in stack.output)
        assert stack.stored("inbox", "mail") == {"mail/letter.txt": letter("Kept").encode()}
        assert stack.azure.bill()["arm_calls"]["mail"] == {"put": 0, "delete": 0, "list": 0, "get": 0}

        write_deployments(stack.deployments_file, {"mail": {}})
        stack.wait_until_answered("mail", {"letter.txt": letter("Kept")})
        assert len(stack.wait_until_gone("mail")) == 1
        assert stack.azure.bill()["open"] == 0
        stack.assert_log_is_discreet()


def test_a_killed_host_continues_where_it_was(tmp_path: Path, azurite: Azurite) -> None:
    """If it is killed during a create and started again, the same deployment answers each document once.

    The documents arrive before the window. So no drain lease is held, which would outlive the host by up to
    a minute.
    """
    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
    batch = scheduled(opens, opens + timedelta(hours=1), stop_when_empty=True)
    slow = replace(QUICK, provision_median=6.0, provision_p95=6.0)
    with run_stack(tmp_path, azurite, {"mail": batch}, behaviour=slow) as stack:
        documents = {f"{number}.txt": letter(f"Number {number}") for number in range(3)}
        for name, text in documents.items():
            stack.upload(f"mail/{name}", text)
        waiting = {(name, "waiting"): 1 for name in documents}
        stack.wait("they are recorded", lambda: stack.states("mail") == waiting)
        stack.wait("it is being created", lambda: stack.deployment("mail")["observed"] == "creating")
        stack.kill_host()
        assert not stack.results("mail")
        [session] = stack.azure.sessions("mail")
        assert session.deleted is None

        stack.start_host()
        stack.wait_until_answered("mail", documents)
        assert len(stack.wait_until_gone("mail")) == 1
        assert stack.azure.writes("mail") == (1, 1)
        assert stack.states("mail") == {(name, "done"): 1 for name in documents}
        assert stack.azure.bill()["open"] == 0
