"""The queue of drain messages: they come late, twice or never, and again if their process died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.app import Lamplighter
from shared.serve import SLICE_SECONDS
from tests.simulation.people import five_tries
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import Side, World

_INVISIBLE = 600.0  # seconds: the host hides a message while it is handled, and storage shows it again then
_MOST_DELIVERIES = 2  # as in host.json; then the message goes to the poison queue, which nobody reads
_LATE_BY = (20.0, 90.0, 400.0)  # seconds
_NO_HOST = 10.0  # seconds until it is tried again if no host is alive


class Messages:
    """The queue of one installation, and what reads it."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._world: World = side.world

    def put(self, name: str) -> None:
        """Put a message that names a deployment."""
        random, trouble = self._world.random, self._world.weather.message()
        if trouble is not None:
            self._world.trouble(f"the message for {name}: {trouble}")
        if trouble == "lost":
            return
        body = "\ufffd" if trouble == "garbled" else name
        late = random.choice(_LATE_BY) if trouble == "late" else 0.0
        self._world.disturbed(late)
        for _ in range(2 if trouble == "repeated" else 1):
            self._world.call_later(late + random.uniform(0.1, 2.0), self._deliver, body, 1)

    async def upload_event(self, process: Process, app: Lamplighter, blob: str) -> None:
        """Handle the event of an upload, and put the message that follows, if any."""
        following = await five_tries(process, app, blob)
        if following is not None:
            self.put(following)

    async def tick(self, app: Lamplighter) -> None:
        """Run the timer that puts messages: they are sent only when its function has ended."""
        for name in await app.due():
            self.put(name)

    def _deliver(self, body: str, count: int) -> None:
        host = self._side.some_host()
        if host is None:
            if not self._side.gone:
                self._world.call_later(_NO_HOST, self._deliver, body, count)
            return
        process, app = host
        task = process.spawn(f"message {body}", self._drain(app, body))

        def ended(_: object) -> None:
            if not process.alive and count < _MOST_DELIVERIES:
                self._world.call_later(_INVISIBLE, self._deliver, body, count + 1)

        task.add_done_callback(ended)

    async def _drain(self, app: Lamplighter, body: str) -> None:
        if await app.drain(body, SLICE_SECONDS):
            self.put(body)
