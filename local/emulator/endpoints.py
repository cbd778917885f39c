"""The subdomains of accounts, at which their data planes answer."""

from collections.abc import Iterable

from local.emulator.options import RESERVED_NAMES, SUBDOMAIN, Account


class Endpoints:
    """Maps accounts to subdomains: at first an account's name, another one once it was created again."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_subdomain = {account.name.lower(): account for account in accounts}

    def account(self, subdomain: str) -> Account | None:
        """Return the account that answers at a subdomain, if there is one."""
        return self._by_subdomain.get(subdomain.lower())

    def of(self, account: Account) -> str:
        """Return the subdomain of an account."""
        return next(name for name, owner in self._by_subdomain.items() if owner == account)

    def move(self, account: Account, subdomain: object) -> None:
        """Move an account to another subdomain. Raises ValueError for one that is invalid or taken."""
        if not isinstance(subdomain, str) or not SUBDOMAIN.fullmatch(subdomain):
            raise ValueError("subdomain must be a string of 2 to 64 letters, digits, hyphens, dots")
        if subdomain.lower() in RESERVED_NAMES:
            raise ValueError(f"the emulator uses the path '{subdomain}' itself")
        if self.account(subdomain) not in (None, account):
            raise ValueError(f"another account answers at '{subdomain}'")
        del self._by_subdomain[self.of(account)]
        self._by_subdomain[subdomain.lower()] = account
