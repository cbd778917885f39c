"""Whether the capacity of a deployment could be lost by its delete."""

from __future__ import annotations


def base_model(name: str) -> tuple[str, str] | None:
    """The base model's name and version of a fine-tuned one; None if its name does not say.

    gpt-4.1-mini-2025-04-14.ft-0e2c is of gpt-4.1-mini, version 2025-04-14; gpt-35-turbo-0125.ft-0e2c of 0125.
    """
    base, _, tuned = name.partition(".ft-")
    parts = base.split("-")
    for count in (3, 1):
        model, version = "-".join(parts[:-count]), parts[-count:]
        digits = [len(each) for each in version if each.isdecimal()]
        if tuned and model and digits in ([4, 2, 2], [4]) and len(digits) == len(version):
            return model, "-".join(version)
    return None
