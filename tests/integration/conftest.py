"""What integration tests share: a set-up for commands; failed assertions of the harness are explained."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azurite import Azurite
from tests.integration.command_line import Setup, set_up

pytest.register_assert_rewrite("tests.integration.stack", "tests.integration.emulated_azure")


@pytest.fixture
async def setup(azurite: Azurite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Setup]:
    """A set-up of its own for each test, and the command line with its settings."""
    async with set_up(azurite, tmp_path, capsys) as made:
        yield made
