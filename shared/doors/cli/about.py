"""Descriptions of the commands for their `--help`, each with the end of an example."""

from __future__ import annotations

_HOLD = (
    "The hold overrides schedule and documents, and ends by itself, after 30 days at most. It is stored "
    "at once and a pass is made. The answer forecasts what it costs or saves."
)

ABOUT = {
    "validate": (
        "Every mistake is shown with its key, the value found and the remedy. Warnings show probable "
        "mistakes, such as a window that is over, or that a change of the clocks moves.",
        "deployments.yaml",
    ),
    "preview": (
        "The file alone is enough; where the settings name the storage, holds and past sessions count, too. "
        "With --diff: what a change of the file changes.",
        "--months 1 --diff deployments.before.yaml",
    ),
    "status": (
        "From the app's records: Azure is not asked. It also shows when the inbox was last swept, and how "
        "many of the last week's documents failed.",
        "",
    ),
    "explain": (
        "It also shows what blocks the next step and until when, the last twenty decisions, and the cost "
        "of this month. Azure is asked once, and nothing is written.",
        "contract-clauses",
    ),
    "up": (_HOLD, 'contract-clauses --for 2h --owner dana --reason "demo for legal" --wait'),
    "down": (
        f"{_HOLD} Requests in flight end first, and documents wait.",
        'contract-clauses --until 2026-12-01T08:00Z --owner dana --reason "closed"',
    ),
    "release": ("Schedule and documents count again at once.", "contract-clauses"),
    "wait": (
        "It waits for anything that may change by itself. A refusal that no wait changes, such as a missing "
        "right, ends it with 1.",
        "contract-clauses --for gone --timeout 15m",
    ),
    "reconcile": (
        "It does what the timers do each minute: it records uploads without an event, takes each deployment "
        "a step towards the desired state, and sends the events that wait. Cron may run it instead of them.",
        "--drain",
    ),
    "submit": (
        "Without --wait the app does the rest. With --wait the command itself creates the deployment, "
        "prints the answers, and deletes it. Every file in a ZIP archive is a document of its own.",
        "contract-clauses letter.txt contract.md --out answers",
    ),
    "documents": (
        "The oldest come first, a thousand at most. Uploads into folders of no deployment are included.",
        "--state failed --since 2026-11-01",
    ),
    "requeue": (
        "Correct the cause first: the file itself in its place in the container failed. A run may cost "
        "tokens, up to max_cost_per_document or max_cost_per_file over all runs.",
        "--deployment contract-clauses --failed",
    ),
    "cancel": (
        "The worker that has the file stops within seconds; requests in flight end first. The results hold "
        "what is answered, and a requeue asks the rest.",
        "contract-clauses~20261201T094536-29b94907244faa01",
    ),
    "sessions": (
        "Of each session the part in the period counts. The cost of always-on hosting is shown for "
        "comparison. Costs are estimates from the prices in deployments.yaml.",
        "--month 2026-11 --csv",
    ),
    "doctor": (
        "It checks settings, storage, rights, models and quota. Nothing is created in Azure OpenAI; a "
        "configured deployment that exists is asked one tiny question.",
        "--settings local.settings.json",
    ),
}
