"""What `--help` of a command says besides its line in the list: what it does, and the end of an example."""

from __future__ import annotations

_HOLD = (
    "The hold counts before schedule and documents, and ends by itself, after 30 days at most. It is written "
    "at once and a pass is made. The answer says what it is forecast to cost or to save."
)

ABOUT = {
    "validate": (
        "Every mistake is shown with its key, the value found and the remedy. Warnings are about what is "
        "likely not meant, such as a window that is over, or that a change of the clocks moves.",
        "deployments.yaml",
    ),
    "preview": (
        "The file alone is enough; where the settings name the storage, holds and past sessions count, too. "
        "With --diff: what a change of the file changes.",
        "--months 1 --diff deployments.before.yaml",
    ),
    "status": (
        "From the app's records: Azure is not asked. Also when the inbox was last swept, and what failed of "
        "the last week's documents.",
        "",
    ),
    "explain": (
        "Also what stands in the way of the next step and until when, the last twenty decisions, and the "
        "cost of this month. Azure is asked once, and nothing is written.",
        "contract-clauses",
    ),
    "up": (_HOLD, 'contract-clauses --for 2h --owner dana --reason "demo for legal" --wait'),
    "down": (
        f"{_HOLD} Requests in flight end first, and documents wait.",
        'contract-clauses --until 2026-12-01T08:00Z --owner dana --reason "closed"',
    ),
    "release": ("Schedule and documents count again at once.", "contract-clauses"),
    "wait": (
        "What may change by itself is waited for. What Azure refuses for good, such as a missing right, ends "
        "it with 1.",
        "contract-clauses --for gone --timeout 15m",
    ),
    "reconcile": (
        "What the timers do each minute: uploads that no event told of are recorded, and each deployment is "
        "taken a step towards what is wanted. Cron may do their work.",
        "--drain",
    ),
    "submit": (
        "Without --wait the app does the rest. With --wait the command itself has the deployment created, "
        "prints the answers, and has it deleted.",
        "contract-clauses letter.txt contract.md --out answers",
    ),
    "documents": (
        "The oldest first, a thousand at most. Also uploads into folders that are no deployment's.",
        "--state failed --since 2026-11-01",
    ),
    "requeue": (
        "Correct the cause first: the file itself is corrected where it lies in the container failed. A run "
        "may cost tokens, within max_cost_per_document over all runs.",
        "--deployment contract-clauses --failed",
    ),
    "sessions": (
        "Each session counts with its part in the period. Beside it stands what the same deployments would "
        "have cost always on. Costs are estimates from the prices in deployments.yaml.",
        "--month 2026-11 --csv",
    ),
    "doctor": (
        "Settings, storage, rights, models and quota. Nothing is created in Azure OpenAI; a configured "
        "deployment that is there is asked one tiny question.",
        "--settings local.settings.json",
    ),
}
