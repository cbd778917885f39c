"""What a seed holds: who uploads what and when, what is configured, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from random import Random

from shared.domain import BillingUnit, Hosting, OneOffWindow, Task, UploadStart, WeeklyWindow
from tests.fakes.world import ACCOUNT, hosting

START = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # an hour later the clocks change in Berlin
OTHER_ACCOUNT = replace(ACCOUNT, name="second", resource_id=f"{ACCOUNT.resource_id}-2")


@dataclass(frozen=True)
class Upload:
    """A file that somebody drops; `then`: overwritten or deleted so many seconds later."""

    at: float
    deployment: str
    name: str
    text: str
    then: str = ""
    after: float = 0.0

    @property
    def blob(self) -> str:
        return f"{self.deployment}/{self.name}"


@dataclass(frozen=True)
class Happening:
    """What somebody or something else does to a deployment, for so many seconds.

    `vanish`: deleted from outside. `foreign`: somebody creates one of its name. `second`: another
    installation uses the account. `up`, `down`: a hold. `remove`: it is taken out of the file. `silent`: it
    answers no more. `locked`: deletes are refused. `full`: no capacity. `strange`: a state nobody knows.
    `requeue`: dead letters get another run.
    """

    at: float
    what: str
    deployment: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """A seed, drawn. Times in virtual seconds since the start."""

    seed: int
    hostings: tuple[Hosting, ...]
    slots: int
    hosts: int
    uploads: tuple[Upload, ...]
    happenings: tuple[Happening, ...]
    storms: tuple[tuple[float, float], ...]
    outages: tuple[tuple[float, float], ...]  # in which no timer fires
    lasts: float  # until then things happen; after that all is calm
    intensity: float
    lost_events: float  # the share of events that never come
    refused: frozenset[str] = frozenset()  # deployments that Azure refuses for good
    bad_outcomes: float = 0.0  # share of creations that fail or never become ready
    tagless: float = 0.0  # share of creations whose tags Azure forgets
    provision_median: float = 150.0
    billing: BillingUnit = BillingUnit.MINUTE

    def may_lead_nowhere(self, deployment: str) -> bool:
        """Whether creating it may fail, so that the next try is put off."""
        troubles = {each.what for each in self.happenings if each.deployment == deployment}
        refused = deployment in self.refused or not troubles.isdisjoint(("full", "silent", "strange"))
        return refused or self.bad_outcomes > 0


def draw(seed: int) -> Scenario:
    """The scenario of a seed: always the same."""
    random = Random(seed)
    lasts = random.uniform(3600, 7200)
    hostings = tuple(_hosting(number, random, lasts) for number in range(random.randint(2, 4)))
    storms, at = [], random.uniform(0, 900)
    while at < lasts:
        length = random.uniform(200, 900)
        storms.append((at, min(at + length, lasts)))
        at += length + random.uniform(600, 2400)
    outages = []
    if random.random() < 0.25:
        begins = random.uniform(0, lasts)
        outages.append((begins, begins + random.choice((200.0, 900.0, 3700.0))))
    refused = frozenset({hostings[-1].name}) if random.random() < 0.1 else frozenset()
    return Scenario(
        seed=seed,
        hostings=hostings,
        slots=random.choice((1, 2, 5, 10)),
        hosts=random.randint(1, 3),
        uploads=tuple(_uploads(random, hostings, lasts)),
        happenings=tuple(_happenings(random, hostings, lasts)),
        storms=tuple(storms),
        outages=tuple(outages),
        lasts=lasts,
        intensity=random.uniform(0.2, 1.0),
        lost_events=random.choice((0.0, 0.2, 1.0)),
        refused=refused,
        bad_outcomes=random.choice((0.0, 0.0, 0.2)),
        tagless=random.choice((0.0, 0.0, 0.5)),
        provision_median=random.choice((20.0, 60.0, 60.0, 150.0, 300.0)),
        billing=BillingUnit.HOUR if random.random() < 0.15 else BillingUnit.MINUTE,
    )


def _hosting(number: int, random: Random, lasts: float) -> Hosting:
    kind = random.choice(("ad_hoc", "ad_hoc", "batch", "hours", "both"))
    windows: list[OneOffWindow | WeeklyWindow] = []
    if kind in ("batch", "hours", "both"):
        begins = START + timedelta(seconds=round(random.uniform(1200, lasts)))
        ends = begins + timedelta(seconds=round(random.uniform(600, 3600)))
        grace = timedelta(seconds=random.choice((0, 0, 300)) if kind != "batch" else 0)
        if kind != "batch" and random.random() < 0.2:
            # 02:10 to 02:50 in the night in which there is no such hour: it is 03:10 to 03:50.
            days = frozenset(range(7))
            windows.append(WeeklyWindow(days, time(2, 10), time(2, 50), "Europe/Berlin", close_grace=grace))
        else:
            windows.append(OneOffWindow(begins, ends, stop_when_empty=kind == "batch", close_grace=grace))
        if kind != "both":
            # In the calm at the end, so that nothing that waits for a window waits for good.
            last = START + timedelta(seconds=lasts + 1000)
            windows.append(OneOffWindow(last, last + timedelta(hours=4), stop_when_empty=True))
    account = ACCOUNT if random.random() < 0.8 else OTHER_ACCOUNT
    configured = hosting(
        f"d{number}",
        *windows,
        uploads=UploadStart.SCHEDULED if kind in ("batch", "hours") else UploadStart.ON_DEMAND,
        capacity=random.choice((20, 120)),
        task=Task("Summarise.", 100),
        max_session=timedelta(minutes=random.choice((90, 720, 720))),
    )
    waits = kind in ("ad_hoc", "both") and random.random() < 0.5
    return replace(
        configured,
        account=account.resource_id,
        start_within=timedelta(minutes=random.choice((6, 15, 25)) if waits else 0),
        lead=None if random.random() < 0.5 else configured.lead,  # None: as long as it is learned to take
    )


def _uploads(random: Random, hostings: tuple[Hosting, ...], lasts: float) -> list[Upload]:
    uploads: list[Upload] = []

    def add(at: float, deployment: str) -> None:
        number = len(uploads)
        kind = random.random()
        mark = " [[poison]]" if kind < 0.04 else " [[empty]]" if kind < 0.06 else ""
        change = random.random()
        then = "overwritten" if change < 0.06 else "deleted" if change < 0.1 else ""
        text = f"document {number}{mark}"
        uploads.append(Upload(at, deployment, f"{number}.txt", text, then, random.choice((1.0, 60.0, 400.0))))

    for _ in range(random.randint(6, 20)):
        add(random.uniform(0, lasts), random.choice(hostings).name)
    for _ in range(random.randint(1, 4)):
        at, deployment = random.uniform(0, lasts), random.choice(hostings).name
        for _ in range(random.randint(3, 12)):
            add(at + random.uniform(0, 20), deployment)
    return uploads


def _happenings(random: Random, hostings: tuple[Hosting, ...], lasts: float) -> list[Happening]:
    found = []
    chances = {
        "vanish": 0.3,
        "foreign": 0.2,
        "second": 0.3,
        "up": 0.2,
        "down": 0.15,
        "silent": 0.15,
        "locked": 0.15,
        "full": 0.15,
        "strange": 0.15,
        "requeue": 0.4,
    }
    for what, chance in chances.items():
        if random.random() < chance:
            name = random.choice(hostings).name
            found.append(Happening(random.uniform(0, lasts), what, name, random.uniform(300, 2000)))
    if random.random() < 0.1:
        found.append(Happening(random.uniform(lasts / 2, lasts), "remove", hostings[0].name))
    return found
