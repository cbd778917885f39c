"""Find the known accounts, and run one pass over each of them."""

from __future__ import annotations

import asyncio

from shared.alerts import Alert, alert
from shared.errors import LamplighterError, ProviderError
from shared.hosting.ledger import Ledger
from shared.hosting.observe import HostingContext
from shared.hosting.reconcile import PassReport, reconcile
from shared.model import Account, RecordState, Settings
from shared.planning.picture import configured_on


async def known_accounts(ledger: Ledger, settings: Settings) -> list[Account]:
    """Return the configured and the recorded accounts.

    The deployments of an account that is no longer configured must still be deleted. Raises StorageError.
    """
    accounts = {key.lower(): account for key, account in settings.accounts.items()}
    for known in await ledger.accounts():
        if known.account.lower() in accounts:
            continue
        records = await ledger.records(known.account)
        # An account without deployments may itself be deleted: do not list it any more.
        if any(record.state is not RecordState.ABSENT for record in records.values()):
            name = known.account.rsplit("/", 1)[-1]
            accounts[known.account.lower()] = Account(name, known.account, 0)
    return list(accounts.values())


async def pass_over(context: HostingContext, settings: Settings, account: Account) -> PassReport:
    """Run one pass over one account. Raises ProviderError, StorageError: see `reconcile`."""
    return await reconcile(context, account, configured_on(account.resource_id, settings.deployments))


async def pass_over_all(context: HostingContext, settings: Settings) -> tuple[list[PassReport], list[str]]:
    """Run one independent pass over each known account. Return the reports and the errors.

    Raises StorageError when the accounts cannot be read.
    """
    accounts = await known_accounts(context.ledger, settings)
    outcomes = await asyncio.gather(
        *(pass_over(context, settings, account) for account in accounts), return_exceptions=True
    )
    reports, problems = list[PassReport](), list[str]()
    for account, outcome in zip(accounts, outcomes, strict=True):
        if isinstance(outcome, PassReport):
            reports.append(outcome)
            continue
        problems.append(f"{account.name}: {outcome}")
        code = outcome.code if isinstance(outcome, ProviderError) else None
        fields = {"account": account.name, "error": type(outcome).__name__, "code": code}
        alert(Alert.PASS_FAILED, str(outcome), **fields)
        if not isinstance(outcome, LamplighterError):
            raise outcome
    return reports, problems
