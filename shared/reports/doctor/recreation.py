"""What Azure must give when a deployment is created again, asked before its first delete.

Deleting releases the quota and the capacity, and a model that Azure retires cannot be deployed anew: a
warning before that lets people keep the deployment that is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import CapacityUnknown, ProviderError, ProviderRefused
from shared.model import Account, DeploymentConfig, Hosted, Prices
from shared.model.azure_openai import base_model
from shared.ports import Catalogue, Offer, Provider, Quota
from shared.reports.doctor.findings import Finding, failed, ok, unchecked, warning
from shared.reports.doctor.tasks import sizes
from shared.timing import Timing

SOON = timedelta(days=90)
"""So long before a model is retired somebody should train its successor."""

_GONE, _GOING = ("deprecated", "retired"), ("deprecating", "legacy")  # Azure's words for a model's age
_UNKNOWN = "this endpoint did not say, or not with these rights"
_AGAIN = "run doctor again in a minute"
_SEE_MODELS = "az cognitiveservices account list-models --resource-group {group} --name {name} shows them"
_SEE_QUOTA = "az cognitiveservices usage list --location REGION shows it"
_SEE_CAPACITY = (
    "give who runs doctor Reader on the account's subscription; the app itself needs it for keep_if_scarce"
)
_SEE_MODEL = "see the base model in Azure AI Foundry, and ask for its capacity on this SKU"
_SUCCESSOR = (
    "train a newer model; until it is in place keep what stands, as a delete could not be undone: "
    "mode: observe, or `up DEPLOYMENT --for 30d --owner YOU --reason successor`"
)


@dataclass(frozen=True)
class Recreation:
    """The checks of one account's deployments."""

    account: Account
    hosted: Sequence[DeploymentConfig]
    prices: Prices
    provider: Provider
    catalogue: Catalogue
    timing: Timing
    now: datetime

    async def findings(self, azure: Mapping[str, Hosted]) -> AsyncIterator[Finding]:
        """Source, models and their age, quota, capacity; `azure`: what stands, by lower-case names."""
        for config in self.hosted:
            async for finding in self._source(config):
                yield finding
        async for finding in self._offered(azure):
            yield finding
        for config in self.hosted:
            yield await self._capacity(config)

    def _name(self, what: str) -> str:
        return f"account {self.account.name}: {what}"

    async def _source(self, config: DeploymentConfig) -> AsyncIterator[Finding]:
        """A create reads the model where it belongs, with the right of who creates."""
        source, check = config.spec.model_source, self._name("model source")
        if source is None or source.lower() == self.account.resource_id.lower():
            return
        try:
            await self.catalogue.offers(source, timeout=self.timing.arm_seconds)
        except ProviderRefused as error:
            remedy = (
                f"grant the app's identity Reader on {source}: without it a create is refused with "
                "LinkedAuthorizationFailed"
            )
            yield failed(check, f"{config.name}: the models of its source cannot be read: {error}", remedy)
        except ProviderError as error:
            yield unchecked(check, f"{config.name}: {error}", _AGAIN)
        else:
            yield ok(check, f"{config.name}: the models of its source can be read")

    async def _offered(self, azure: Mapping[str, Hosted]) -> AsyncIterator[Finding]:
        """Models, their age, SKUs and quota, as far as this endpoint and these rights tell."""
        resource_id, check = self.account.resource_id, self._name("models")
        try:
            offers = await self.catalogue.offers(resource_id, timeout=self.timing.arm_seconds)
        except ProviderError as error:
            parts = resource_id.strip("/").split("/")
            remedy = _SEE_MODELS.format(group=parts[3], name=parts[7])
            yield unchecked(check, f"{_UNKNOWN}: {error}", remedy)
            return
        for config in self.hosted:
            yield _availability(check, config, _offers_of(config, offers))
            offer = _described(config, offers)
            yield _lifecycle(self._name("lifecycle"), config, offer, self.now)
            for finding in sizes(self._name("context"), config, offer, azure.get(config.name.lower())):
                yield finding
        check = self._name("quota")
        try:
            quotas = await self.catalogue.quotas(resource_id, timeout=self.timing.arm_seconds)
        except ProviderError as error:
            yield unchecked(check, f"{_UNKNOWN}: {error}", _SEE_QUOTA)
            return
        for config in self.hosted:
            yield _quota(check, config, offers, quotas, azure.get(config.name.lower()))

    async def _capacity(self, config: DeploymentConfig) -> Finding:
        """Whether the region itself has room: quota is a permission, not a reservation."""
        check, spec, timeout = self._name("capacity"), config.spec, self.timing.arm_seconds
        try:
            left = await self.provider.capacity_left(self.account.resource_id, spec, timeout=timeout)
        except CapacityUnknown as error:
            return unchecked(check, f"{config.name}: {error}", _SEE_MODEL)
        except ProviderError as error:
            return unchecked(check, f"{config.name}: {_UNKNOWN}: {error}", _SEE_CAPACITY)
        base, _ = base_model(spec.model_name) or (spec.model_name, "")
        what = f"{config.name}: {left:,.0f}K are left in the region for {base} on {spec.sku}"
        what = f"{what}, it takes {spec.capacity}K"
        if left >= spec.capacity:
            return ok(check, what)
        price = f"{self.prices.hosting_per_hour.get(spec.sku, 0.0):.2f} {self.prices.currency} an hour"
        keep = "keep_if_scarce keeps it" if config.keep_if_scarce else "say keep_if_scarce: true to keep it"
        remedy = (
            f"a delete could lose it: {keep} meanwhile, at {price}; or take "
            "sku.minimum_capacity, another SKU or another region"
        )
        return warning(check, what, remedy)


