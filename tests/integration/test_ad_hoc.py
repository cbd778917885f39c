"""Ad hoc: documents start their deployment themselves, also when Azure misbehaves.

All tests share one installation; each has its own deployment and account.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from local.azurite import Azurite
from tests.integration.stack import Stack, letter, run_stack, show_tail

DEPLOYMENTS = (
    "unlucky",
    "alone",
    "crowd",
    "patient",
    "filtered",
    "theirs",
    "slow-to-answer",
    "throttled",
    "flickering",
    "too-large",
)
# 900 characters, near Azure's limit of 1,024 for a blob's name, which counts emoji twice.
AWKWARD_NAME = ("Lieferbestätigung 📦🧾 " * 45)[:896] + ".txt"


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, azurite_accounts: Iterator[Azurite]
) -> Iterator[Stack]:
    """Run the app with a document whose deployment fails. That takes half a minute: its test comes last."""
    folder = tmp_path_factory.mktemp("ad-hoc")
    with run_stack(folder, next(azurite_accounts), {name: {} for name in DEPLOYMENTS}) as stack:
        stack.azure.add_fault(plane="arm", operation="put", deployment="unlucky", provision="Failed")
        stack.upload("unlucky/letter.txt", letter("Unlucky"))
        yield stack


@pytest.fixture
def stack(installation: Stack) -> Iterator[Stack]:
    before = len(installation.output)
    yield installation
    show_tail(installation.output[before:])


def test_a_document_starts_its_deployment_and_ends_it(stack: Stack) -> None:
    """For an upload with an awkward name the deployment is created, the answer stored, and all is deleted."""
    assert len(AWKWARD_NAME) == 900
    stack.upload(f"alone/{AWKWARD_NAME}", letter("Alone"))
    stack.wait_until_answered("alone", {AWKWARD_NAME: letter("Alone")})
    assert len(stack.wait_until_gone("alone")) == 1
    [document] = stack.documents("alone")
    assert (document["state"], document["attempts"]) == ("done", 0)


def test_twenty_documents_at_once_share_one_deployment(stack: Stack) -> None:
    """Twenty uploads in the same second lead to one create, one generation and twenty results."""
    documents = {f"{number}.txt": letter(f"Number {number}") for number in range(20)}
    with ThreadPoolExecutor(20) as pool:
        uploads = [pool.submit(stack.upload, f"crowd/{name}", text) for name, text in documents.items()]
    for upload in uploads:
        upload.result()
    stack.wait_until_answered("crowd", documents)
    assert len(stack.wait_until_gone("crowd")) == 1
    assert stack.azure.writes("crowd") == (1, 1)
    assert stack.states("crowd") == {(name, "done"): 1 for name in documents}


def test_a_caller_may_wait_for_the_result(stack: Stack) -> None:
    """With `Prefer: wait=60` the response to the submission is the result itself."""
    answer = stack.submit("patient", "letter.txt", letter("Patient"), prefer="wait=60")
    assert answer.status == 200, answer.body
    assert answer.json["answer"].startswith("Patient")
    assert stack.api(answer.headers["Location"].removeprefix("/api/")).json["state"] == "done"
    stack.wait_until_answered("patient", {"letter.txt": letter("Patient")})
    assert len(stack.wait_until_gone("patient")) == 1


def test_what_the_content_filter_refuses_fails_alone(stack: Stack) -> None:
    """The content filter refuses one of three documents: it fails with the reason, two are answered."""
    refused = f"{letter('Refused')} [[content_filter]]"
    stack.upload("filtered/refused.txt", refused)
    accepted = {"first.txt": letter("First"), "second.txt": letter("Second")}
    for name, text in accepted.items():
        stack.upload(f"filtered/{name}", text)
    stack.wait_until_answered("filtered", accepted)
    stack.wait_until_gone("filtered")
    failed = stack.stored("failed", "filtered")
    [source] = [name for name in failed if not name.endswith(".reason.txt")]
    assert failed[source].decode() == refused
    assert "content filter" in failed[f"{source}.reason.txt"].decode()
    [document] = [each for each in stack.documents("filtered") if each["name"] == "refused.txt"]
    assert document["state"] == "failed"
    assert "content filter" in document["reason"]
    assert document["moved_to"] == f"failed/{source}"


def test_a_deployment_of_somebody_else_is_used_and_left_alone(stack: Stack) -> None:
    """A deployment of that name exists already: it answers the document, and is not changed."""
    stack.azure.put_deployment("theirs")
    stack.wait("it is provisioned", lambda: _provisioning_state(stack, "theirs") == "Succeeded")
    before = stack.azure.get_deployment("theirs")
    stack.upload("theirs/letter.txt", letter("Theirs"))
    stack.wait_until_answered("theirs", {"letter.txt": letter("Theirs")})
    stack.wait("nobody needs it", lambda: stack.deployment("theirs")["step"] == "nothing")
    assert stack.deployment("theirs")["observed"] == "foreign"
    assert stack.azure.get_deployment("theirs") == before
    assert stack.azure.writes("theirs") == (1, 0), "the one PUT is the test's"
    stack.azure.delete_deployment("theirs")


def test_succeeded_is_not_ready(stack: Stack) -> None:
    """Azure reports Succeeded but answers 404 for some time: the document waits, and is then answered."""
    stack.azure.add_fault(
        plane="data",
        operation="chat",
        deployment="slow-to-answer",
        status=404,
        code="DeploymentNotFound",
        count=1000,
    )
    stack.upload("slow-to-answer/letter.txt", letter("Slow"))
    stack.wait("it has answered 404 twice", lambda: stack.azure.fired("slow-to-answer") >= [2])
    assert stack.deployment("slow-to-answer")["observed"] == "succeeded"
    assert stack.states("slow-to-answer") == {("letter.txt", "waiting"): 1}
    stack.azure.clear_faults()
    stack.wait_until_answered("slow-to-answer", {"letter.txt": letter("Slow")})
    [session] = stack.wait_until_gone("slow-to-answer")
    assert session.requests_refused >= 2
    [document] = stack.documents("slow-to-answer")
    assert document["attempts"] == 0


@pytest.mark.parametrize(
    ("deployment", "fault", "pause"),
    [
        ("throttled", {"status": 429, "code": "429", "headers": {"Retry-After": "2"}}, 2.0),
        ("flickering", {"status": 404, "code": "DeploymentNotFound"}, 0.0),
    ],
)
def test_a_refusal_that_passes_is_nobodys_fault(
    stack: Stack, deployment: str, fault: dict[str, object], pause: float
) -> None:
    """The open deployment refuses both requests once: they wait for its Retry-After, and are answered."""
    about = {"plane": "data", "operation": "chat", "deployment": deployment}
    # The probe that opens the deployment is delayed until the fault for the documents is set.
    stack.azure.add_fault(**about, delay_seconds=2)
    documents = {"first.txt": letter("First"), "second.txt": letter("Second")}
    for name, text in documents.items():
        stack.upload(f"{deployment}/{name}", text)
    stack.wait("the probe is under way", lambda: stack.azure.fired(deployment) == [1])
    stack.azure.add_fault(**about, **fault, count=2)
    stack.wait_until_answered(deployment, documents)
    stack.wait_until_gone(deployment)
    assert stack.azure.fired(deployment) == [1, 2]
    assert [document["attempts"] for document in stack.documents(deployment)] == [0, 0]
    for result in stack.results(deployment):
        timings = result["timings"]
        asked_at, answered_at = (datetime.fromisoformat(timings[key]) for key in ("asked_at", "answered_at"))
        assert answered_at - asked_at >= timedelta(seconds=pause)


def test_a_document_of_fifty_megabytes_and_a_byte_is_refused(stack: Stack) -> None:
    """A document above the limit is refused with the reason and kept in `failed`; nothing is deployed."""
    stack.upload("too-large/archive.txt", b"a" * 50_000_001)
    stack.wait("it is refused", lambda: stack.states("too-large") == {("archive.txt", "failed"): 1})
    [document] = stack.documents("too-large")
    assert "limits.max_document_bytes is 50,000,000" in document["reason"]
    stack.wait("it is moved", lambda: not stack.stored("inbox", "too-large"))
    assert 50_000_001 in map(len, stack.stored("failed", "too-large").values())
    assert stack.deployment("too-large")["unfinished"] == 0
    assert stack.azure.writes("too-large") == (0, 0)


def test_a_deployment_that_failed_is_created_again(stack: Stack) -> None:
    """After failed provisioning it is deleted and, half a minute later, created again for the document.

    The document was submitted before the other tests. At the end no deployment of any test is left in Azure.
    """
    stack.wait_until_answered("unlucky", {"letter.txt": letter("Unlucky")})
    failed, answered = stack.wait_until_gone("unlucky")
    assert failed.ready is None
    assert failed.deleted is not None
    assert answered.created - failed.deleted >= timedelta(seconds=25)
    [document] = stack.documents("unlucky")
    assert document["attempts"] == 0
    stack.wait("Azure hosts nothing", lambda: stack.azure.bill()["open"] == 0)
    stack.assert_log_is_discreet()


def _provisioning_state(stack: Stack, deployment: str) -> str:
    found = stack.azure.get_deployment(deployment)
    return found["properties"]["provisioningState"] if found else "absent"
