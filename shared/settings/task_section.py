"""Define the shape of a task in deployments.yaml: what to ask of each document, or of each row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.json_schema.subschemas import subschemas
from shared.model import Large, Slot, Template, prompt
from shared.settings.values import Name, Positive, Price, Prompt, RowText, Schema, Text

_SLOT = re.compile("|".join(map(re.escape, Slot)))


class Section(BaseModel):
    """A section of the file: no key that is not known, and no value in messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class MessageSection(Section):
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class RecordsSection(Section):
    text: RowText
    keep: list[Text] | None = None
    id: Text | None = None

    @model_validator(mode="after")
    def _keeps_once(self) -> Self:
        if self.keep is not None and len(set(self.keep)) < len(self.keep):
            raise ValueError("keep names a column twice: remove one")
        return self


class _Evidence(Section):
    quotes: Annotated[list[Text], Field(min_length=1)]
    require: bool = False


class TaskSection(Section):
    system_prompt: Prompt | None = None
    messages: list[MessageSection] = Field(default_factory=list)
    response_schema: Schema | None = None
    max_output_tokens: Positive
    max_cost_per_document: Price | None = None
    queries: list[Text] = Field(default_factory=list)
    ask: Literal["one_by_one", "together"] = "one_by_one"
    large: Large = Large.WHOLE
    context_tokens: Positive | None = None
    not_found: Text | None = None
    evidence: _Evidence | None = None
    embeddings: Name | None = None
    records: RecordsSection | None = None
    max_cost_per_file: Price | None = None

    @model_validator(mode="after")
    def _asks_about_the_document(self) -> Self:
        if (self.system_prompt is None) is not bool(self.messages):
            raise ValueError("write either system_prompt or messages")
        slots = [(each.role, slot) for each in self.messages for slot in _SLOT.findall(each.content)]
        if self.messages and [role for role, slot in slots if slot == Slot.DOCUMENT] != ["user"]:
            raise ValueError(f"write {Slot.DOCUMENT} once, in a message of the user, for the document's text")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's, as the model answers it")
        asked = sum(slot == Slot.QUERY for _, slot in slots)
        if self.messages and asked != bool(self.queries):
            raise ValueError(
                f"write {Slot.QUERY} once, for each of the queries"
                if self.queries
                else f"{Slot.QUERY} has no meaning without queries: write the question itself, or queries"
            )
        return self

    @model_validator(mode="after")
    def _can_be_large(self) -> Self:
        if self.large is Large.RETRIEVE and not self.queries:
            raise ValueError("large: retrieve looks for passages by queries: write queries, or map_reduce")
        if self.large is Large.RETRIEVE and self.not_found is None and self.response_schema is None:
            raise ValueError("large: retrieve needs not_found: the answer that says that nothing was found")
        if self.large is Large.RETRIEVE and self.ask == "together":
            raise ValueError("large: retrieve asks each query by itself: remove ask: together")
        if self.ask == "together" and not self.queries:
            raise ValueError("ask: together has no meaning without queries: write queries, or remove it")
        if len(set(self.queries)) < len(self.queries):
            raise ValueError("queries has one twice, which would be asked and paid twice: remove it")
        if self.context_tokens is not None and self.context_tokens <= self.max_output_tokens:
            raise ValueError(
                "context_tokens holds prompt and answer, so it must be above max_output_tokens: write the "
                "model's context size"
            )
        return self

    @model_validator(mode="after")
    def _asks_each_row_once(self) -> Self:
        """Check that a row is one request: nothing would show that a part of a row was left out."""
        if self.records is None:
            return self
        beside = {
            "queries": (self.queries, "asks several questions, and a row has one answer"),
            f"large: {self.large}": (
                self.large is not Large.WHOLE,
                "asks about pieces of a document, and a row is asked whole",
            ),
            "evidence": (self.evidence, "gives places in a document's pages, and a row has none"),
            "max_cost_per_document": (
                self.max_cost_per_document is not None,
                "caps a document; max_cost_per_file caps a file of rows",
            ),
        }
        for key, (given, why) in beside.items():
            if given:
                raise ValueError(f"{key} does not go with records: it {why}. Remove it, or records")
        return self

    @model_validator(mode="after")
    def _quotes_what_it_answers(self) -> Self:
        if self.evidence is None:
            return self
        if self.response_schema is None:
            raise ValueError("evidence names fields of an answer with a schema: write response_schema")
        known = {name for _, part in subschemas(self.response_schema) for name in _properties_of(part)}
        if unknown := [name for name in self.evidence.quotes if name not in known]:
            raise ValueError(
                f"evidence.quotes has {unknown[0]!r}, and the schema has no such property: write one of "
                f"{', '.join(sorted(known))}"
            )
        return self

    @property
    def templates(self) -> tuple[Template, ...]:
        """Return the messages of every request."""
        if self.system_prompt is not None:
            return prompt(self.system_prompt, queries=bool(self.queries))
        return tuple(Template(each.role, _pieces(each.content)) for each in self.messages)


def _properties_of(part: Any) -> Iterable[str]:
    return part.get("properties", {}) if isinstance(part, dict) else ()


def _pieces(content: str) -> tuple[str, ...]:
    """Return the literal pieces of a message, and the slots between them."""
    literal = _SLOT.split(content)
    slots = [*map(Slot, _SLOT.findall(content)), ""]
    return tuple(piece for pair in zip(literal, slots, strict=True) for piece in pair if piece)