def _offers_of(config: DeploymentConfig, offers: Sequence[Offer]) -> list[Offer]:
    spec = config.spec
    return [each for each in offers if (each.model, each.version) == (spec.model_name, spec.model_version)]


def _availability(check: str, config: DeploymentConfig, offers: Sequence[Offer]) -> Finding:
    spec, skus = config.spec, sorted({each.sku for each in offers})
    if not offers:
        remedy = (
            "compare model.name and model.version with the fine-tuning job; a wrong one fails at the create"
        )
        return unchecked(check, f"{config.name}: the account does not list {spec.model_name}", remedy)
    if spec.sku not in skus:
        remedy = f"set sku.name to one of {', '.join(skus)}"
        return failed(check, f"{config.name}: its model is not offered on {spec.sku} here", remedy)
    return ok(check, f"{config.name}: its model is offered on {spec.sku}")


def _described(config: DeploymentConfig, offers: Sequence[Offer]) -> Offer | None:
    """Return the entry of the model, or of its base model if that alone is listed."""
    of_base = [each for each in offers if (each.model, each.version) == base_model(config.spec.model_name)]
    return next(iter([*_offers_of(config, offers), *of_base]), None)


def _lifecycle(check: str, config: DeploymentConfig, found: Offer | None, now: datetime) -> Finding:
    """Whether Azure still lets the model be deployed anew."""
    if found is None or not found.lifecycle:
        remedy = "look for the base model's retirement date in Microsoft's list of model retirements"
        return unchecked(check, f"{config.name}: Azure tells nothing of its model's age", remedy)
    retires = f", it answers until {found.retires_at:%Y-%m-%d}" if found.retires_at else ""
    what = f"{config.name}: its model is {found.lifecycle}{retires}"
    if found.lifecycle.lower() in _GONE or (found.retires_at and found.retires_at <= now):
        return failed(check, f"{what}: what is deleted cannot be created again", _SUCCESSOR)
    if found.lifecycle.lower() in _GOING or (found.retires_at and found.retires_at - now <= SOON):
        return warning(check, what, _SUCCESSOR)
    return ok(check, what)


def _quota(
    check: str,
    config: DeploymentConfig,
    offers: Sequence[Offer],
    quotas: Mapping[str, Quota],
    existing: Hosted | None,
) -> Finding:
    """Whether a create would find its capacity free; what the deployment itself uses now counts as free."""
    spec = config.spec
    name = _quota_name(spec.model_name, spec.model_version, spec.sku, offers, quotas)
    if name is None:
        return unchecked(check, f"{config.name}: Azure names no quota for it", _SEE_QUOTA)
    limit, free = quotas[name].limit, quotas[name].limit - quotas[name].used
    if existing is not None and name == _quota_name(
        existing.spec.model_name, existing.spec.model_version, existing.spec.sku, offers, quotas
    ):
        free += existing.spec.capacity
    of_all = f"{free:,.0f}K of {limit:,.0f}K tokens a minute are free"
    what = f"{config.name}: {of_all}, it takes {spec.capacity}K"
    remedy = "lower sku.capacity, set sku.minimum_capacity, or ask for more quota in the region"
    if free >= spec.capacity:
        return ok(check, what)
    if spec.minimum_capacity is not None and free >= spec.minimum_capacity:
        return warning(check, f"{what}, at least {spec.minimum_capacity}K", remedy)
    return failed(check, what, remedy)


def _quota_name(
    model: str, version: str, sku: str, offers: Sequence[Offer], quotas: Mapping[str, Quota]
) -> str | None:
    """The quota that a model draws on with a SKU; None if Azure does not name it.

    Every SKU has a quota of its own. Some lists name a SKU twice, once with the quota of the base model and
    once with that of its fine-tuned versions, which ends in `-finetune`: the latter counts here.
    """
    wanted = (model, version, sku)
    names = [each.quota for each in offers if (each.model, each.version, each.sku) == wanted]
    known = [name for name in names if name in quotas]
    tuned = [name for name in known if name.lower().endswith("-finetune")]
    return next(iter([*tuned, *known]), None)
