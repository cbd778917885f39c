"""Commands over the app in memory, with what they print."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

from shared.doors.cli.main import parser
from shared.doors.cli.terminal import Terminal
from tests.fakes.world import World


class Screen(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def command(world: World, *arguments: str, tty: bool = False) -> Answer:
    """Carry out one command on that world."""
    options = parser().parse_args(arguments)
    out, err = Screen(tty=tty), Screen()
    code = await options.run(world.app, options, Terminal(out, err, as_json=options.json))
    return Answer(int(code), out.getvalue(), err.getvalue())
