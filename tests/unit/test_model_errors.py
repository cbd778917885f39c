"""Refusals of the data plane that the emulator does not give: by the shapes that public reports show."""

from __future__ import annotations

import httpx2
import openai
import pytest

from shared.adapters.openai_errors import translated
from shared.errors import AccessDenied, ModelError, RateLimited, RequestRefused, ServiceRefused

REGIONAL = "https://swedencentral.api.cognitive.microsoft.com/"
OWN = "https://contoso.openai.azure.com/"


def refusal(status: int, error: object, endpoint: str = OWN) -> ModelError:
    """What the adapter makes of this answer."""
    response = httpx2.Response(status, request=httpx2.Request("POST", endpoint))
    return translated(openai.APIStatusError("a secret", response=response, body=error), endpoint)


def test_the_content_filter_is_known_by_its_inner_code() -> None:
    """Also where the outer one says nothing; a code that could quote the document is not repeated."""
    filtered = refusal(400, {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}})
    assert isinstance(filtered, RequestRefused)
    assert filtered.code == "ResponsibleAIPolicyViolation"
    odd = refusal(400, {"code": "a secret of the document", "innererror": "odd", "param": ["odd"]})
    assert isinstance(odd, ServiceRefused)
    assert (odd.code, "secret" in str(odd)) == ("400", False)


@pytest.mark.parametrize("body", [None, "a secret", [], {"message": None}, {"code": None}, {"code": 7}])
def test_a_refusal_of_any_shape_is_the_services(body: object) -> None:
    """What nobody knows blames no document."""
    found = refusal(400, body)
    assert isinstance(found, ServiceRefused)
    assert "secret" not in str(found)
    assert found.remedy


def test_an_account_without_a_subdomain_needs_one() -> None:
    """At the region's own address Azure takes no token of an identity: no role would help."""
    assert "custom subdomain" in refusal(401, {"code": "401"}, REGIONAL).remedy
    assert "tenant" in refusal(401, {"code": "401"}).remedy
    assert isinstance(refusal(401, None, REGIONAL), AccessDenied)


def test_high_demand_is_a_rate_limit_too() -> None:
    """Whatever the code says."""
    assert isinstance(refusal(429, {"code": "NoCapacity", "message": "high demand"}), RateLimited)
