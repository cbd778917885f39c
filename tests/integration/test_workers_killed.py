"""Workers killed in mid-work: each document has one result, and others take over what the dead one had.

Real processes with the hurried host's limits. The checks read the emulator's meter and the storage.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.stack import Part
from tests.integration.deployments_file import scheduled
from tests.integration.hurried_host import HURRIED
from tests.integration.stack import QUICK, TICK, Stack, letter, run_stack

HOST = "tests.integration.hurried_host"
SLOW_ANSWERS = replace(QUICK, latency_seconds=2.0)
TAKEOVER = max(HURRIED.work_lease_seconds, HURRIED.blob_lease_seconds) + TICK
"""Seconds that a dead worker's deployments wait: its leases expire, then a tick puts a message."""
BUSY = 15.0  # seconds that a busy machine may add
_RESULT = re.compile(r"(\w+)/(\d+\.txt)\..*\.json")


def test_a_host_killed_in_a_burst_answers_every_upload_once(tmp_path: Path, azurite: Azurite) -> None:
    """Sixty uploads at once, and the host dies while many are asked: only those may be asked again."""
    texts = {f"{number}.txt": letter(f"Number {number}") for number in range(60)}
    ten_a_second = {"sku": {"name": "GlobalStandard", "capacity": 600}}
    with run_stack(tmp_path, azurite, {"letters": ten_a_second}, behaviour=SLOW_ANSWERS, host=HOST) as stack:
        upload(stack, {"letters": texts})
        stack.wait(
            "some are answered and many are asked",
            lambda: len(answered(stack)["letters"]) >= 5 and stack.azure.bill()["in_flight"] >= 8,
        )
        stack.kill_host()
        lost = asked(stack, "letters", texts).keys() - answered(stack)["letters"]
        assert len(lost) >= 8, "it died in mid-burst"
        stack.start_host()
        stack.wait_until_answered("letters", texts)
        assert len(stack.wait_until_gone("letters")) == 1
        assert stack.states("letters") == {(name, "done"): 1 for name in texts}
        check_asked(stack, "letters", texts, lost)
        assert stack.azure.bill()["open"] == 0
        stack.assert_log_is_discreet()


@pytest.mark.slow
def test_another_worker_takes_over_what_a_killed_one_drained(tmp_path: Path, azurite: Azurite) -> None:
    """Two workers drain four deployments by messages; one dies in mid-drain, and the other goes on with all.

    The uploads start nothing themselves; a hold hosts their deployments until the last is answered.
    """
    names = ("letters", "invoices", "claims", "offers")
    texts = {name: {f"{n}.txt": letter(f"Number {n} of {name}") for n in range(30)} for name in names}
    window = datetime.now(UTC) + timedelta(days=1)
    on_hold_only = scheduled(window, window + timedelta(hours=1))
    three_in_two_seconds = {"sku": {"name": "GlobalStandard", "capacity": 90}}
    deployments = {name: {**on_hold_only, **three_in_two_seconds} for name in names}
    with run_stack(tmp_path, azurite, deployments, behaviour=SLOW_ANSWERS, host=HOST, workers=2) as stack:
        upload(stack, texts)
        stack.wait("the uploads are recorded", lambda: uploads_handled(stack) == 120)
        assert stack.azure.bill()["deployments"] == []
        for name in names:
            held = {"way": "up", "for": "30m", "owner": "a test", "reason": "to drain it"}
            assert stack.post(f"deployments/{name}/hold", held).status == 200
        stack.wait("each is drained", lambda: all_drained(stack.workers) == set(names))
        killed = max(stack.workers, key=lambda worker: len(drained_by(worker)))
        theirs = drained_by(killed)
        killed.process.kill()
        killed.process.wait()
        died_at, before = datetime.now(UTC), answered(stack)
        assert all(len(before[name]) < 25 for name in theirs), "it died in mid-drain"
        lost = {name: asked(stack, name, texts[name]).keys() - before[name] for name in theirs}
        for name in names:
            stack.wait_until_answered(name, texts[name])
            assert stack.delete(f"deployments/{name}/hold").status == 200
        for name in names:
            assert len(stack.wait_until_gone(name)) == 1
            check_asked(stack, name, texts[name], lost.get(name, set()))
        for name in theirs:
            again_at = min(at for at, _ in stack.azure.admissions(name) if at > died_at)
            assert (again_at - died_at).total_seconds() <= TAKEOVER + BUSY
        assert stack.azure.bill()["open"] == 0
        stack.assert_log_is_discreet()


def upload(stack: Stack, texts: Mapping[str, Mapping[str, str]]) -> None:
    """Put all documents into the inbox at once."""
    files = [
        (f"{deployment}/{name}", text) for deployment in texts for name, text in texts[deployment].items()
    ]
    with ThreadPoolExecutor(10) as pool:
        for done in [pool.submit(stack.upload, *file) for file in files]:
            done.result()


def asked(stack: Stack, deployment: str, texts: Mapping[str, str]) -> Counter[str]:
    """Return how often each document was sent to the model, by file name."""
    names = {sha256(text.encode()).hexdigest(): name for name, text in texts.items()}
    return Counter(names[text] for _, text in stack.azure.admissions(deployment) if text in names)


def answered(stack: Stack) -> defaultdict[str, set[str]]:
    """Return the file names of the documents that have a result, by deployment."""
    found = defaultdict[str, set[str]](set)
    for name in stack.stored_names("results"):
        if match := _RESULT.fullmatch(name):
            found[match[1]].add(match[2])
    return found


def check_asked(stack: Stack, deployment: str, texts: Mapping[str, str], lost: set[str]) -> None:
    """Check that each was sent once; twice at most if its answer was `lost` with the worker."""
    counts = asked(stack, deployment, texts)
    assert counts.keys() == texts.keys()
    assert {name for name, count in counts.items() if count > 1} <= lost
    assert max(counts.values()) <= 2


def uploads_handled(stack: Stack) -> int:
    """Return how many events of uploads were handled, by the log."""
    lines = stack.output.splitlines()
    return sum("function=document_uploaded" in line and "outcome=succeeded" in line for line in lines)


def all_drained(workers: Sequence[Part]) -> set[str]:
    """Return the deployments of which any of the workers has finished documents."""
    return {name for worker in workers for name in drained_by(worker)}


def drained_by(worker: Part) -> set[str]:
    """Return the deployments of which a worker has finished documents, by its log."""
    lines = [line for line in worker.output().splitlines() if '"event": "document"' in line]
    return {json.loads(line[line.index("{") :])["deployment"] for line in lines}
