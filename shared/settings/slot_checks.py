"""Check that an account has slots for all fine-tuned deployments that its windows need at the same time.

See Note: slots in docs/design.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from shared.errors import SettingProblem
from shared.model import Account, DeploymentConfig, Mode
from shared.planning.desired import clock_time
from shared.schedule.windows import Interval, intervals


def slot_warnings(
    account: Account, configured: Sequence[DeploymentConfig], now: datetime, until: datetime
) -> Iterator[SettingProblem]:
    """Warn of the first time in [now, until) at which windows need more slots than the account has.

    `configured`: the account's deployments. The file is not refused: the app hosts as many deployments as
    there are slots, and the others wait.
    """
    opened = {
        config.name: intervals(config.windows, now, until, config.closures)
        for config in configured
        if config.mode is Mode.ENFORCE and config.spec.takes_slot
    }
    plain = {
        name: [interval for interval in found if not interval.stop_when_empty]
        for name, found in opened.items()
    }
    slots = account.fine_tuned_slots
    for needed, condition in ((plain, ""), (opened, ", if documents wait for all of them")):
        first = _first_above(slots, needed, now)
        if first is None:
            continue
        at, names = first
        yield SettingProblem(
            f"accounts.{account.name}.fine_tuned_slots",
            str(slots),
            f"windows need {len(names)} fine-tuned deployments at the same time ({', '.join(names)}), first "
            f"at {clock_time(at)}{condition}: those without a slot are not hosted then. Move a window, use "
            "another account, or correct the number if Azure admits more",
        )
        return


def _first_above(
    slots: int, needed: dict[str, list[Interval]], now: datetime
) -> tuple[datetime, list[str]] | None:
    """Return the first time at which more than `slots` are open at once, and their names; else None."""
    openings = sorted(
        (max(interval.start, now), name, interval.end)
        for name, found in needed.items()
        for interval in found
        if interval.end > now
    )
    closes: dict[str, datetime] = {}
    for at, name, end in openings:
        closes = {other: until for other, until in closes.items() if until > at}
        closes[name] = max(end, closes.get(name, end))
        if len(closes) > slots:
            return at, sorted(closes)
    return None
