"""Public holidays of a country or subdivision, by the `holidays` package (https://pypi.org/project/holidays/).

The package is data and arithmetic: it knows no clock and asks nobody. It is imported where it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date


@functools.lru_cache(maxsize=512)
def public_holidays(region: str, year: int) -> Mapping[date, str]:
    """The names of a year's holidays by local date, in English where they are known in it.

    A region is a country or a subdivision: `DE`, `DE-BE`; NotImplementedError if it is not in `regions`.
    """
    from holidays import country_holidays

    country, _, subdivision = region.partition("-")
    # The language is named, as it would otherwise be that of the machine.
    return dict(country_holidays(country, subdiv=subdivision or None, years=year, language="en_US"))


def is_region(code: str) -> bool:
    """Whether ISO codes such as `DE` or `DE-BE` name a region that is known, without loading all others."""
    from holidays import country_holidays

    country, dash, subdivision = code.partition("-")
    if not (len(country) == 2 and country.isupper()) or (dash and not subdivision):
        return False
    try:
        country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError:
        return False
    return True


def regions() -> Mapping[str, Sequence[str]]:
    """The countries that are known (ISO 3166 codes and a few other names), each with its subdivisions."""
    from holidays import list_supported_countries

    return list_supported_countries(include_aliases=True)
