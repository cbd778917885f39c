"""Read from a deployments file the accounts for the emulator and the settings for the app.

The app itself reads and validates the file; this module skips parts that it cannot read.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

import yaml

from local.emulator.options import Account

ACCOUNT_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.CognitiveServices/accounts/local-openai"
)
TOPIC = "local"  # the topic in the emulator
_SETTING = re.compile(r"\$\{(\w+)\}")


def accounts_in(deployments_file: Path) -> list[str]:
    """Return the resource ids of the accounts in a deployments file, with which the emulator is started."""
    known = {"AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID, **os.environ}
    accounts: dict[str, str] = {}  # by name, which is part of the endpoint and so must be unique
    for text in _resource_ids(deployments_file):
        resource_id = _SETTING.sub(lambda match: known.get(match[1], ""), text)
        with suppress(ValueError):
            accounts.setdefault(Account.parse(resource_id).name.lower(), resource_id)
    return list(accounts.values())


def own_settings(deployments_file: Path) -> dict[str, str]:
    """Return the app settings that the file refers to as `${NAME}`, from the caller's environment."""
    named = set[str]()
    with suppress(OSError, UnicodeDecodeError):
        named.update(_SETTING.findall(deployments_file.read_text(encoding="utf-8-sig")))
    own = {name: os.environ[name] for name in sorted(named) if name in os.environ}
    return {"AZURE_OPENAI_ACCOUNT_ID": ACCOUNT_ID, **own}


def topic_setting(emulator_url: str) -> dict[str, str]:
    """Return the app setting with the endpoint of a topic, as `azd up` sets it in Azure."""
    return {"EVENT_TOPIC_ENDPOINT": f"{emulator_url}/topics/{TOPIC}/api/events"}


def _resource_ids(deployments_file: Path) -> list[str]:
    """Return the accounts' resource ids as the file has them, with `${NAME}` for an app setting."""
    with suppress(OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, LookupError, TypeError):
        content = yaml.safe_load(deployments_file.read_text(encoding="utf-8-sig"))
        return [str(account["resource_id"]) for account in content["accounts"].values()]
    return []
