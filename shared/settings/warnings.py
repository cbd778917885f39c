"""Warn of likely mistakes in a valid deployments.yaml. The file can still be used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from shared.errors import SettingProblem
from shared.model import DeploymentConfig, Prices, Settings, WeeklyWindow
from shared.model.azure_openai import DEVELOPER_TIER
from shared.planning.picture import Picture, configured_on
from shared.schedule.leads import Leads
from shared.settings.answer_schema import schema_warnings
from shared.settings.schedule_checks import AHEAD, schedule_warnings
from shared.settings.slot_checks import slot_warnings
from shared.settings.zone_names import zone_doubt

_NEAR_THE_DOLLAR = ("USD", "EUR", "GBP", "CHF")  # in other currencies the usual prices differ
_USUAL_HOSTING = "1.70 an hour"
_DEAREST_HOSTING = 100.0
_DEAREST_PROVISIONED = 10_000.0  # a large one costs hundreds an hour
_CHEAPEST_TOKENS, _DEAREST_TOKENS = 0.01, 1_000.0  # per million; the models' own prices are 0.05 to 600
_PROVISIONED = "ProvisionedManaged"
_MOST_CAPACITY = 10_000  # thousands of tokens a minute, which is 10 million


def settings_warnings(settings: Settings, now: datetime) -> list[SettingProblem]:
    """Return all warnings with key and remedy; those about schedules cover the 12 months after `now`."""
    hosted = list(settings.deployments.values())
    found = [*settings.doubts, *_of_prices(settings.prices)]
    leads: dict[str, Leads] = {}
    for key, account in settings.accounts.items():
        of_account = configured_on(key, settings.deployments)
        leads |= Picture(key, now, of_account, settings.prices).leads(now, now + AHEAD)
        found += slot_warnings(account, [*of_account.values()], now, now + AHEAD)
        found += _of_equal_models([*of_account.values()])
    for config in hosted:
        found += schedule_warnings(config, leads[config.name], now)
        found += _of_deployment(config, settings)
        for remedy in schema_warnings(config.task.response_schema or {}):
            found.append(SettingProblem(f"{_key(config)}.task.response_schema", "", remedy))
    return found


def _key(config: DeploymentConfig) -> str:
    return f"deployments.{config.name}"


def _of_prices(prices: Prices) -> Iterator[SettingProblem]:
    config = "prices.hosting_per_hour"
    for sku, price in prices.hosting_per_hour.items():
        if price == 0 and sku != DEVELOPER_TIER:
            remedy = (
                f"hosting that costs nothing is never ended early, and every saving is 0: write the price of "
                f"your price sheet, usually {_USUAL_HOSTING} in USD"
            )
            yield SettingProblem(f"{config}.{sku}", f"{price:g}", remedy)
    if prices.currency.upper() not in _NEAR_THE_DOLLAR:
        return
    for sku, price in prices.hosting_per_hour.items():
        if price >= (_DEAREST_PROVISIONED if sku == _PROVISIONED else _DEAREST_HOSTING):
            remedy = f"is far above the usual {_USUAL_HOSTING}: write the price of one hour, not of a month"
            yield SettingProblem(f"{config}.{sku}", f"{price:g}", remedy)
    tokens = {"input": prices.input_per_million, "output": prices.output_per_million}
    for way, price in {**tokens, "embeddings": prices.embeddings_per_million}.items():
        if 0 < price < _CHEAPEST_TOKENS or price >= _DEAREST_TOKENS:
            remedy = (
                "is far from the usual 0.05 to 100: write the price of a million tokens, not of a thousand"
            )
            yield SettingProblem(f"prices.tokens_per_million.{way}", f"{price:g}", remedy)


def _of_equal_models(hosted: list[DeploymentConfig]) -> Iterator[SettingProblem]:
    """Warn of a custom model that is hosted twice on one account.

    Older versions of Azure's page on deploying fine-tuned models permitted one deployment of a custom model
    in a region; the current version does not say so.
    """
    first: dict[tuple[str, str], DeploymentConfig] = {}
    for config in hosted:
        identity = (config.spec.model_name.lower(), (config.spec.model_source or "").lower())
        other = first.setdefault(identity, config)
        if other is not config and config.spec.takes_slot:
            yield SettingProblem(
                f"{_key(config)}.model.name",
                config.spec.model_name,
                f"is hosted by {other.name} on the same account, too: each pays for its own hosting, and "
                "some regions admit one deployment of a custom model. Use one deployment for both, or check "
                "that Azure takes the second",
            )


def _of_deployment(config: DeploymentConfig, settings: Settings) -> Iterator[SettingProblem]:
    spec = config.spec
    if not spec.takes_slot:
        remedy = (
            "is not the name of a fine-tuned model, which holds .ft- or begins with ftchkpt-: name yours, "
            "as its fine-tuning job shows it. A base model costs nothing while it is not called"
        )
        yield SettingProblem(f"{_key(config)}.model.name", spec.model_name, remedy)
    for name, capacity in (("capacity", spec.capacity), ("minimum_capacity", spec.minimum_capacity or 0)):
        if capacity > _MOST_CAPACITY and spec.sku != _PROVISIONED:
            remedy = (
                f"means {capacity:,},000 tokens a minute, and 1 to 1,000 is usual: write thousands of tokens "
                "a minute, 120 for 120,000"
            )
            yield SettingProblem(f"{_key(config)}.sku.{name}", str(capacity), remedy)
    for number, window in enumerate(config.windows):
        if isinstance(window, WeeklyWindow) and (doubt := zone_doubt(window.time_zone)):
            yield SettingProblem(f"{_key(config)}.schedule.{number}", "", doubt)
        if (same := config.windows.index(window)) != number:
            remedy = f"is the same window as schedule.{same}: remove it, or change what should differ"
            yield SettingProblem(f"{_key(config)}.schedule.{number}", "", remedy)
    yield from _of_spillover(config, settings)


def _of_spillover(config: DeploymentConfig, settings: Settings) -> Iterator[SettingProblem]:
    target = config.spec.spillover_deployment_name
    if target is None:
        return
    named = {name.lower(): other for name, other in settings.deployments.items()}.get(target.lower())
    account = settings.accounts[config.account].name
    if named is None:
        remedy = (
            f"is not in this file: Azure needs a deployment of that name on the account {account} whenever "
            "this one is created. Check the name, or that it stands there"
        )
    elif named.account != config.account:
        remedy = (
            f"is configured on the account {settings.accounts[named.account].name}, and Azure looks for it "
            f"on {account}: name one that stands there"
        )
    else:
        return
    yield SettingProblem(f"{_key(config)}.spillover_deployment_name", target, remedy)
