"""Accounts: each right by a harmless call, what exists under configured names, what a create needs."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.errors import (
    ModelError,
    ProviderError,
    ProviderRefused,
    ServiceRefused,
    StorageError,
)
from shared.hosting.ledger import Ledger
from shared.model import (
    Account,
    DeploymentConfig,
    DeploymentRecord,
    Hosted,
    Observed,
    Owner,
    Settings,
)
from shared.planning.adoption import differences
from shared.planning.observed import is_ours
from shared.ports import Catalogue, Provider
from shared.reports.doctor.findings import Finding, failed, ok, unchecked, warning
from shared.reports.doctor.recreation import Recreation
from shared.reports.doctor.tasks import embeddings
from shared.timing import Timing

_MODEL_SECONDS = 20.0
_ROLE = (
    "grant the app's identity Microsoft.CognitiveServices/accounts/read and accounts/deployments/read, "
    "write, delete on the account; a new grant takes some minutes"
)
_AGAIN = "run doctor again in a minute"


def _remedy(error: ProviderError) -> str:
    """For what Azure said: a role is the remedy only where one is missing."""
    return _ROLE if error.code == "AuthorizationFailed" else error.remedy or _AGAIN


@dataclass(frozen=True)
class AccountCheck:
    """The checks of one account."""

    account: Account
    settings: Settings
    owner: Owner
    provider: Provider
    catalogue: Catalogue
    ledger: Ledger
    timing: Timing
    now: datetime

    async def findings(self) -> AsyncIterator[Finding]:
        """Every finding; what one check did not learn, a later one tells as not checked."""
        account, timeout, endpoint = self.account.resource_id, self.timing.arm_seconds, None
        try:
            endpoint = await self.provider.endpoint(account, timeout=timeout)
        except ProviderError as error:
            yield failed(self._name("read"), str(error), _remedy(error))
        else:
            yield ok(self._name("read"), f"its endpoint is {endpoint}")
        azure: Mapping[str, Hosted] | None = None
        try:
            listed = await self.provider.deployments(
                self.account.resource_id, timeout=self.timing.arm_seconds
            )
        except ProviderError as error:
            yield failed(self._name("list"), str(error), _remedy(error))
        else:
            azure = {name.lower(): each for name, each in listed.items()}
            yield ok(self._name("list"), f"{len(azure)} deployment(s)")
        yield await self._write_right()
        if azure is None:
            remedy = "correct the finding above, then run doctor again"
            yield unchecked(self._name("deployments"), "they could not be listed", remedy)
        else:
            async for finding in self._existing(azure):
                yield finding
            for config in self._hosted():
                if (found := embeddings(self._name("embeddings"), config, azure)) is not None:
                    yield found
        yield await self._inference(endpoint, azure or {})
        recreation = Recreation(
            self.account,
            self._hosted(),
            self.settings.prices,
            self.provider,
            self.catalogue,
            self.timing,
            self.now,
        )
        async for finding in recreation.findings(azure or {}):
            yield finding

    def _name(self, what: str) -> str:
        return f"account {self.account.name}: {what}"

    def _hosted(self) -> list[DeploymentConfig]:
        return [
            each for each in self.settings.deployments.values() if each.account == self.account.resource_id
        ]

    async def _write_right(self) -> Finding:
        """By the DELETE of a name that nobody has: 204 or 404 with the right, 403 without.

        Never by a PUT, which would cost money; the role that grants one write grants the other.
        """
        check, nobody = self._name("write"), f"lamplighter-doctor-{uuid.uuid4().hex[:12]}"
        try:
            await self.provider.delete(self.account.resource_id, nobody, timeout=self.timing.arm_seconds)
        except ProviderRefused as error:
            locked = "remove the delete lock: deployments could never be deleted"
            return failed(check, str(error), locked if error.code == "ScopeLocked" else _remedy(error))
        except ProviderError as error:  # busy, or no answer
            return unchecked(check, str(error), _AGAIN)
        return ok(check, "deployments may be deleted; that they may be created shows at the first create")

    async def _existing(self, azure: Mapping[str, Hosted]) -> AsyncIterator[Finding]:
        """What stands under configured names, and what somebody else's costs."""
        check = self._name("deployments")
        prices = self.settings.prices
        for config in self._hosted():
            found = azure.get(config.name.lower())
            if found is None:
                continue
            try:
                record = await self.ledger.record(config.hosted_id)
            except StorageError:
                record = DeploymentRecord(config.account, config.name)  # then its tag decides
            if is_ours(found, record, self.owner, self.timing):
                yield ok(check, f"{config.name} is ours and {found.said}")
                continue
            costs = f"{prices.hosting_per_hour.get(found.spec.sku, 0.0):.2f} {prices.currency} an hour"
            differs = differences(config.spec, found.spec)
            keeps = f"; it keeps what differs from the file: {'; '.join(differs)}" if differs else ""
            if config.adopt:
                yield ok(check, f"{config.name} exists, costs {costs} and is adopted by the next pass{keeps}")
                continue
            what = f"{config.name} exists and is not ours: it costs {costs}, and is used but never changed"
            remedy = f"say adopt: true in deployments.yaml to have it hosted only while it is needed{keeps}"
            yield warning(check, what, remedy)

    async def _inference(self, endpoint: str | None, azure: Mapping[str, Hosted]) -> Finding:
        """By one tiny request to a deployment that exists; nothing is created for it.

        It runs outside the fence: cutting it off harms nobody.
        """
        check = self._name("inference")
        there = (
            azure[each.name.lower()].spec.name
            for each in self._hosted()
            if each.name.lower() in azure and azure[each.name.lower()].status is Observed.SUCCEEDED
        )
        name = next(there, None)
        if endpoint is None or name is None:
            remedy = (
                "run doctor again while a deployment is ready, such as after "
                "`up DEPLOYMENT --for 15m --owner YOU --reason doctor --wait`"
            )
            return unchecked(check, "no configured deployment is there to ask", remedy)
        try:
            await self.provider.probe(endpoint, name, timeout=_MODEL_SECONDS)
        except ServiceRefused as error:
            return failed(check, str(error), error.remedy)
        except ModelError as error:
            return unchecked(check, f"{name}: {error}", _AGAIN)
        return ok(check, f"{name} answered")
