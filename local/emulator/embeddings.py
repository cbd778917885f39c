"""Embeddings requests, and deterministic vectors: texts are similar if they share forms of words."""

import base64
import hashlib
import math
import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from local.emulator import tokens
from local.emulator.answers import InvalidRequest, positive

MOST_INPUTS, MOST_TOKENS, MOST_TOKENS_OF_AN_INPUT = 2048, 300_000, 8191
"""Azure's limits of a request."""
_DIMENSIONS = 1536
_WORD = re.compile(r"\w{4,}")
_BEGINNING = 5  # characters of a word


@dataclass(frozen=True)
class EmbeddingsRequest:
    """The parts of an embeddings request that the emulator uses."""

    inputs: tuple[str, ...]
    as_base64: bool
    dimensions: int

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Return the tokens of each input."""
        return tuple(map(tokens.count, self.inputs))


def parse(body: Mapping[str, Any]) -> EmbeddingsRequest:
    """Parse a request. Raises InvalidRequest for malformed parts, and above Azure's limits."""
    given = body.get("input")
    inputs = [given] if isinstance(given, str) else given
    if (
        not isinstance(inputs, list)
        or not inputs
        or not all(isinstance(each, str) and each for each in inputs)
    ):
        message = "'$.input' is invalid. Please check the API reference."
        raise InvalidRequest(message)
    if len(inputs) > MOST_INPUTS:
        raise InvalidRequest(
            f"Invalid 'input': array too long. Expected an array with maximum length {MOST_INPUTS}."
        )
    request = EmbeddingsRequest(
        tuple(inputs),
        body.get("encoding_format") == "base64",
        positive(body, "dimensions") or _DIMENSIONS,
    )
    if max(request.sizes) > MOST_TOKENS_OF_AN_INPUT:
        raise InvalidRequest(
            f"This model's maximum context length is {MOST_TOKENS_OF_AN_INPUT} tokens, however you requested "
            f"{max(request.sizes)} tokens. Please reduce your prompt.",
            param="input",
            code="context_length_exceeded",
        )
    if sum(request.sizes) > MOST_TOKENS:
        raise InvalidRequest(f"Invalid 'input': maximum request size is {MOST_TOKENS} tokens per request.")
    return request


def answer(request: EmbeddingsRequest, model: str) -> dict[str, Any]:
    """Return the body of the answer, always the same for the same request."""
    vectors = [vector(text, request.dimensions) for text in request.inputs]
    used = sum(request.sizes)
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": at, "embedding": _shown(each, as_base64=request.as_base64)}
            for at, each in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def vector(text: str, dimensions: int = _DIMENSIONS) -> list[float]:
    """Return a vector of length 1: the beginnings of the text's longer words, hashed to dimensions.

    Those that a text repeats weigh less. So texts with the same rare words are similar, and also those with
    other forms of the words, which a comparison of whole words misses.
    """
    counted = Counter(word[:_BEGINNING] for word in _WORD.findall(text.casefold()))
    found = [0.0] * dimensions
    for beginning, times in counted.items():
        digest = hashlib.blake2b(beginning.encode(errors="replace"), digest_size=8).digest()
        place = int.from_bytes(digest, "big")
        found[place % dimensions] += (1 if place >> 63 else -1) / times
    length = math.hypot(*found) or 1.0
    return [each / length for each in found]


def _shown(given: Sequence[float], *, as_base64: bool) -> list[float] | str:
    return base64.b64encode(array("f", given).tobytes()).decode() if as_base64 else [*given]
