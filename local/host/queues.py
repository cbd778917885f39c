"""Queue triggers, as the storage extension of Azure's host has them.

Its sources are QueueListener.cs and QueueProcessor.cs of Microsoft.Azure.WebJobs.Extensions.Storage.Queues.
Not modelled: there, a message from a function of the same process ends the listener's pause at once.
"""

import asyncio
import logging
import random
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.functions.decorators.core import DataType
from azure.functions.decorators.function_app import Function
from azure.functions.decorators.queue import QueueTrigger
from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueMessage as Received
from azure.storage.queue.aio import QueueClient

from local.host.host_json import QueueSettings
from local.host.storage import Queues, send
from local.host.worker import Worker

INVISIBLE_SECONDS = 600.0
"""For how long a received message is hidden from others. It is renewed while the handler runs."""
_SOONEST_RENEWAL = 60.0  # seconds, after renewals that failed
_FIRST_PAUSE = 0.1  # seconds


def pause_after(misses: int, longest: float) -> float:
    """Return the seconds until the next look, after so many in a row that found nothing.

    They double, with some chance, up to `longest` (RandomizedExponentialBackoffStrategy.cs).
    """
    growth = 2.0 ** min(misses - 2, 30) * random.uniform(0.8, 1.2) if misses > 1 else 0.0
    return min(longest, _FIRST_PAUSE * (1 + growth))


@dataclass(frozen=True)
class QueueTriggers:
    """Runs the functions that have a queue trigger."""

    worker: Worker
    queues: Queues
    settings: QueueSettings

    def open(self, function: Function, trigger: QueueTrigger) -> "Listener":
        """Return a function's listener. Raises HostError, or ValueError if the queue is not Azurite's."""
        queue = self.queues.open(trigger.connection, trigger.queue_name)
        poison = self.queues.open(trigger.connection, f"{trigger.queue_name}-poison")
        return Listener(self.worker, self.settings, function, trigger, queue, poison)


@dataclass(frozen=True)
class Listener:
    """Hands the messages of one queue to one function, each until it succeeds or is moved as poison."""

    worker: Worker
    settings: QueueSettings
    function: Function
    trigger: QueueTrigger
    queue: QueueClient
    poison: QueueClient

    async def run(self) -> None:
        """Listen until the host stops. Raises AzureError if the storage refuses or cannot be reached."""
        pause, misses = 0.0, 0
        working: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while await self.worker.sleep(pause):
                batch = await self._receive()
                for message in batch:
                    working.add(group.create_task(self._process(message)))
                misses = 0 if batch else misses + 1
                pause = 0.0 if batch else pause_after(misses, self.settings.max_polling_interval)
                working = {task for task in working if not task.done()}
                while len(working) > self.settings.new_batch_threshold:
                    _, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)

    async def _receive(self) -> list[Received]:
        """Return the next batch: none if the queue is missing or being deleted, or its service in trouble."""
        pages = self.queue.receive_messages(
            messages_per_page=self.settings.batch_size, visibility_timeout=int(INVISIBLE_SECONDS)
        ).by_page()
        try:
            async for page in pages:
                return [message async for message in page]
        except HttpResponseError as error:
            status = error.status_code or 0
            if status not in (404, 409) and status < 500:
                raise
            if status != 404:
                logging.warning("queue=%s not read: %s", self.queue.queue_name, error)
        return []

    async def _process(self, message: Received) -> None:
        """Hand a message over if it may still be tried, and record the outcome in the queue.

        If that fails, the message becomes visible again by itself, and comes again.
        """
        most = self.settings.max_dequeue_count
        tries = message.dequeue_count or 0
        body = _decode(message.content or "")
        try:
            if body is None:
                await self._move(message, "it is not in base64")
            elif tries > most:  # the worker died in its last try
                await self._move(message, f"it was received {tries} times")
            elif await self._succeeds(message, body):
                await self.queue.delete_message(message)
            elif tries == most:
                await self._move(message, f"it failed {tries} times")
            else:
                pause = int(self.settings.visibility_timeout)
                await self.queue.update_message(message, visibility_timeout=pause)
        except AzureError as error:
            logging.warning("queue=%s message=%s comes again: %s", self.queue.queue_name, message.id, error)

    async def _succeeds(self, message: Received, body: bytes) -> bool:
        """Return whether the handler succeeds with the message, which stays invisible meanwhile."""
        if self.trigger.data_type != DataType.BINARY.value:  # then the host in Azure makes a text of it
            try:
                body.decode()
            except UnicodeDecodeError:
                logging.error("queue=%s message=%s is not in UTF-8", self.queue.queue_name, message.id)
                return False
        value = QueueMessage(  # type: ignore[no-untyped-call]
            id=message.id,
            body=body,
            dequeue_count=message.dequeue_count,
            expiration_time=message.expires_on,
            insertion_time=message.inserted_on,
            time_next_visible=message.next_visible_on,
            pop_receipt=message.pop_receipt,
        )
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_invisible(message, ended))
            try:
                await self.worker.invoke(self.function, value)
            except Exception:  # logged by the worker
                return False
            finally:
                ended.set()  # a renewal under way is finished: it changes the receipt
        return True

    async def _keep_invisible(self, message: Received, ended: asyncio.Event) -> None:
        """Renew the message's invisibility at half time until the handler has ended, sooner after errors."""
        pause = usual = INVISIBLE_SECONDS / 2
        while not await _happens(ended, pause):
            try:
                renewed = await self.queue.update_message(message, visibility_timeout=int(INVISIBLE_SECONDS))
            except ResourceNotFoundError:
                return  # somebody has deleted it
            except AzureError as error:
                logging.warning(
                    "queue=%s message=%s not renewed: %s", self.queue.queue_name, message.id, error
                )
                pause = max(pause / 2, min(_SOONEST_RENEWAL, usual))
            else:
                message.pop_receipt, pause = renewed.pop_receipt, usual

    async def _move(self, message: Received, reason: str) -> None:
        """Move a message to the poison queue. Raises AzureError."""
        logging.error(
            "queue=%s message=%s moved to %s: %s",
            self.queue.queue_name,
            message.id,
            self.poison.queue_name,
            reason,
        )
        await send(self.poison, message.content or "")
        await self.queue.delete_message(message)


def _decode(content: str) -> bytes | None:
    """Return what is encoded, or None if it is not in base64. White space is ignored, as in .NET."""
    try:
        return b64decode("".join(content.split()), validate=True)
    except ValueError:
        return None


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event for so long; return whether it has happened."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
