"""The true state of Azure: its deployments, their owners, and the actions of Azure and other people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from local.emulator import specification
from local.emulator.options import Account
from local.emulator.state import NEVER_READY, SUCCEEDED, Deployments, Generation, Lognormal, Rules
from shared.errors import CapacityRefused, ProviderError, ProviderRefused
from shared.model import DeploymentConfig, Hosted, Observed
from shared.timing import TIMING
from tests.fakes.azure import body_of, shown
from tests.fakes.world import ACCOUNT
from tests.simulation.scenario import OTHER_ACCOUNT

if TYPE_CHECKING:
    from tests.simulation.world import World

_LAST_EFFECT = TIMING.quarantine.total_seconds()
_LONGEST_PAUSE = 12 * 60.0
"""Seconds between two deletes that Azure refuses, plus a tick."""


@dataclass
class Trouble:
    """Requests to a deployment fail for a time. `met`: times at which our requests failed because of it."""

    name: str
    what: str  # `outage` or `refusing`
    how: str
    begins: float
    until: float
    met: list[float] = field(default_factory=list)


class AccountState(Deployments):
    """The true state of one account."""

    def __init__(self, account: Account, world: World) -> None:
        median = world.scenario.provision_median
        takes = Lognormal(median, 3 * median)
        rules = Rules(takes, 5.0, 10.0, "terminal", 10_000, world.scenario.slots)
        super().__init__(rules, world.random)
        self.account = account


class Azure:
    """All accounts, by resource id, and all deployments that exist or existed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.accounts = {
            account.resource_id: AccountState(Account("s", "g", account.name), world)
            for account in (ACCOUNT, OTHER_ACCOUNT)
        }
        self._owners: dict[str, str] = {}
        self._tagless: dict[str, bool] = {}
        self.effect_is_late = False
        self._spells: dict[tuple[str, str], float] = {}  # kind and deployment → end time
        self.omitted_at = -1000.0  # when a LIST last left out an entry
        self._omitted: dict[str, float] = {}  # deployment → when a LIST last left it out
        self._vanished: dict[str, float] = {}  # deployment → when it was last gone unseen
        self.troubles: list[Trouble] = []
        self.slow_to_probes: defaultdict[str, list[float]] = defaultdict(list)  # deployment → times
        self._ignored: dict[str, int] = {}  # deletes that will be accepted and do nothing
        self.ignored: dict[str, int] = {}  # deletes that were accepted and did nothing
        self._lingers: dict[str, float] = {}  # seconds that the next delete takes
        self._endpoints = {
            account.resource_id: f"https://{account.name}.example/" for account in (ACCOUNT, OTHER_ACCOUNT)
        }
        self._lost_by: dict[str, str] = {}  # old endpoint → how requests to it fail

    def account_of(self, name: str) -> AccountState:
        config = next(config for config in self._world.scenario.configs if config.name == name)
        return self.accounts[config.account]

    def find(self, name: str) -> Generation | None:
        azure = self.account_of(name)
        return azure.find(azure.account, name, self._world.now())

    def serving(self, name: str) -> Generation | None:
        found = self.find(name)
        return found if found is not None and found.serving(self._world.now()) else None

    def owner(self, found: Generation) -> str:
        """Return the side whose PUT created it (`ours`, `twin`), `foreign` (no tag) or `second` (another
        installation's tag).
        """
        return self._owners.get(_key(found), "ours")

    def is_the_twins(self, name: str) -> bool:
        if self._world.scenario.twin is None or name not in self._world.people.configured:
            return False
        found = self.find(name)
        return found is not None and self.owner(found) == "twin"

    def created_by(self, side: str, found: Generation) -> None:
        self._owners[_key(found)] = side

    def lost_its_tags(self, found: Generation) -> bool:
        return self._tagless.get(_key(found), False)

    def remove_all_of(self, side: str) -> None:
        """Delete everything that a side has left."""
        for azure in self.accounts.values():
            for found in azure.list(azure.account, self._world.now()):
                if self.owner(found) in (side, "both"):
                    self._delete_from_outside(found)

    def endpoint(self, account: str) -> str:
        return self._endpoints[account]

    def wrong_endpoint(self, endpoint: str, name: str) -> str | None:
        """Return how a request fails if the endpoint is not the current one of the deployment's account."""
        config = next(config for config in self._world.scenario.configs if config.name == name)
        if endpoint == self._endpoints[config.account]:
            return None
        return self._lost_by.get(endpoint, "not_found")

    def standing(self) -> list[Generation]:
        """Return our deployments that exist and are not being deleted."""
        return [
            found
            for azure in self.accounts.values()
            for found in azure.list(azure.account, self._world.now())
            if self.owner(found) == "ours" and found.deleted is None
        ]

    def settled_at(self, found: Generation, now: float) -> float:
        """Return since when it is in a terminal state and its account has no other operation; else `now`."""
        since_start = self._world.since_start
        azure = next(each for each in self.accounts.values() if found in each.generations)
        others = [each for each in azure.generations if each is not found]
        spans = [(run.accepted, run.settled) for each in others for run in each.runs]
        spans += [(each.deleted, each.gone) for each in others if each.deleted and each.gone]
        if any(since_start(begun) <= now < since_start(ended) for begun, ended in spans):
            return now
        ends = [ended for _, ended in spans] + [run.settled for run in found.runs]
        return max((end for each in ends if (end := since_start(each)) <= now), default=0.0)

    # --- LIST -----------------------------------------------------------------------------------

    def listed(self, account: str, at: datetime) -> dict[str, Hosted]:
        azure, random = self.accounts[account], self._world.random
        found = {each.name: self.shown(each, at) for each in azure.list(azure.account, at)}
        for name in list(found):
            always = self._is_under("missed always", name)
            if always or (self._is_under("missed sometimes", name) and random.random() < 0.5):
                self.omit(found, name)
        return found

    def omit(self, found: dict[str, Hosted], name: str) -> None:
        """Leave an entry out of a LIST."""
        self._world.trouble(f"a LIST leaves out {name}")
        self.omitted_at = self._omitted[name] = self._world.seconds()
        del found[name]

    def was_omitted(self, name: str, since: float) -> bool:
        return self._omitted.get(name, -1.0) >= since

    def vanished_at(self, name: str) -> float:
        """Return when it was last deleted from outside, or by a write that its sender had given up.

        The app doubts a LIST without it for some minutes.
        """
        return self._vanished.get(name, 0.0)

    def _vanish(self, found: Generation) -> None:
        found.gone = self._world.now()
        self._vanished[found.name] = self._world.seconds()
        self._world.judge.alarms.over("no effect", found.name)
        self._world.disturbed(0.0)

    def shown(self, found: Generation, at: datetime) -> Hosted:
        """Return it as LIST shows it: some deployments lose their tags, and some have an unknown state."""
        key = _key(found)
        if key not in self._tagless:
            loses = self._world.random.random() < self._world.scenario.tagless and not self.effect_is_late
            self._tagless[key] = loses and self.owner(found) == "ours"
        as_shown = shown(found, at)
        if self._is_under("strange", found.name):
            as_shown = replace(as_shown, status=Observed.UNKNOWN, said="Strange")
        return replace(as_shown, spec=replace(as_shown.spec, tags={})) if self._tagless[key] else as_shown

    # --- outcomes of writes ---------------------------------------------------------------------

    def outcome(self) -> str:
        """Draw how a creation that begins now will end."""
        world = self._world
        if world.seconds() < world.scenario.lasts and world.random.random() < world.scenario.bad_outcomes:
            world.disturbed(0.0)
            return world.random.choice(("Failed", "Canceled", NEVER_READY))
        return SUCCEEDED

    def refuses(self, what: str, name: str, capacity: int | None = None) -> ProviderError | None:
        """Return a refusal that a retry cannot fix, if there is one."""
        if self._is_under("readonly", name):
            return ProviderRefused("the subscription is disabled", code="ReadOnlyDisabledSubscription")
        if capacity is not None and self._is_under("reduced", name) and capacity > self._least(name):
            return CapacityRefused("not so much", code="InsufficientQuota")
        if what == "PUT" and (name in self._world.scenario.refused or self._is_under("full", name)):
            return CapacityRefused("no", code="InsufficientQuota")
        if what == "DELETE" and self._is_under("locked", name):
            return ProviderRefused("locked", code="ScopeLocked")
        return None

    def _least(self, name: str) -> int:
        config = next(config for config in self._world.scenario.configs if config.name == name)
        return config.spec.minimum_capacity or 0

    def ignores_delete(self, name: str) -> bool:
        """Return whether this DELETE is accepted and does nothing."""
        left = self._ignored.get(name, 0)
        if not left or self.find(name) is None:
            return False
        self._ignored[name] = left - 1
        self.ignored[name] = self.ignored.get(name, 0) + 1
        self._world.trouble(f"the DELETE of {name} does nothing")
        self._world.disturbed(_LONGEST_PAUSE)
        return True

    def slow_down_delete(self, found: Generation) -> None:
        """Prolong the Deleting state, with the account busy, if that was requested."""
        seconds = self._lingers.pop(found.name, None)
        if seconds is not None and found.deleted is not None:
            self._world.note(f"{found.name} will be Deleting for {seconds:.0f} s")
            found.gone = found.deleted + timedelta(seconds=seconds)
            self._world.disturbed(seconds)

    # --- outcomes of requests -------------------------------------------------------------------

    def trouble_of(self, name: str) -> Trouble | None:
        """Return why requests to a deployment fail now."""
        if not self.troubles:
            return None
        now = self._world.seconds()
        return next(
            (
                trouble
                for trouble in self.troubles
                if trouble.name == name and trouble.begins <= now < trouble.until
            ),
            None,
        )

    def troubled_since(self, name: str, since: float) -> bool:
        """Return whether its requests failed at any time since then."""
        return any(trouble.name == name and trouble.until > since for trouble in self.troubles)

    def begin_trouble(self, names: Iterable[str], what: str, how: str, seconds: float) -> None:
        """Begin an outage, or a refusal of every request, that lasts `seconds`."""
        now = self._world.seconds()
        for name in names:
            trouble = Trouble(name, what, how, now, now + seconds)
            self.troubles.append(trouble)
            self._world.call_later(seconds, self._world.judge.alarms.lasted, trouble)

    def ignore_deletes(self, name: str, deletes: int) -> None:
        self._ignored[name] = deletes

    def prolong_next_delete(self, name: str, seconds: float) -> None:
        self._lingers[name] = seconds

    def recreate_account(self, account: str, how: str) -> None:
        """Delete the account and create it again with another endpoint."""
        azure = self.accounts[account]
        for found in azure.list(azure.account, self._world.now()):
            self._vanish(found)
        former = self._endpoints[account]
        self._lost_by[former] = how
        self._endpoints[account] = former.replace(".example", "-anew.example")
        self._world.disturbed(0.0)

    def later(self, delay: float, what: str, name: str, act: Callable[[], object]) -> None:
        """Let a write take effect after its sender gave up."""
        world = self._world

        def take_effect() -> None:
            world.note(f"a {what} of {name} from {delay:.0f} s ago takes effect")
            world.disturbed(0.0)
            # After the quarantine and without its tag, the app cannot know that it is ours: documented.
            self.effect_is_late = delay > _LAST_EFFECT
            try:
                act()
            except ProviderError as error:
                world.note(f"it is refused: {error}")
            self.effect_is_late = False
            if what == "DELETE":
                self._vanished[name] = world.seconds()

        world.call_later(delay, take_effect)

    # --- actions of other people ----------------------------------------------------------------

    def vanish(self, name: str) -> None:
        """Delete it from outside, at once."""
        if (found := self.find(name)) is not None:
            self._vanish(found)

    def fall_silent(self, name: str) -> None:
        """Let it show Succeeded and stop answering."""
        if (found := self.serving(name)) is not None:
            found.runs[-1] = replace(found.runs[-1], serves=None)
            self._world.disturbed(0.0)

    def begin_spell(self, spell: str, name: str, seconds: float) -> None:
        """Begin `locked`, `full`, `strange`, `readonly`, `reduced` or `missed` for `seconds`."""
        until = self._world.seconds() + seconds
        self._spells[spell, name] = max(until, self._spells.get((spell, name), 0.0))
        self._world.disturbed(seconds + (0.0 if spell.startswith("missed") else _LONGEST_PAUSE))

    def _is_under(self, spell: str, name: str) -> bool:
        return self._world.seconds() < self._spells.get((spell, name), 0.0)

    def create_from_outside(self, config: DeploymentConfig, name: str, owner: str, seconds: float) -> None:
        """Create a deployment that is not ours, and delete it after `seconds`."""
        azure, now = self.accounts[config.account], self._world.now()
        tags = {} if owner == "foreign" else {"lamplighter": "another"}
        if azure.find(azure.account, name, now) is not None:
            return
        try:
            body = body_of(replace(config.spec, name=name, tags=tags))
            put, _ = azure.put(azure.account, name, body, owner, now)
        except specification.ArmError:  # the account is busy or full: they give up
            return
        self._world.disturbed(0.0)
        self._world.judge.created_from_outside(name)
        self.created_by(owner, put)
        self._world.call_later(seconds, self._delete_from_outside, put)

    def _delete_from_outside(self, found: Generation) -> None:
        if found.gone is None:
            self._vanish(found)


def _key(found: Generation) -> str:
    return f"{found.account.name}/{found.number}"
