"""Embeddings through the openai SDK, with Azure's limits."""

import openai
import pytest
from emulator_clients import ACCOUNT, azure
from openai import AsyncAzureOpenAI

SMALL = "text-embedding-3-small"


async def test_both_paths_answer_in_both_encodings():
    """The SDK asks for base64 by itself; the answer and the bill have the tokens."""
    async with azure() as cloud:
        await cloud.ready("embedder", model=SMALL)
        shown = (await cloud.get("embedder")).properties.capabilities
        assert shown == {"embeddings": "true"}
        create = cloud.openai.embeddings.create
        first = await create(model="embedder", input="rent")
        plain = await create(model="embedder", input=["rent"], encoding_format="float", dimensions=8)
        assert (len(first.data[0].embedding), len(plain.data[0].embedding)) == (1536, 8)
        assert (first.model, first.usage.prompt_tokens, first.usage.total_tokens) == (SMALL, 1, 1)
        classic = AsyncAzureOpenAI(
            azure_endpoint=f"{cloud.url}/{ACCOUNT}", api_key="key", api_version="2024-10-21", max_retries=0
        )
        async with classic:
            again = await classic.embeddings.create(model="embedder", input="rent")
        assert again.data == first.data
        row = (await cloud.bill())["deployments"][0]
        assert (row["requests_answered"], row["admitted"], row["tokens_in"], row["tokens_out"]) == (
            3,
            3,
            3,
            0,
        )
        assert row["dollars"] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "'$.input' is invalid"),
        ([""], "'$.input' is invalid"),
        ([7], "'$.input' is invalid"),
        (["a"] * 2049, "maximum length 2048"),
        (["rent " * 9000], "maximum context length is 8191 tokens"),
        (["rent " * 8000] * 38, "300000 tokens per request"),
    ],
)
async def test_what_azure_refuses_is_refused(given, said):
    async with azure() as cloud:
        await cloud.ready("embedder", model=SMALL, capacity=1000)
        with pytest.raises(openai.BadRequestError) as refused:
            await cloud.openai.embeddings.create(model="embedder", input=given)
        assert said in refused.value.message


async def test_more_tokens_than_the_capacity_admits_get_a_429():
    """With the time to wait, and the name of the operation."""
    async with azure() as cloud:
        await cloud.ready("embedder", model=SMALL, capacity=1)
        texts = ["rent " * 600]
        await cloud.openai.embeddings.create(model="embedder", input=texts)
        with pytest.raises(openai.RateLimitError) as refused:
            await cloud.openai.embeddings.create(model="embedder", input=texts)
        assert "Embeddings_Create" in refused.value.message
        assert 0 < int(refused.value.response.headers["retry-after"]) <= 60
        assert (await cloud.bill())["totals"]["rejected"] == 1
