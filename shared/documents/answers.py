"""Carry out the plan for a document: ask its requests and combine their answers into one value.

A negative answer to a query counts only once all passages were asked. If the document's cap ends that
earlier, the answer says how many were.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from shared.documents.ask import conform
from shared.documents.checkpoints import TOO_LONG
from shared.documents.job import Job
from shared.documents.plan import Ask, Plan
from shared.errors import DocumentRefused, RequestRefused
from shared.model import Large, Task

_AROUND = " \t\r\n.!\"'“”"  # what may stand around the words that say that nothing was found


async def carry_out(job: Job, plan: Plan, task: Task, smaller: Callable[[int], Awaitable[Plan]]) -> Any:
    """Return the value of a document's answer. Raises what `Job.answer` raises.

    `smaller`: returns the plan with requests of so many tokens. It is used once, if the model refuses a
    request for its length.
    """
    try:
        return await _carry_out(job, plan, task)
    except RequestRefused as error:
        if error.code not in TOO_LONG or task.large is Large.WHOLE:
            raise
        largest = plan.largest
        return await _carry_out(job, await smaller(largest.tokens - largest.prompt_tokens // 2), task)


async def _carry_out(job: Job, plan: Plan, task: Task) -> Any:
    await job.recall(plan)
    if plan.is_search:
        found = await job.each([partial(_look, job, asks, task) for asks in plan.asks], plan.at_once)
        return [{"query": query, **each} for query, each in zip(plan.queries, found, strict=True)]
    asks = plan.certain
    if len(asks) == 1:
        values = [await job.answer(asks[0])]
    else:
        values = await job.each([partial(job.answer, ask) for ask in asks], plan.at_once)
    pieces = len(values) // len(plan.queries)
    combined = [
        combine(values[first : first + pieces], task) if pieces > 1 else values[first]
        for first in range(0, len(values), pieces)
    ]
    if not task.queries or task.together:
        return combined[0]
    return [{"query": query, "answer": value} for query, value in zip(plan.queries, combined, strict=True)]


async def _look(job: Job, asks: Sequence[Ask], task: Task) -> dict[str, Any]:
    """Ask the passages, the best first, until there is an answer that is not negative."""
    searched, value = 0, None
    for ask in asks:
        if searched and not await job.affords(ask):
            break
        value = await job.answer(ask)
        searched += len(ask.pieces)
        if not is_negative(value, task.not_found):
            break
    return {"answer": value, "passages": {"searched": searched, "of": sum(len(ask.pieces) for ask in asks)}}


def is_negative(value: Any, not_found: str | None) -> bool:
    """Return whether an answer says nothing: it is `not_found`, or all of its fields are that or empty.

    Case does not count, nor do white space, full stops and quotation marks around the words.
    """
    nothing = {"", (not_found or "").strip(_AROUND).casefold()}
    return all(
        leaf is None or leaf is False or (isinstance(leaf, str) and leaf.strip(_AROUND).casefold() in nothing)
        for leaf in _leaves(value)
    )


def _leaves(value: Any) -> Iterator[Any]:
    """Give what is neither object nor list. Not recursive: an answer may be nested deeply."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as fields:
                waiting += fields.values()
            case list() as items:
                waiting += items
            case leaf:
                yield leaf


def combine(values: Sequence[Any], task: Task) -> Any:
    """Return the answers to the pieces of a document as one: those that say something, in their order.

    Texts stand below each other; of objects, lists are joined, and of other fields the first one counts that
    says something. Raises DocumentRefused if that does not conform to the schema.
    """
    telling = [value for value in values if not is_negative(value, task.not_found)] or [values[0]]
    if task.response_schema is None:
        return "\n\n".join(dict.fromkeys(str(value).strip() for value in telling))
    value = _merged(telling, task.not_found)
    if (where := conform(value, task.response_schema)) is not None:
        raise DocumentRefused(
            f"the answers to its {len(values)} pieces make none that conforms to the schema at {where}: "
            "write a schema with lists, or split the document"
        )
    return value


def _merged(values: Sequence[Any], not_found: str | None) -> Any:
    """Merge objects field by field, join lists without repetitions; else return the first telling value."""
    if all(isinstance(value, dict) for value in values):
        names = dict.fromkeys(name for value in values for name in value)
        return {
            name: _merged([value[name] for value in values if name in value], not_found) for name in names
        }
    telling = [value for value in values if not is_negative(value, not_found)] or [values[0]]
    if all(isinstance(value, list) for value in telling):
        joined = list[Any]()
        for value in telling:
            joined += [each for each in value if each not in joined]
        return joined
    return telling[0]
