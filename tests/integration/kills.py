"""The functions host is killed again and again while documents flow and Azure misbehaves: what must hold.

Some of the kills are by documents that the worker dies of whenever it would ask about them (fragile_host.py).
Told by test_kills.py with a few kills and by `dev.py bench kills` with many. The emulator's meter and what is
stored are the judges, not the app: one result for each document but those made to fail or to kill, nothing
left in the inbox, nothing hosted, the worker never above an instance's memory, no request in flight when a
deployment was deleted. For the last no exception is made for a killed host: the work lease that it leaves
behind outlives every request that it may have begun.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from local.stack import Behaviour, StackError
from tests.integration.deployments_file import Section, scheduled
from tests.integration.fragile_host import DEADLY
from tests.integration.stack import TICK, Stack, letter, run_stack

MEMORY = 512  # MB: the smallest instance of Flex Consumption
REFUSED = "[[content_filter]]"  # the emulator's mark of what its content filter refuses
_DEATH = 5.0  # seconds until the system has ended a process that took its connections with it
# Provisioning that varies, and answers that take long enough to be killed over; seconds.
BEHAVIOUR = Behaviour(
    provision_median=2.0, provision_p95=4.0, delete_seconds=1.0, warmup_seconds=0.5, latency_seconds=2.0
)


@dataclass(frozen=True)
class Pace:
    """How fast the story is told; all in seconds."""

    host: str  # the module that runs the host
    spell: tuple[float, float]  # from a start of the host to its kill, the least and the most
    burst: float  # between two bursts of documents, on average
    weather: float  # between two changes of what goes wrong, on average
    window: float  # a window's length, and that of the pause before the next one
    late: float  # the longest that a write's effect, or the news of one, is late
    leftovers: (
        float  # the longest that what a killed host leaves behind keeps a deployment from being deleted
    )
    patience: float  # for documents to be answered and deployments to be gone, in the end
    killers: int = 0  # documents that the worker dies of; not in seconds


@dataclass
class Figures:
    """What was measured."""

    kills: int = 0
    kills_while_asking: int = 0  # requests were in flight at the kill
    requests_in_flight_at_kills: int = 0
    kills_while_creating: int = 0
    kills_while_hosted: int = 0
    documents: int = 0
    done: int = 0
    failed_as_made_to: int = 0
    killers: int = 0  # of those, that the worker dies of
    killers_deaths: int = 0  # how often it did
    out_of_memory: int = 0
    memory_peak: int = 0  # MB of the last worker
    results: int = 0
    deployments_hosted: int = 0
    cut: int = 0
    faults_fired: Counter[str] = field(default_factory=Counter)
    seconds_until_answered: float = 0.0  # after the last kill
    ticks_until_gone: int = 0  # after that
    longest_wait: float = 0.0  # seconds from a document's arrival to its answer
    hosted_seconds: float = 0.0


def run_kills(folder: Path, azurite: Azurite, pace: Pace, kills: int, seed: int) -> Figures:
    """Tell the story. Raises AssertionError, with the seed, for a promise that was not kept."""
    try:
        deployments = _deployments(pace.window)
        limit = MEMORY if sys.platform == "linux" else None
        with run_stack(
            folder, azurite, deployments, behaviour=BEHAVIOUR, host=pace.host, memory_limit=limit
        ) as stack:
            story = _Story(stack, pace, deployments, random.Random(seed))
            for _ in range(kills):
                story.kill_after_a_spell()
            story.end()
            return story.figures
    except BaseException as error:
        error.add_note(f"The random moments came from seed {seed}; logs: {folder}")
        raise


def _deployments(window: float) -> Mapping[str, Section]:
    """Three on demand, and two in windows that close again and again over what is being answered there.

    Those that share an account get in each other's way. Windows are so many that they outlast the story.
    """
    now, each = datetime.now(UTC), timedelta(seconds=window)
    starts = [now + 2 * number * each for number in range(100)]
    windows = [scheduled(start, start + each, stop_when_empty=True) for start in starts]
    nightly = {**windows[0], "schedule": [single["schedule"][0] for single in windows]}
    return {
        "letters": {},
        "invoices": {"account": "letters"},
        "nightly": nightly,
        "claims": {"account": "nightly"},
        "weekly": nightly,
    }


class _Story:
    """Kills, documents and faults at random moments."""

    def __init__(
        self, stack: Stack, pace: Pace, deployments: Mapping[str, Section], dice: random.Random
    ) -> None:
        self.figures = Figures()
        self._stack = stack
        self._pace = pace
        self._dice = dice
        self._names = list(deployments)
        self._on_demand = [name for name in self._names if "schedule" not in deployments[name]]
        self._in_windows = [name for name in self._names if "schedule" in deployments[name]]
        self._burst_at = self._weather_at = time.monotonic()
        self._written = 0
        self._sent: dict[str, dict[str, str]] = {name: {} for name in self._names}  # texts by file name

    def kill_after_a_spell(self) -> None:
        """Let the host live for a spell, in which documents come and things go wrong; kill it; start it."""
        # The others come to rest meanwhile, so that deployments are deleted all the time too.
        busy = (self._dice.choice(self._in_windows), self._dice.choice(self._names))
        self._live(busy, self._dice.uniform(*self._pace.spell))
        if self._dice.random() < 0.5:
            # Leases of the host before keep work waiting: every other kill comes when there is some again,
            # while answers are awaited, stored or recorded.
            self._live(busy, self._pace.spell[1], until=lambda: self._stack.azure.bill()["in_flight"] > 0)
            self._live(busy, self._dice.uniform(0.0, 1.5 * BEHAVIOUR.latency_seconds))
        self._note_kill()
        self._stack.kill_host()
        self._drop(self._dice.choice(busy))  # while nobody looks
        self._start()

    def _live(self, busy: Sequence[str], seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """So many seconds, or until it is true, whichever comes first."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and not until():
            if now >= self._burst_at:
                self._send(self._dice.choice(busy), self._dice.randint(1, 6))
                self._burst_at = now + self._dice.expovariate(1 / self._pace.burst)
            if now >= self._weather_at:
                self._change_weather()
                self._weather_at = now + self._dice.expovariate(1 / self._pace.weather)
            self._revive()
            time.sleep(max(0.0, min(0.1, end - time.monotonic())))

    def _revive(self) -> None:
        """Start the host that a document has ended, as the platform does."""
        while self._stack.has_died():
            self.figures.killers_deaths += 1
            self._start()

    def _start(self) -> None:
        try:
            self._stack.start_host()
        except StackError:
            if not self._stack.has_died():  # of a document, before it could say that it was ready
                raise

    def end(self) -> None:
        """Let nothing more go wrong, wait until all is answered and deleted, and check every promise."""
        self._clear_weather()
        while self.figures.killers < self._pace.killers:
            place = self._dice.choice(self._on_demand)
            self._drop(place, deadly=True)
            self._send(place, 3)
        began = time.monotonic()
        self._wait("every document is finished", self._is_finished)
        self.figures.seconds_until_answered = round(time.monotonic() - began, 1)
        ticks = self._ticks()
        self._wait("nothing is hosted, and the app knows", self._is_gone)
        self.figures.ticks_until_gone = self._ticks() - ticks
        # Ten more for what Azure itself takes, on a machine that is busy otherwise.
        bound = self._pace.leftovers / TICK + 10
        assert self.figures.ticks_until_gone <= bound, f"{self.figures.ticks_until_gone} ticks, not {bound}"
        for name in self._names:
            self._check_documents(name)
        self._check_meter()
        self.figures.out_of_memory = self._stack.out_of_memory()
        self.figures.memory_peak = self._stack.peak_memory()
        assert self.figures.out_of_memory == 0
        last_sweep = [line for line in self._stack.output.splitlines() if '"event": "sweep"' in line][-1]
        assert '"unaccounted": 0' in last_sweep, last_sweep
        self._stack.assert_log_is_discreet()

    # --- what happens -------------------------------------------------------------------------------

    def _send(self, deployment: str, count: int) -> None:
        for _ in range(count):
            if self._dice.random() < 0.2:
                self._submit(deployment)
            else:
                self._drop(deployment)
        on_demand = deployment in self._on_demand
        if on_demand and self.figures.killers < self._pace.killers and self._dice.random() < 0.1:
            self._drop(deployment, deadly=True)

    def _submit(self, deployment: str) -> None:
        name, text = self._write(deployment)
        try:
            answer = self._stack.submit(deployment, name, text)
        except (OSError, HTTPException):
            if not self._stack.has_died_within(_DEATH):
                raise
            # The worker died meanwhile. Whoever submits does not know whether it was taken in, but we look.
            self._revive()
            known = (each["name"] for each in self._stack.documents(deployment))
            if f"{deployment}/{name}" not in self._stack.waiting(deployment) and name not in known:
                del self._sent[deployment][name]
        else:
            assert answer.status == 202, answer.body

    def _drop(self, deployment: str, *, deadly: bool = False) -> None:
        name, text = self._write(deployment, deadly=deadly)
        self._stack.upload(f"{deployment}/{name}", text)

    def _write(self, deployment: str, *, deadly: bool = False) -> tuple[str, str]:
        sent, self._written = self._sent[deployment], self._written + 1
        name = f"{self._written}.txt"
        sent[name] = letter(f"Number {self._written} for {deployment}")
        if deadly:
            self.figures.killers += 1
            sent[name] += f" {DEADLY}"
        elif self._dice.random() < 0.05:
            sent[name] += f" {REFUSED}"
        return name, sent[name]

    def _change_weather(self) -> None:
        """Something else goes wrong from now on; at times nothing does, so that work gets done."""
        self._clear_weather()
        for _ in range(self._dice.choice((0, 0, 1, 2, 3, 4))):
            self._stack.azure.add_fault(**self._fault())

    def _clear_weather(self) -> None:
        self.figures.faults_fired += self._stack.azure.all_fired()
        self._stack.azure.clear_faults()

    def _fault(self) -> dict[str, Any]:
        operation = self._dice.choice(("put", "put", "delete", "delete", "list", "chat", "chat"))
        about = {"plane": "data" if operation == "chat" else "arm", "operation": operation}
        effects: list[dict[str, Any]] = [
            {"status": 429, "code": "429", "headers": {"Retry-After": "1"}},
            {"status": 500},
            {"status": 503, "headers": {"Retry-After": "1"}},
            {"drop": "before"},
            {"drop": "after"},
        ]
        late = self._dice.uniform(0.5, self._pace.late)
        match operation:
            case "put" | "delete":
                effects += [{"status": 409, "code": "RequestConflict"}, {"late_seconds": late}]
            case "list":
                effects += [{"lag_seconds": late}]
            case "chat":
                effects += [{"status": 409}, {"status": 404, "code": "DeploymentNotFound"}]
                effects += [{"delay_seconds": self._dice.uniform(0.5, 3.0)}] * 2
        if operation == "put":
            effects += [{"provision": "Failed"}, {"provision": "never_ready"}]
        return {**about, **self._dice.choice(effects), "count": self._dice.randint(1, 3)}

    def _note_kill(self) -> None:
        bill, figures = self._stack.azure.bill(), self.figures
        hosted = [row for row in bill["deployments"] if not row["deleted"]]
        figures.kills += 1
        figures.requests_in_flight_at_kills += bill["in_flight"]
        figures.kills_while_asking += bill["in_flight"] > 0
        figures.kills_while_creating += any(not row["ready"] for row in hosted)
        figures.kills_while_hosted += bool(hosted)

    # --- how it ends --------------------------------------------------------------------------------

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._pace.patience
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"waited {self._pace.patience:.0f} s until {what}"
            time.sleep(0.1)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        """Whether it is true; false if the host dies while it is asked."""
        self._revive()
        try:
            return condition()
        except (OSError, HTTPException):
            if not self._stack.has_died_within(_DEATH):
                raise
            return False

    def _ticks(self) -> int:
        """How often the timer of the passes has fired and its function has ended."""
        lines = self._stack.output.splitlines()
        return sum("function=reconcile_deployments" in line and " outcome=" in line for line in lines)

    def _is_finished(self) -> bool:
        """Whether the inbox is empty and every document has come to an end."""
        if any(self._stack.waiting(name) for name in self._names):
            return False
        told = (document for name in self._names for document in self._stack.documents(name))
        return all(document["state"] not in ("waiting", "claimed") for document in told)

    def _is_gone(self) -> bool:
        """Whether nothing is hosted by the meter, and the app's records have come to rest."""
        at_rest = all(self._stack.deployment(name)["observed"] == "absent" for name in self._names)
        return at_rest and self._stack.azure.bill()["open"] == 0

    def _check_documents(self, deployment: str) -> None:
        """Each was recorded once, answered once unless it was made to fail, and is kept where it belongs."""
        sent, figures = self._sent[deployment], self.figures
        refused = {name for name, text in sent.items() if REFUSED in text or DEADLY in text}
        states = Counter((name, "failed" if name in refused else "done") for name in sent)
        told = self._stack.documents(deployment)
        unexpected = [each for each in told if (each["name"], each["state"]) not in states]
        assert not unexpected, unexpected
        _assert_same("documents", Counter((each["name"], each["state"]) for each in told), states)
        results = self._stack.results(deployment)
        answered = Counter((each["document"]["name"], each["document"]["run"]) for each in results)
        _assert_same("results", answered, Counter((name, 1) for name in sent if name not in refused))
        for result in results:
            name = result["document"]["name"]
            assert result["answer"].startswith(sent[name].partition(",")[0]), name
            figures.longest_wait = max(figures.longest_wait, _seconds_waited(result))
        kept = Counter(self._stack.stored("processed", deployment).values())
        answers = Counter(text.encode() for name, text in sent.items() if name not in refused)
        _assert_same("processed", kept, answers)
        failed = self._stack.stored("failed", deployment)
        sources = Counter(text for name, text in failed.items() if not name.endswith(".reason.txt"))
        _assert_same("failed", sources, Counter(sent[name].encode() for name in refused))
        figures.documents += len(sent)
        figures.failed_as_made_to += len(refused)
        figures.done += len(sent) - len(refused)
        figures.results += len(results)

    def _check_meter(self) -> None:
        """Nothing is hosted, nothing was cut off, and every generation has its end."""
        bill, figures = self._stack.azure.bill(), self.figures
        figures.deployments_hosted = len(bill["deployments"])
        figures.hosted_seconds = round(bill["totals"]["hosted_seconds"], 1)
        figures.cut = bill["totals"]["cut"]
        assert figures.cut == 0, [row for row in bill["deployments"] if row["cut"]]
        assert bill["open"] == bill["in_flight"] == 0, json.dumps(bill)
        assert all(row["deleted"] for row in bill["deployments"]), json.dumps(bill)


def _assert_same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    """Told in full, also where no test runner explains assertions."""
    assert found == expected, f"{what}: too many are {found - expected}, missing are {expected - found}"


def _seconds_waited(result: Mapping[str, Any]) -> float:
    answered_at = datetime.fromisoformat(result["timings"]["answered_at"])
    return round((answered_at - datetime.fromisoformat(result["document"]["arrived_at"])).total_seconds(), 1)
