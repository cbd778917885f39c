"""Shared by integration tests: a set-up for commands, and pytest's explanations for assertions in helpers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azurite import Azurite
from tests.integration.command_line import Setup, set_up

pytest.register_assert_rewrite("tests.integration.stack", "tests.integration.emulated_azure")


@pytest.fixture
async def setup(azurite: Azurite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Setup]:
    """Yield a separate set-up for each test, and the command line with its settings."""
    async with set_up(azurite, tmp_path, capsys) as made:
        yield made
