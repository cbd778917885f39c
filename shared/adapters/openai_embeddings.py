"""Read the vectors in an answer of the embeddings API. The answer is untrusted, and the SDK checks no types.

https://developers.openai.com/api/reference/resources/embeddings
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from typing import Any

from shared.errors import ModelUnavailable
from shared.model import Embedded


def embedded(raw: Any, count: int) -> Embedded:
    """Return the vectors of `count` texts in their order, and the tokens.

    Raises ModelUnavailable for an answer that the API does not permit.
    """
    import openai
    from openai.types import CreateEmbeddingResponse

    try:
        answer = raw.parse()
        if not isinstance(answer, CreateEmbeddingResponse):
            raise TypeError
        found = {item.index: _vector(item.embedding) for item in answer.data}
        vectors = tuple([found[index] for index in range(count)])
        if len({len(vector) for vector in vectors}) > 1:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, openai.APIError) as error:
        raise ModelUnavailable(
            "the embeddings are not what the API promises", code="invalid", status=raw.status_code
        ) from error
    used = getattr(answer.usage, "prompt_tokens", None)
    return Embedded(vectors, used if isinstance(used, int) and used > 0 else 0)


def _vector(given: object) -> array[float]:
    """Return a vector: 32-bit floats, little-endian, in base64, or a list of numbers. Raises ValueError."""
    if isinstance(given, str):
        vector = array("f", base64.b64decode(given, validate=True))
        if sys.byteorder == "big":
            vector.byteswap()
    elif isinstance(given, list):
        vector = array("f", given)
    else:
        raise ValueError
    if not vector or not math.isfinite(sum(vector)):
        raise ValueError
    return vector
