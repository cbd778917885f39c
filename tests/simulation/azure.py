"""The truth about Azure: what exists and whose it is, and what Azure or somebody else does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from local.emulator import specification
from local.emulator.options import Account
from local.emulator.state import NEVER_READY, SUCCEEDED, Deployments, Generation, ProvisioningTime, Rules
from shared.domain import AzureDeployment, Hosting
from shared.errors import ArmError, ArmRefused
from shared.planning.observed import QUARANTINE
from tests.fakes.azure import body_of, shown
from tests.fakes.world import ACCOUNT
from tests.simulation.scenario import OTHER_ACCOUNT

if TYPE_CHECKING:
    from tests.simulation.world import World

_LAST_EFFECT = QUARANTINE.total_seconds()
_LONGEST_PAUSE = 12 * 60.0
"""Between two deletes that Azure refuses, and a tick."""


class AccountState(Deployments):
    """The truth about one account."""

    def __init__(self, account: Account, world: World) -> None:
        median = world.scenario.provision_median
        takes = ProvisioningTime(median, 3 * median)
        rules = Rules(takes, 5.0, 10.0, "terminal", 10_000, world.scenario.slots)
        super().__init__(rules, world.random)
        self.account = account


class Azure:
    """Every account, by resource id, and every deployment that is or was."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.accounts = {
            each.resource_id: AccountState(Account("s", "g", each.name), world)
            for each in (ACCOUNT, OTHER_ACCOUNT)
        }
        self._owners: dict[str, str] = {}
        self._tagless: dict[str, bool] = {}
        self._keeps_tags = False
        self._spells: list[tuple[str, str, float]] = []  # what, whose, until when

    def account_of(self, name: str) -> AccountState:
        hosting = next(each for each in self._world.scenario.hostings if each.name == name)
        return self.accounts[hosting.account]

    def find(self, name: str) -> Generation | None:
        azure = self.account_of(name)
        return azure.find(azure.account, name, self._world.now())

    def serving(self, name: str) -> Generation | None:
        found = self.find(name)
        return found if found is not None and found.serving(self._world.now()) else None

    def owner(self, found: Generation) -> str:
        """`ours`, `foreign` (no tag) or `second` (another installation's tag)."""
        return self._owners.get(_key(found), "ours")

    def standing(self) -> list[Generation]:
        """What of ours exists and is not being deleted."""
        return [
            found
            for azure in self.accounts.values()
            for found in azure.list(azure.account, self._world.now())
            if self.owner(found) == "ours" and found.deleted is None
        ]

    def settled_at(self, found: Generation, now: float) -> float:
        """Since when it is in a terminal state and nothing else is under way on its account."""
        since_start = self._world.since_start
        azure = next(each for each in self.accounts.values() if found in each.generations)
        ends = [since_start(run.settled) for each in azure.generations for run in each.runs]
        ends += [since_start(each.gone) for each in azure.generations if each.gone and each is not found]
        return max((end for end in ends if end <= now), default=0.0)

    # --- what LIST shows ------------------------------------------------------------------------

    def listed(self, account: str, at: datetime) -> dict[str, AzureDeployment]:
        azure = self.accounts[account]
        return {each.name: self.shown(each, at) for each in azure.list(azure.account, at)}

    def shown(self, found: Generation, at: datetime) -> AzureDeployment:
        """Some deployments do not keep their tags, and some are in states that nobody knows."""
        key = _key(found)
        if key not in self._tagless:
            loses = self._world.random.random() < self._world.scenario.tagless and not self._keeps_tags
            self._tagless[key] = loses and self.owner(found) == "ours"
        as_shown = shown(found, at)
        if self._is_under("strange", found.name):
            as_shown = replace(as_shown, provisioning_state="Strange")
        return replace(as_shown, tags={}) if self._tagless[key] else as_shown

    # --- what Azure makes of writes -------------------------------------------------------------

    def outcome(self) -> str:
        """How a creation that begins now will end."""
        world = self._world
        if world.seconds() < world.scenario.lasts and world.random.random() < world.scenario.bad_outcomes:
            world.disturbed(0.0)
            return world.random.choice(("Failed", "Canceled", NEVER_READY))
        return SUCCEEDED

    def refuses(self, what: str, name: str) -> ArmError | None:
        """A refusal that no retry mends."""
        if what == "PUT" and (name in self._world.scenario.refused or self._is_under("full", name)):
            return ArmRefused("no", code="InsufficientQuota")
        if what == "DELETE" and self._is_under("locked", name):
            return ArmRefused("locked", code="ScopeLocked")
        return None

    def later(self, delay: float, what: str, name: str, act: Callable[[], object]) -> None:
        """A write whose effect comes after its sender gave up."""
        world = self._world

        def take_effect() -> None:
            world.note(f"a {what} of {name} from {delay:.0f} s ago takes effect")
            world.disturbed(0.0)
            # Later than the quarantine and without its tag nobody could know it for ours: documented.
            self._keeps_tags = delay > _LAST_EFFECT
            try:
                act()
            except ArmError as error:
                world.note(f"or not: {error}")
            self._keeps_tags = False

        world.call_later(delay, take_effect)

    # --- what somebody else does ----------------------------------------------------------------

    def vanish(self, name: str) -> None:
        """Somebody deletes it, at once."""
        if (found := self.find(name)) is not None:
            found.gone = self._world.now()
            self._world.disturbed(0.0)

    def fall_silent(self, name: str) -> None:
        """It says Succeeded, and answers no more."""
        if (found := self.serving(name)) is not None:
            found.runs[-1] = replace(found.runs[-1], serves=None)
            self._world.disturbed(0.0)

    def under(self, spell: str, name: str, seconds: float) -> None:
        """`locked`, `full` or `strange` for so long."""
        self._spells.append((spell, name, self._world.seconds() + seconds))
        self._world.disturbed(seconds + _LONGEST_PAUSE)

    def _is_under(self, spell: str, name: str) -> bool:
        now = self._world.seconds()
        return any(of == name and kind == spell and now < until for kind, of, until in self._spells)

    def somebody_creates(self, hosting: Hosting, name: str, owner: str, seconds: float) -> None:
        """One that is not ours, for so long."""
        azure, now = self.accounts[hosting.account], self._world.now()
        tags = {} if owner == "foreign" else {"lamplighter": "another"}
        if azure.find(azure.account, name, now) is not None:
            return
        try:
            body = body_of(replace(hosting.spec, name=name, tags=tags))
            put, _ = azure.put(azure.account, name, body, owner, now)
        except specification.ArmError:  # the account is busy or full: they give up
            return
        self._world.disturbed(0.0)
        self._world.judge.somebody_helped(name)
        self._owners[_key(put)] = owner
        self._world.call_later(seconds, self._somebody_deletes, put)

    def _somebody_deletes(self, found: Generation) -> None:
        if found.gone is None:
            found.gone = self._world.now()
            self._world.disturbed(0.0)


def _key(found: Generation) -> str:
    return f"{found.account.name}/{found.number}"
