"""For every test: alerts that nobody has heard yet; if it asks, an Azurite or PostgreSQL of its own."""

import gc
import uuid
from collections.abc import Iterator

import hypothesis
import pytest

from local.azurite import Azurite, run_azurite
from shared import alerts
from tests.postgres import Postgres, run_postgres

# The same examples in each run; no limit in seconds, which a busy machine would break.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, max_examples=100, deadline=None, database=None, print_blob=False
)
hypothesis.settings.load_profile("repeatable")

# Looking for garbage after every 700 new objects took a twentieth of the suite's time.
gc.set_threshold(100_000, 20, 20)

# As many tests as may use it in one session; the accounts fit into one environment variable.
_ACCOUNTS = [f"test{number:03}" for number in range(800)]


@pytest.fixture(autouse=True)
def fresh_alerts() -> None:
    """Equal alerts are logged once an hour: what another test raised hides none of this one's."""
    alerts.forget()


@pytest.fixture(scope="session")
def azurite_accounts() -> Iterator[Iterator[Azurite]]:
    """The unused accounts of an Azurite that keeps its data in memory."""
    with run_azurite(accounts=_ACCOUNTS) as azurite:
        yield (azurite.account(name) for name in _ACCOUNTS)


@pytest.fixture
def azurite(azurite_accounts: Iterator[Azurite]) -> Azurite:
    """The services of a storage account that no other test has, empty."""
    return next(azurite_accounts)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The URL of a database that no other test has, empty."""
    return postgres.make(f"test-{uuid.uuid4().hex[:8]}")
