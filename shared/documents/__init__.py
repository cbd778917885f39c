"""Process documents: an upload becomes a ledger row, its text a request, the answer a result."""
