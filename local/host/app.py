"""The app's settings in the host, and the error of an app that cannot run here."""

import os
import re


class HostError(SystemExit):
    """The app cannot run here. Ends the host with exit code 1 and a message with the remedy."""


def resolve(text: str) -> str:
    """Replace each %NAME% by the app setting NAME. Raises HostError for one that is missing."""
    try:
        return re.sub(r"%([^%]+)%", lambda match: os.environ[match[1]], text)
    except KeyError as error:
        raise HostError(f"{text!r} does not resolve to a value: set the setting {error.args[0]}") from None
