"""Draw the scenario of a seed: what is configured, what people do, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from random import Random

from shared.model import (
    BillingUnit,
    DeploymentConfig,
    EventType,
    OneOffWindow,
    Receiver,
    ReceiverKind,
    Task,
    UploadStart,
    WeeklyWindow,
    prompt,
)
from tests.fakes.world import ACCOUNT, config
from tests.simulation.record_files import FAILS, INVALID, batch_file
from tests.simulation.scenario import (
    HOPELESS,
    KILLS,
    KILLS_READING,
    LARGE,
    OTHER_ACCOUNT,
    REFUSALS,
    START,
    Happening,
    Scenario,
    Twin,
    Upload,
)

QUERIES = ("Who?", "What?", "When?")
_OF_DOCUMENTS = frozenset({EventType.DOCUMENT_DONE, EventType.DOCUMENT_FAILED})
_LARGE_TEXT = "x " * 50_000  # 25,000 tokens by its bytes, and at most 100,000 by any count


def draw(seed: int) -> Scenario:
    """Draw the scenario of a seed; the same seed always gives the same scenario."""
    random = Random(seed)
    lasts = random.uniform(2700, 5100)
    configs = tuple(_config(number, random, lasts) for number in range(random.randint(2, 4)))
    storms, at = [], random.uniform(0, 600)
    while at < lasts:
        length = random.uniform(200, 900)
        storms.append((at, min(at + length, lasts)))
        at += length + random.uniform(600, 2000)
    outages = []
    if random.random() < 0.25:
        begins = random.uniform(0, lasts)
        outages.append((begins, begins + random.choice((200.0, 900.0, 3700.0))))
    refused = frozenset({configs[-1].name}) if random.random() < 0.1 else frozenset()
    scenario = Scenario(
        seed=seed,
        configs=configs,
        slots=random.choice((1, 2, 5, 10)),
        hosts=random.randint(1, 3),
        uploads=tuple(_uploads(random, configs, lasts)),
        happenings=tuple(_happenings(random, configs, lasts)),
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
    scenario = _with_faults_of_real_azure(scenario, Random(seed + 7_000_003))
    scenario = _with_queries(scenario, Random(-seed - 1))
    scenario = _with_record_files(scenario, Random(seed + 11_000_017))
    return _with_receivers(scenario, Random(seed + 9_000_011))


def _with_record_files(scenario: Scenario, random: Random) -> Scenario:
    """Add files of requests, in the Batch format, to some seeds."""
    if random.random() >= 0.12:
        return scenario
    uploads = []
    for number in range(random.randint(1, 3)):
        config = random.choice(scenario.configs)
        texts = []
        for line in range(random.choice((4, 30, 90))):
            kind = random.random()
            mark = " [[poison]]" if kind < 0.03 else FAILS if kind < 0.05 else INVALID if kind < 0.08 else ""
            texts.append(f"line {line} of file {number}{mark}")
        text = batch_file(config.name, texts)
        uploads.append(Upload(random.uniform(0, scenario.lasts), config.name, f"file{number}.jsonl", text))
    return replace(scenario, uploads=(*scenario.uploads, *uploads))


def _with_queries(scenario: Scenario, random: Random) -> Scenario:
    """Let some deployments of some seeds ask several requests for each document."""
    if random.random() >= 0.15:
        return scenario
    asked = [
        replace(
            each.task, messages=prompt("Summarise.", queries=True), queries=QUERIES[: random.randint(2, 3)]
        )
        for each in scenario.configs
    ]
    configs = zip(scenario.configs, asked, strict=True)
    return replace(
        scenario,
        configs=tuple(replace(each, task=task) if random.random() < 0.6 else each for each, task in configs),
    )


RECEIVERS = (
    Receiver(ReceiverKind.EVENT_GRID, "https://topic.example/api/events"),
    Receiver(ReceiverKind.QUEUE, "https://store.example/answers", events=_OF_DOCUMENTS, file_names=True),
)


def _with_receivers(scenario: Scenario, random: Random) -> Scenario:
    """Let some deployments of some seeds send events, to receivers that are down at times."""
    if random.random() >= 0.15:
        return scenario
    configs = [
        replace(each, notify=RECEIVERS[random.choice((0, 0, 1)) : random.choice((1, 2, 2))])
        for each in scenario.configs
    ]
    deaf = dict[str, tuple[tuple[float, float], ...]]()
    for receiver in RECEIVERS:
        begins = random.uniform(0, scenario.lasts)
        ends = min(begins + random.choice((120.0, 900.0, 3600.0)), scenario.lasts)
        deaf[receiver.url] = ((begins, ends),) if random.random() < 0.7 else ()
    return replace(scenario, configs=tuple(configs), deaf=deaf)


def _with_faults_of_real_azure(scenario: Scenario, random: Random) -> Scenario:
    """Add each of these faults to some seeds only, so that other seeds test the older faults alone."""
    scenario = replace(
        scenario,
        skew=120.0 if random.random() < 0.25 else 4.0,
        list_lag=300.0 if random.random() < 0.15 else 40.0,
        omissions=random.random() < 0.2,
        storage_hangs=random.random() < 0.25,
        phantoms=random.random() < 0.15,
        rows_a_page=20 if random.random() < 0.15 else 1000,
        happenings=(*scenario.happenings, *_later_happenings(random, scenario)),
        uploads=(*scenario.uploads, *_marked_uploads(random, scenario)),
        twin=_twin(random, scenario) if random.random() < 0.07 else None,
    )
    if random.random() < 0.07:
        scenario = _with_reduced_capacity(scenario, random)
    return _with_backlog(scenario, random) if random.random() < 0.003 else scenario


OUTAGES = ("unavailable", "error", "connection", "hangs", "high_demand")
_SPANS = (300.0, 900.0, 2400.0, 5400.0)


def _later_happenings(random: Random, scenario: Scenario) -> list[Happening]:
    found = []
    kinds = {
        "outage": (0.12, OUTAGES),
        "account_outage": (0.04, OUTAGES),
        "refusing": (0.12, tuple(REFUSALS)),
        "readonly": (0.05, ("",)),
        "missed": (0.1, ("sometimes", "always")),
        "ignored": (0.08, ("1", "2", "4")),
        "lingering": (0.04, ("",)),
        "moved": (0.05, ("connection", "not_found")),
    }
    for what, (chance, ways) in kinds.items():
        if random.random() >= chance:
            continue
        at, seconds = random.uniform(0, scenario.lasts), random.choice(_SPANS)
        if what == "missed":
            seconds = random.uniform(60, 480)
        elif what == "lingering":
            seconds = random.uniform(600, 3600)
        elif what == "readonly":
            seconds = random.choice(_SPANS[:3])
        seconds = min(seconds, scenario.lasts - at + 900)
        found.append(Happening(at, what, random.choice(scenario.configs).name, seconds, random.choice(ways)))
    return found


def _marked_uploads(random: Random, scenario: Scenario) -> list[Upload]:
    """Draw documents that are never answered, each with normal ones beside it."""
    found = []
    for number, mark in enumerate((*HOPELESS, KILLS, KILLS_READING)):
        if random.random() >= (0.03 if mark == KILLS_READING else 0.05):
            continue
        at, name = random.uniform(0, scenario.lasts), random.choice(scenario.configs).name
        found.append(Upload(at, name, f"m{number}.txt", f"marked {number} {mark}"))
        found += [
            Upload(
                at + random.uniform(-20, 60), name, f"beside{number}.{other}.txt", f"beside {number} {other}"
            )
            for other in range(random.randint(0, 6))
        ]
    return [replace(each, at=max(0.0, each.at)) for each in found]


def _with_reduced_capacity(scenario: Scenario, random: Random) -> Scenario:
    """Let Azure grant only the minimum capacity for a while, and add a document that needs more."""
    chosen = random.choice(scenario.configs)
    spec = replace(chosen.spec, capacity=120, minimum_capacity=20)
    at = random.uniform(0, scenario.lasts)
    seconds = min(random.choice(_SPANS), scenario.lasts - at)
    text = f"large {LARGE} {_LARGE_TEXT}"
    return replace(
        scenario,
        configs=tuple(replace(each, spec=spec) if each is chosen else each for each in scenario.configs),
        happenings=(*scenario.happenings, Happening(at, "reduced", chosen.name, seconds)),
        uploads=(
            *scenario.uploads,
            Upload(min(at + random.uniform(0, 600), scenario.lasts), chosen.name, "large.txt", text),
        ),
    )


def _with_backlog(scenario: Scenario, random: Random) -> Scenario:
    """Add up to 1,500 small files at once, on a deployment that answers many per minute."""
    chosen = random.choice(scenario.configs)
    spec = replace(chosen.spec, capacity=1000, minimum_capacity=None)
    at = random.uniform(0, scenario.lasts / 2)
    files = (
        Upload(at + random.uniform(0, 60), chosen.name, f"many{number}.txt", f"one of many {number}")
        for number in range(random.randint(1200, 1500))
    )
    return replace(
        scenario,
        quick=True,
        blobs_a_page=100,
        configs=tuple(replace(each, spec=spec) if each is chosen else each for each in scenario.configs),
        uploads=(*scenario.uploads, *files),
    )


def _twin(random: Random, scenario: Scenario) -> Twin:
    begins = random.uniform(0, scenario.lasts * 0.7)
    ends = min(begins + random.uniform(1200, 4800), scenario.lasts)
    uploads = []
    for number in range(random.randint(3, 10)):
        at = random.uniform(begins, ends)
        name = random.choice(scenario.configs).name
        uploads.append(Upload(at, name, f"twin{number}.txt", f"of the twin {number}"))
    return Twin(begins, ends, random.uniform(60, 900), tuple(uploads))


def _config(number: int, random: Random, lasts: float) -> DeploymentConfig:
    kind = random.choice(("ad_hoc", "ad_hoc", "batch", "hours", "both"))
    windows: list[OneOffWindow | WeeklyWindow] = []
    if kind in ("batch", "hours", "both"):
        begins = START + timedelta(seconds=round(random.uniform(1200, lasts)))
        ends = begins + timedelta(seconds=round(random.uniform(600, 1800)))
        grace = timedelta(seconds=random.choice((0, 0, 300)) if kind != "batch" else 0)
        if kind != "batch" and random.random() < 0.2:
            # 02:10 to 02:50 in the night in which that hour does not exist: it means 03:10 to 03:50.
            days = frozenset(range(7))
            windows.append(WeeklyWindow(days, time(2, 10), time(2, 50), "Europe/Berlin", close_grace=grace))
        else:
            windows.append(OneOffWindow(begins, ends, stop_when_empty=kind == "batch", close_grace=grace))
        if kind != "both":
            # A window in the calm at the end, so that no document waits for a window forever.
            last = START + timedelta(seconds=lasts + 1000)
            windows.append(OneOffWindow(last, last + timedelta(hours=4), stop_when_empty=True))
    account = ACCOUNT if random.random() < 0.8 else OTHER_ACCOUNT
    configured = config(
        f"d{number}",
        *windows,
        uploads=UploadStart.SCHEDULED if kind in ("batch", "hours") else UploadStart.ON_DEMAND,
        capacity=random.choice((20, 120)),
        task=Task(prompt("Summarise."), 100),
        max_session=timedelta(minutes=random.choice((90, 720, 720))),
    )
    waits = kind in ("ad_hoc", "both") and random.random() < 0.5
    return replace(
        configured,
        account=account.resource_id,
        start_within=timedelta(minutes=random.choice((6, 15, 25)) if waits else 0),
        lead=None if random.random() < 0.5 else configured.lead,  # None: the app learns it
    )


def _uploads(random: Random, configs: tuple[DeploymentConfig, ...], lasts: float) -> list[Upload]:
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
        add(random.uniform(0, lasts), random.choice(configs).name)
    for _ in range(random.randint(1, 4)):
        at, deployment = random.uniform(0, lasts), random.choice(configs).name
        for _ in range(random.randint(3, 12)):
            add(at + random.uniform(0, 20), deployment)
    return uploads


def _happenings(random: Random, configs: tuple[DeploymentConfig, ...], lasts: float) -> list[Happening]:
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
            name = random.choice(configs).name
            found.append(Happening(random.uniform(0, lasts), what, name, random.uniform(300, 2000)))
    if random.random() < 0.1:
        found.append(Happening(random.uniform(lasts / 2, lasts), "remove", configs[0].name))
    return found
