"""The subdomains at which accounts answer requests."""

from collections.abc import Iterable

from local.emulator.options import RESERVED_NAMES, SUBDOMAIN, Account


class Endpoints:
    """Every account's subdomain: its own name, until it was deleted and created again under another."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_subdomain = {account.name.lower(): account for account in accounts}

    def account(self, subdomain: str) -> Account | None:
        """The account that answers there, if any does."""
        return self._by_subdomain.get(subdomain.lower())

    def of(self, account: Account) -> str:
        """The subdomain of an account."""
        return next(name for name, each in self._by_subdomain.items() if each == account)

    def move(self, account: Account, subdomain: object) -> None:
        """Have the account answer there, and nowhere else. Raises ValueError for what cannot be one."""
        if not isinstance(subdomain, str) or not SUBDOMAIN.fullmatch(subdomain):
            raise ValueError("subdomain must be a string of 2 to 64 letters, digits, hyphens, dots")
        if subdomain.lower() in RESERVED_NAMES:
            raise ValueError(f"the emulator uses the path '{subdomain}' itself")
        if self.account(subdomain) not in (None, account):
            raise ValueError(f"another account answers at '{subdomain}'")
        del self._by_subdomain[self.of(account)]
        self._by_subdomain[subdomain.lower()] = account
