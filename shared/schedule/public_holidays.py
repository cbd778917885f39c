"""Look up public holidays in the `holidays` package (https://pypi.org/project/holidays/).

The package is data and arithmetic: it uses neither clock nor network. It is imported where it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date


@functools.lru_cache(maxsize=512)
def public_holidays(region: str, year: int) -> Mapping[date, str]:
    """Return the names of a year's holidays by local date, in English if the package has them so.

    A region is a country or a subdivision: `DE`, `DE-BE`. Raises NotImplementedError if it is unknown.
    """
    from holidays import country_holidays

    country, _, subdivision = region.partition("-")
    # Without a language the package would use the machine's.
    return dict(country_holidays(country, subdiv=subdivision or None, years=year, language="en_US"))


@functools.lru_cache(maxsize=512)
def is_region(code: str) -> bool:
    """Return whether a code such as `DE` or `DE-BE` is a known region, without loading all others."""
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
    """Return the known countries (ISO 3166 codes and a few other names) with their subdivisions."""
    from holidays import list_supported_countries

    return list_supported_countries(include_aliases=True)
