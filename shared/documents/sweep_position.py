"""Store how far the sweeps have come: the row from which the next sweep, in any process, continues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import Alert
from shared.documents.identity import INBOX
from shared.ports import Replace, Tables
from shared.rows import from_row, to_values

SWEEPS = "sweeps"  # table
BEHIND = timedelta(minutes=10)
"""A walk that takes longer than this, or cannot account for everything by then, raises an alert."""

_ROW = "walk"


@dataclass(frozen=True)
class LastSweep:
    """The summary of the last sweep, for people."""

    began_at: datetime
    unaccounted: int  # uploads that could not be recorded; target 0
    walked_at: datetime | None  # all uploads before this are accounted for; None: no walk was completed
    resting: int  # empty uploads that may still be written


@dataclass
class Position:
    """The position of the sweeps. An earlier version of the app uses only the first three columns."""

    began_at: datetime  # when the last sweep began
    token: str = ""  # where the walk continues; empty: at the start
    unaccounted: int = 0  # uploads that this walk could not record so far
    ahead: str = ""  # where the look ahead continues
    lap: str = ""  # the last document of the lap that was checked
    walk_began_at: datetime | None = None
    walked_at: datetime | None = None  # when the last walk began that accounted for everything
    behind_since: datetime | None = None  # when the first walk after it began
    resting: int = 0  # empty uploads that this walk found resting so far

    def begin_walk(self, now: datetime) -> None:
        """Begin a walk at the start of the inbox."""
        self.unaccounted = self.resting = 0
        self.walk_began_at = now
        self.behind_since = self.behind_since or now

    def end_walk(self) -> None:
        """End a walk at the end of the inbox."""
        if not self.unaccounted:
            self.walked_at, self.behind_since = self.walk_began_at, None

    def why_behind(self, now: datetime) -> str | None:
        """Return for how long the inbox has not been accounted for, and why; None if not too long."""
        if self.behind_since is None or now - self.behind_since < BEHIND:
            return None
        minutes = int((now - (self.walked_at or self.behind_since)).total_seconds() // 60)
        why = (
            f"{self.unaccounted} upload(s) cannot be recorded: see {Alert.UNACCOUNTED_DOCUMENTS} in the log"
            if self.unaccounted
            else "so many uploads lie there, or storage answers so slowly: their documents start later"
        )
        return f"for {minutes} min the inbox has not been accounted for as a whole; {why}"


async def read_position(tables: Tables) -> Position | None:
    """Return the position, or None before the first sweep. Raises StorageError."""
    row = await tables.get(SWEEPS, INBOX, _ROW)
    if row is None:
        return None
    at = from_row(Position, row)
    if at.walk_began_at is None:  # written by an earlier version
        at.walk_began_at = at.began_at
        if at.token or at.unaccounted:
            at.behind_since = at.began_at
        else:
            at.walked_at = at.began_at
    return at


async def write_position(tables: Tables, at: Position) -> None:
    """Save the position. Of two concurrent sweeps, either position is right. Raises StorageError."""
    await tables.write(SWEEPS, INBOX, [Replace(_ROW, to_values(at), etag=None)])
