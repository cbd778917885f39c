"""What an output's value becomes, and how long a listener pauses: pure."""

import azure.functions as func
import pytest

from local.host.outputs import messages
from local.host.queues import pause_after


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ([], []),
        ("", [b""]),
        ("clauses", [b"clauses"]),
        (["å", "b"], ["å".encode(), b"b"]),
        (b"\xff", [b"\xff"]),
        ('["a", 1]', [b"a", b"1"]),  # the host in Azure makes two messages of this text
        ('{"a": 1}', [b'{"a": 1}']),
        ([func.QueueMessage(id="1", body="x")], [b'{"id": "1", "body": "x"}']),
    ],
)
def test_the_messages_of_a_value(value: object, expected: list[bytes]) -> None:
    """A text is one message, a list is one for each item, nothing is none."""
    assert messages(value) == expected


def test_a_value_of_another_type_is_an_error() -> None:
    """As in the worker, so that the handler counts as failed."""
    for value in (7, [7]):
        with pytest.raises(NotImplementedError):
            messages(value)


def test_pauses_grow_up_to_the_longest() -> None:
    """A tenth of a second after a message was found, then about twice as long each time."""
    assert pause_after(1, 60.0) == 0.1
    for misses in range(2, 10):
        growth = 0.1 * 2 ** (misses - 2)
        assert 0.1 + 0.8 * growth <= pause_after(misses, 60.0) <= 0.1 + 1.2 * growth
    assert pause_after(9, 2.0) == 2.0
    assert pause_after(100_000, 60.0) == 60.0
