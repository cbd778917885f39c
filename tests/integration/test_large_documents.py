"""Contracts of 300 pages on the real stack: a host that dies repeats only what was in flight.

The emulator forwards to a server of the test, which answers only from what stands in the prompt.
"""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from local.azurite import Azurite
from shared.model import TINY
from tests.integration.stack import QUICK, SECRET, Stack, run_stack

HOST = "tests.integration.hurried_host"
NOTHING = "Who pays for the moon?"
EMBEDDER = "embedder"
SUBJECTS = ("rent", "deposit", "noise", "repairs", "keys", "garden", "insurance", "pets")
QUERIES = [
    *(f"What is agreed about the {subject} in clause {subject.upper()}?" for subject in SUBJECTS),
    NOTHING,
]
AT_ONCE = 16  # requests of one document in progress
UNTIL_KILLED = 10  # answers of each kind, before the others take so long that the host dies in the middle
_CLAUSE = re.compile(r"Clause ([A-Z]+): the party owes [0-9]+ dollars\.")
_WORDS = [
    f"{one}{two}" for one in ("al", "ber", "con", "dor", "est") for two in ("fin", "gra", "hel", "ima", "jun")
]


def contract() -> tuple[str, dict[str, str]]:
    """Return a text of 300 pages, and its clauses by subject."""
    dice = random.Random(14)
    pages = ["\n".join(" ".join(dice.choices(_WORDS, k=14)) + "." for _ in range(28)) for _ in range(300)]
    clauses = {
        each: f"Clause {each.upper()}: the party owes {dice.randint(10, 99)} dollars." for each in SUBJECTS
    }
    for page, clause in zip(dice.sample(range(300), len(clauses)), clauses.values(), strict=True):
        pages[page] += f"\n{clause}"
    return f"{SECRET}\n\n" + "\n\n".join(pages), clauses


class Answering(BaseHTTPRequestHandler):
    """Answer with the clauses in the prompt: all, or the one that is asked for."""

    killed = threading.Event()
    answered: ClassVar = Counter[bool]()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        time.sleep(0.1)
        self.answered[text.endswith("?")] += 1
        if self.answered[text.endswith("?")] > UNTIL_KILLED:
            self.killed.wait(4)
        answer = json.dumps(answer_to(text)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


def answer_to(text: str) -> dict[str, Any]:
    """Return a completion."""
    document, _, query = text.rpartition("\n\n")
    wanted = re.findall(r"in clause ([A-Z]+)\?$", query)
    found = [each[0] for each in _CLAUSE.finditer(document) if not wanted or each[1] in wanted]
    said = "no" if query == NOTHING else "\n".join(dict.fromkeys(found)) or "no"
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "clauses",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": len(text) // 4,
            "completion_tokens": 9,
            "total_tokens": len(text) // 4 + 9,
        },
    }


@contextmanager
def served() -> Iterator[str]:
    """Serve the model; yield its base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()


def asked(stack: Stack, deployment: str) -> Counter[str]:
    """Return how often each request was sent, by the emulator's meter; without those that only probe."""
    seen = Counter(text for _, text in stack.azure.admissions(deployment))
    del seen[sha256(TINY.text.encode()).hexdigest()]
    return seen


def test_a_host_that_dies_in_the_middle_repeats_only_what_was_in_flight(
    tmp_path: Path, azurite: Azurite
) -> None:
    """Of a contract that is cut, and of one that is searched; each has its whole answer after it.

    The order of the search is by embeddings, which are not made again.
    """
    text, clauses = contract()
    task = {
        "system_prompt": "prompt.md",
        "max_output_tokens": 400,
        "context_tokens": 12_000,
        "not_found": "no",
    }
    deployments = {
        "mapped": {"task": {**task, "large": "map_reduce"}},
        "searched": {"task": {**task, "large": "retrieve", "queries": QUERIES, "embeddings": EMBEDDER}},
    }
    with served() as url:
        behaviour = replace(QUICK, upstream=url, upstream_model="clauses")
        with run_stack(tmp_path, azurite, deployments, behaviour=behaviour, host=HOST) as stack:
            stack.azure.put_embedder("searched", EMBEDDER)
            for name in deployments:
                stack.upload(f"{name}/contract.txt", text)
            stack.wait("answers are kept", lambda: all(kept(stack, name) >= 6 for name in deployments))
            stack.kill_host()
            Answering.killed.set()
            lost = {name: asked(stack, name).total() - kept(stack, name) for name in deployments}
            stack.start_host()
            results = {name: result(stack, name) for name in deployments}
            for name, count in lost.items():
                repeated = [times for times in asked(stack, name).values() if times > 1]
                assert 0 < len(repeated) <= count <= AT_ONCE and set(repeated) == {2}, name
            assert set(results["mapped"]["answer"].split("\n")) - {""} == set(clauses.values())
            answers = results["searched"]["answer"]
            assert [each["answer"] for each in answers] == [*clauses.values(), "no"]
            passages = answers[-1]["passages"]
            assert passages["searched"] == passages["of"] > 200
            embedded = asked(stack, EMBEDDER)
            assert len(embedded) > 5 and set(embedded.values()) == {1}
            stack.wait("nothing is kept", lambda: stack.stored_names("checkpoints") == [])
            stack.wait("only the embedder stands", lambda: stack.azure.bill()["open"] == 1)
            stack.assert_log_is_discreet()


def kept(stack: Stack, deployment: str) -> int:
    """Return how many answers are kept."""
    names = [name for name in stack.stored_names("checkpoints") if name.startswith(f"{deployment}/")]
    return sum("/order-" not in name for name in names)


def result(stack: Stack, deployment: str) -> dict[str, Any]:
    """Return a deployment's only result once it is there."""
    (found,) = stack.wait(f"{deployment} is answered", lambda: stack.results(deployment))
    return found
