"""A functions host for machines without Azure Functions Core Tools: `python -m local.host`."""
