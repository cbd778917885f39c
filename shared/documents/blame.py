"""Decide whether a failure is the document's fault, and whether other documents can still be answered.

Note [whose fault is it]. A document fails only for reasons of its own: its readers refuse it, the content
filter, the context length, its size, its cost cap. Any other cause may lie in the deployment, the account or
the network, and no attempt counts while no document is answered. There are two kinds of evidence against a
document: another one was answered while its request failed; or it is the only one that fails, and a small
request of the same kind is answered right after. A rate limit (429) can be evidence only of the second kind,
and only if the limit has room for the document.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.alerts import Alert, alert
from shared.documents.ask import BatchQuestion, Question
from shared.documents.backlog import DocumentLedger
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelError,
    ModelUnavailable,
    RateLimited,
    ServiceRefused,
)
from shared.hosting.answering import Trouble
from shared.hosting.leases import WorkLease
from shared.model import TINY, BatchRequest, Document, ModelAnswer, ModelRequest
from shared.ports import Model


class Witness:
    """Observe the requests of one slice: which documents were answered, and which errors followed."""

    def __init__(
        self, model: Model, documents: DocumentLedger, work: WorkLease, endpoint: str, deployment: str
    ) -> None:
        self._model = model
        self._documents = documents
        self._work = work
        self._endpoint = endpoint
        self._deployment = deployment
        self._asked: set[str] = set()
        self.answers = 0  # the model's answers to documents, of any kind
        self.trouble: Trouble | None = None  # why no document was answered after the last answer
        self.halted = ""  # why no more requests may be sent

    def saw_question(self, document_id: str) -> None:
        """Note that a document's request is sent."""
        self._asked.add(document_id)

    def saw_answer(self) -> None:
        """Note that the model answered a document, in any way."""
        self.answers += 1
        self.trouble = None

    def saw_trouble(self, since: datetime, reason: str, *, silent: bool) -> None:
        """Note that a request failed and no other was answered meanwhile. `silent`: see Trouble."""
        first = self.trouble
        since = min(since, first.since) if first else since
        self.trouble = Trouble(since, reason, silent or (first is not None and first.silent))

    def saw_failure(
        self, error: ModelError, asked_at: datetime, answers_before: int, *, cut_short: bool
    ) -> None:
        """Note that a document's request was given up. Halt the slice if others would fail, too."""
        fields = {"deployment": self._deployment, "code": error.code}
        match error:
            case AccessDenied():
                alert(Alert.MODEL_ACCESS_DENIED, str(error), **fields)
            case ServiceRefused():
                alert(Alert.MODEL_REFUSES, str(error), **fields)
            case DeploymentNotFound():
                alert(Alert.DRAIN_FAILED, str(error), **fields)
        heard, limited = self.answers > answers_before, isinstance(error, RateLimited)
        passing = limited or (isinstance(error, ModelUnavailable) and (heard or cut_short))
        if not passing:
            self.halted = str(error)
        if not heard:
            self.saw_trouble(asked_at, str(error), silent=not limited)

    async def accuses(
        self,
        document: Document,
        asked: Question | BatchQuestion,
        error: ModelError,
        answers_before: int,
        admitted: int,
    ) -> bool:
        """Return whether there is evidence that the failure is the document's fault: see the note.

        `admitted`: the tokens that the deployment admits a minute.
        """
        if isinstance(error, AccessDenied | DeploymentNotFound):
            return False
        if not isinstance(error, RateLimited) and self.answers > answers_before:
            return True
        if self._asked != {document.id} or (answer := await self._ask_little(asked.request)) is None:
            return False
        if isinstance(error, RateLimited) and answer.remaining_tokens is not None:
            need = asked.tokens
            return min(need, admitted // 2) <= answer.remaining_tokens
        return not await self._others_in_trouble(document)

    async def _ask_little(self, request: ModelRequest | BatchRequest) -> ModelAnswer | None:
        """Return the answer to a small request of the same kind; None if there is none."""
        seconds = self._work.timing.probe_seconds
        if not self._work.allows(seconds):
            return None
        small = TINY if isinstance(request, BatchRequest) else _little(request)
        try:
            return await self._model.ask(self._endpoint, self._deployment, small, timeout=seconds)
        except ModelError:
            return None

    async def _others_in_trouble(self, document: Document) -> bool:
        async for other in self._documents.unfinished(self._deployment):
            if other.id != document.id and (other.unanswered or other.attempts):
                return True
        return False


def _little(request: ModelRequest) -> ModelRequest:
    task = [each for each in request.messages if each.role in ("system", "developer")]
    messages = (*task, TINY.messages[-1])
    return replace(request, messages=messages, max_output_tokens=TINY.max_output_tokens)
