"""Kill the functions host repeatedly while documents arrive and Azure misbehaves, then check the promises.

Some documents kill the worker themselves whenever it would send their requests (fragile_host.py).
test_kills.py runs this with a few kills, `dev.py bench kills` with many. The checks read the emulator's meter
and the storage, not the app: every document has one result, except those that must fail or that kill; the
inbox is empty and nothing is hosted; the worker never exceeded an instance's memory; no request was in flight
when a deployment was deleted. The last one holds for killed hosts, too: the work lease of a killed host
outlives its requests.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from local.stack import Behaviour, StackError
from tests.integration.deployments_file import Section, scheduled
from tests.integration.fragile_host import DEADLY
from tests.integration.stack import TICK, Stack, letter, run_stack

MEMORY = 512  # MB: the smallest instance of Flex Consumption
REFUSED = "[[content_filter]]"  # the mark of documents that the emulator's content filter refuses
_DEATH = 5.0  # seconds until a process has ended after its connections broke
# Provisioning times that vary, and answers that take long enough for kills during them; seconds.
BEHAVIOUR = Behaviour(
    provision_median=2.0, provision_p95=4.0, delete_seconds=1.0, warmup_seconds=0.5, latency_seconds=2.0
)


@dataclass(frozen=True)
class Pace:
    """The pace of the test; all in seconds."""

    host: str  # the module that runs the host
    spell: tuple[float, float]  # from a start of the host to its kill: minimum and maximum
    burst: float  # between two bursts of documents, on average
    weather: float  # between two changes of the faults, on average
    window: float  # length of a window, and of the pause before the next one
    late: float  # the longest delay of a write's effect, or of its visibility
    leftovers: float  # for how long the leases and claims of a killed host may prevent a delete
    patience: float  # for documents to be answered and deployments to be gone, in the end
    killers: int = 0  # number of documents that kill the worker


@dataclass
class Figures:
    """The measurements of a run."""

    kills: int = 0
    kills_while_asking: int = 0  # requests were in flight at the kill
    requests_in_flight_at_kills: int = 0
    kills_while_creating: int = 0
    kills_while_hosted: int = 0
    documents: int = 0
    done: int = 0
    failed_as_made_to: int = 0
    killers: int = 0  # of those, the ones that kill the worker
    killers_deaths: int = 0  # how often they did
    out_of_memory: int = 0
    memory_peak: int = 0  # MB of the last worker
    results: int = 0
    deployments_hosted: int = 0
    cut: int = 0
    faults_fired: Counter[str] = field(default_factory=Counter)
    seconds_until_answered: float = 0.0  # from the last kill on
    ticks_until_gone: int = 0  # from then on
    longest_wait: float = 0.0  # seconds from a document's arrival to its answer
    hosted_seconds: float = 0.0


def run_kills(folder: Path, azurite: Azurite, pace: Pace, kills: int, seed: int) -> Figures:
    """Run the test. Raises AssertionError, with the seed, for a broken promise."""
    try:
        deployments = _deployments(pace.window)
        limit = MEMORY if sys.platform == "linux" else None
        with run_stack(
            folder, azurite, deployments, behaviour=BEHAVIOUR, host=pace.host, memory_limit=limit
        ) as stack:
            run = _Killing(stack, pace, deployments, random.Random(seed))
            for _ in range(kills):
                run.kill_after_a_spell()
            run.end()
            return run.figures
    except BaseException as error:
        error.add_note(f"The random moments came from seed {seed}; logs: {folder}")
        raise


def _deployments(window: float) -> Mapping[str, Section]:
    """Return three deployments on demand, and two with many windows that close while documents are answered.

    Deployments of one account delay each other. There are enough windows for the whole test.
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


