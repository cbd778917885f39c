"""Queue output bindings: what a handler sets goes on its queue once the handler has succeeded."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from azure.functions import Out
from azure.functions.decorators.core import OutputBinding
from azure.functions.decorators.function_app import Function
from azure.functions.decorators.http import HttpOutput
from azure.functions.decorators.queue import QueueOutput
from azure.functions.queue import QueueMessageOutConverter

from local.host.app import HostError
from local.host.storage import Queues, send


class Box(Out[Any]):
    """What a handler gets for an output binding; None if it has set nothing."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Keep the value in place of the one before."""
        self._value = val

    def get(self) -> Any:
        """Return the value."""
        return self._value


class Outputs:
    """The output bindings of the app's functions."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def check(self, function: Function) -> None:
        """Raise HostError, or ValueError, for an output that Azure's worker or this host cannot serve."""
        name = function.get_function_name()
        hints = get_type_hints(function.get_user_function())
        for binding in function.get_bindings():
            if isinstance(binding, OutputBinding) and not isinstance(binding, QueueOutput | HttpOutput):
                raise HostError(f"{name}: {type(binding).__name__} is not supported here")
        for output in _queue_outputs(function):
            self._queues.open(output.connection, output.queue_name)
            hint = hints.get(output.name)
            if hint is not None and not _is_known_to_the_worker(hint):
                raise HostError(
                    f"{name}: Azure's worker refuses the annotation {hint} of {output.name}; "
                    "write func.Out[str] or func.Out[typing.List[str]]"
                )

    def boxes(self, function: Function) -> dict[str, Box]:
        """Return an empty box for each queue output, by the name of the handler's argument."""
        return {output.name: Box() for output in _queue_outputs(function)}

    async def send(self, function: Function, boxes: Mapping[str, Box]) -> None:
        """Put what the handler has set on the queues. Raises NotImplementedError, AzureError."""
        for output in _queue_outputs(function):
            queue = self._queues.open(output.connection, output.queue_name)
            for message in messages(boxes[output.name].get()):
                await send(queue, b64encode(message).decode())


def messages(value: object) -> list[bytes]:
    """Return the messages that the worker and the host in Azure make of an output's value.

    The worker encodes a list as JSON. The host makes a message of each item of a JSON list (ReadAsEnumerable
    in its FunctionBinding.cs), also if the handler has set such a text itself. Raises NotImplementedError for
    other types than texts, bytes, QueueMessage and lists.
    """
    if value is None:
        return []
    datum = QueueMessageOutConverter.encode(value, expected_type=None)
    if isinstance(datum.value, bytes):
        return [datum.value]
    try:
        items = json.loads(datum.value)
    except ValueError:
        items = None
    texts = items if isinstance(items, list) else [datum.value]
    return [(text if isinstance(text, str) else json.dumps(text)).encode() for text in texts]


def _queue_outputs(function: Function) -> list[QueueOutput]:
    return [binding for binding in function.get_bindings() if isinstance(binding, QueueOutput)]


def _is_known_to_the_worker(hint: object) -> bool:
    """Return whether the worker loads a function with this annotation (its functions.py).

    It knows typing.List[str], but not list[str], which is not generic to azure.functions.
    """
    kinds = get_args(hint)
    return get_origin(hint) is Out and QueueMessageOutConverter.check_output_type_annotation(kinds[0])
