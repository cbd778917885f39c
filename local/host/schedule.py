"""NCRONTAB, the schedules of timer triggers. Pure: the caller says what time it is."""

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from local.host.app import HostError


class Schedule:
    """A six-field NCRONTAB schedule in UTC: second, minute, hour, day, month, day of week (Sunday = 0).

    cronsim walks the calendar. Where NCRONTAB differs from its cron (NCrontab's CrontabSchedule.cs), it is
    translated: names may be longer than three letters, day and day of week must both match, and there is
    no 7 for Sunday, no L, W or #. Raises HostError for anything else.
    """

    def __init__(self, expression: str) -> None:
        fields = re.sub(r"[A-Z]{3,}", lambda name: name[0][:3], expression.upper()).split()
        days = f"{fields[3]} {fields[5]}" if len(fields) == 6 else "#"
        if re.search(r"(?<!/)\b7|L\b|LW|#", days.split()[-1]) or re.search(r"L|#", days.split()[0]):
            raise HostError(f"schedule {expression!r} is not NCRONTAB: six fields, without L, W, # and 7")
        fields[5] = re.sub(r"(?<![-\w])(\w+)/", r"\1-6/", fields[5])  # a step would run on to cron's 7
        self._cron = " ".join(fields)
        try:
            self.next_after(datetime(2000, 1, 1, tzinfo=UTC))
        except (CronSimError, StopIteration) as error:
            raise HostError(f"schedule {expression!r} is not valid: {error or 'it never occurs'}") from error
        # Azure keeps no record of timers that fire more than once a minute (TimerSchedule.cs).
        self.several_a_minute = fields[1:] == ["*"] * 5 and not fields[0].isdecimal()

    def next_after(self, when: datetime) -> datetime:
        """Return the first occurrence after `when`, an aware time in UTC."""
        occurrences = CronSim(self._cron, when)
        occurrences.day_and = True
        return next(occurrences)
