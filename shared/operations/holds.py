"""Holds: somebody wants a deployment up or down until a time, whatever schedule and documents say.

What the commands and the HTTP API share. A hold ends by itself; one that holds down loses no document: they
wait, and work in flight ends first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.app import Lamplighter
from shared.errors import LamplighterError, SettingProblem
from shared.model import DeploymentConfig, Hold
from shared.money.hold_forecast import AFTER, forecast_hold
from shared.operations.inputs import duration, instant, note
from shared.planning.adoption import to_create

T = TypeVar("T")

LONGEST = timedelta(days=30)
_KEYS = ("way", "until", "for", "owner", "reason")
_LONGEST_BODY = 10_000  # bytes
_LONGEST_VALUE = 80  # characters of what is told of a wrong one
_BODY = 'send a JSON object such as {"way": "up", "for": "2h", "owner": "dana", "reason": "demo for legal"}'


class HoldRefused(LamplighterError):
    """The request for a hold cannot be carried out. Carries all problems at once."""

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))


@dataclass(frozen=True)
class HoldRequest:
    """A hold that somebody asks for, checked."""

    up: bool
    until: datetime
    owner: str
    reason: str


def end_of(now: datetime, until: datetime | None, length: timedelta | None) -> datetime:
    """When a hold ends that is asked for until a time, or for so long. Raises ValueError."""
    end = until or (now + length if length else now)
    if not now < end <= now + LONGEST:
        raise ValueError(f"a hold ends in the future, and within {LONGEST.days} days: say it again later")
    return end


def read_request(body: bytes, now: datetime) -> HoldRequest:
    """A hold as JSON asks for it: way, until or for, owner and reason. Raises HoldRefused."""
    given, problems = _object(body), list[SettingProblem]()

    def read(key: str, kind: Callable[[str], T]) -> T | None:
        value = given.get(key)
        try:
            if value is None:
                raise ValueError("is missing")
            if not isinstance(value, str):
                raise ValueError("write a text in quotes")
            return kind(value)
        except ValueError as error:
            problems.append(_problem(key, value, str(error)))
            return None

    problems += [
        _problem(key, None, f"unknown key: known are {', '.join(_KEYS)}") for key in given if key not in _KEYS
    ]
    up, owner, reason = read("way", _way), read("owner", note), read("reason", note)
    end: datetime | None = None
    if ("until" in given) is ("for" in given):
        problems.append(_problem("until", None, "write either until (an ISO time) or for (such as 2h)"))
    elif "until" in given:
        end = read("until", lambda text: end_of(now, instant(text), None))
    else:
        end = read("for", lambda text: end_of(now, None, duration(text)))
    if up is None or end is None or owner is None or reason is None or problems:
        raise HoldRefused(problems)
    return HoldRequest(up, end, owner, reason)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body) if len(body) <= _LONGEST_BODY else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise HoldRefused([SettingProblem("the body", "", _BODY)])
    return given


def _problem(key: str, value: object, remedy: str) -> SettingProblem:
    # What was sent may hold what no answer can, such as half a character.
    told = value[:_LONGEST_VALUE] if isinstance(value, str) and value.isprintable() else ""
    return SettingProblem(key[:_LONGEST_VALUE] if key.isprintable() else "a key", told, remedy)


def _way(text: str) -> bool:
    if text not in ("up", "down"):
        raise ValueError("write up or down")
    return text == "up"


async def hold(app: Lamplighter, config: DeploymentConfig, request: HoldRequest) -> dict[str, Any]:
    """Write the hold in the place of the former one, and tell it with what it is forecast to cost or save.

    Safe to repeat. The next pass heeds it. Raises StorageError.
    """
    picture = await app.picture(config.account, demand_of=())
    now, before = picture.now, picture.holds.get(config.name)
    made = Hold(config.name, request.up, request.until, request.owner, request.reason, made_at=now)
    record = picture.record(config.name)
    sku = to_create(config.spec, adopt=config.adopt, adopted=record.adopted).sku
    leads = picture.leads(now, made.until + AFTER)[config.name]
    forecast = forecast_hold(config, leads, now, made, before, sku=sku, prices=app.settings.prices)
    await app.context.ledger.save_hold(config.account, made)
    return {
        "deployment": config.name,
        "hold": "up" if made.up else "down",
        "until": made.until.isoformat(),
        "owner": made.owner,
        "reason": made.reason,
        "replaced_hold_of": before.owner if before else None,
        "forecast": {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(forecast).items()
        },
        "mode": config.mode,
    }