class _Killing:
    """One run, with kills, documents and faults at random moments."""

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
        """Let the host run for a random time with documents and faults, then kill it and start it again."""
        # The other deployments get no documents meanwhile, so that some are deleted all the time.
        busy = (self._dice.choice(self._in_windows), self._dice.choice(self._names))
        self._live(busy, self._dice.uniform(*self._pace.spell))
        if self._dice.random() < 0.5:
            # The killed host's leases delay the work. So every other kill waits until requests are in flight
            # again, and then falls into the wait for an answer, its storing or its recording.
            self._live(busy, self._pace.spell[1], until=lambda: self._stack.azure.bill()["in_flight"] > 0)
            self._live(busy, self._dice.uniform(0.0, 1.5 * BEHAVIOUR.latency_seconds))
        self._note_kill()
        self._stack.kill_host()
        self._drop(self._dice.choice(busy))  # while the host is down
        self._start()

    def _live(self, busy: Sequence[str], seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for so many seconds, or until the condition is true."""
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
        """Restart the host after a document has killed it, as the platform does."""
        while self._stack.has_died():
            self.figures.killers_deaths += 1
            self._start()

    def _start(self) -> None:
        try:
            self._stack.start_host()
        except StackError:
            if not self._stack.has_died():  # a document may kill it before it reports that it is ready
                raise

    def end(self) -> None:
        """End all faults, wait until everything is answered and deleted, and check every promise."""
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
        # Ten more for the emulated Azure, on a busy machine.
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

    # --- documents and faults ----------------------------------------------------------------------------

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
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                # Storage or this machine was busy, and the answer says to try again.
                answer = self._stack.submit(deployment, name, text)
        except (OSError, HTTPException):
            if not self._stack.has_died_within(_DEATH):
                raise
            # The worker died meanwhile. A caller cannot know whether the app accepted it, but the test looks.
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
        """Change the faults; at times there are none, so that work gets done."""
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

    # --- the checks --------------------------------------------------------------------------------

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._pace.patience
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"waited {self._pace.patience:.0f} s until {what}"
            time.sleep(0.1)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        """Return whether the condition is true; False if the host dies during the check."""
        self._revive()
        try:
            return condition()
        except (OSError, HTTPException):
            if not self._stack.has_died_within(_DEATH):
                raise
            return False

    def _ticks(self) -> int:
        """Return how often the timer of the passes has fired and its function has ended."""
        lines = self._stack.output.splitlines()
        return sum("function=reconcile_deployments" in line and " outcome=" in line for line in lines)

    def _is_finished(self) -> bool:
        """Return whether the inbox is empty and every document is finished."""
        if any(self._stack.waiting(name) for name in self._names):
            return False
        documents = (document for name in self._names for document in self._stack.documents(name))
        return all(document["state"] not in ("waiting", "claimed") for document in documents)

    def _is_gone(self) -> bool:
        """Return whether the meter shows no hosting, and the app's records show no work in progress."""
        at_rest = all(self._stack.deployment(name)["observed"] == "absent" for name in self._names)
        return at_rest and self._stack.azure.bill()["open"] == 0

    def _check_documents(self, deployment: str) -> None:
        """Check that each was recorded once, answered once unless it must fail, and moved correctly."""
        sent, figures = self._sent[deployment], self.figures
        refused = {name for name, text in sent.items() if REFUSED in text or DEADLY in text}
        states = Counter((name, "failed" if name in refused else "done") for name in sent)
        listed = self._stack.documents(deployment)
        unexpected = [each for each in listed if (each["name"], each["state"]) not in states]
        assert not unexpected, unexpected
        _assert_same("documents", Counter((each["name"], each["state"]) for each in listed), states)
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
        """Check that nothing is hosted, no request was cut off, and every generation has ended."""
        bill, figures = self._stack.azure.bill(), self.figures
        figures.deployments_hosted = len(bill["deployments"])
        figures.hosted_seconds = round(bill["totals"]["hosted_seconds"], 1)
        figures.cut = bill["totals"]["cut"]
        assert figures.cut == 0, [row for row in bill["deployments"] if row["cut"]]
        assert bill["open"] == bill["in_flight"] == 0, json.dumps(bill)
        assert all(row["deleted"] for row in bill["deployments"]), json.dumps(bill)


def _assert_same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    """Compare, with a full message: `dev.py bench kills` has no test runner to explain assertions."""
    assert found == expected, f"{what}: too many are {found - expected}, missing are {expected - found}"


def _seconds_waited(result: Mapping[str, Any]) -> float:
    answered_at = datetime.fromisoformat(result["timings"]["answered_at"])
    return round((answered_at - datetime.fromisoformat(result["document"]["arrived_at"])).total_seconds(), 1)
