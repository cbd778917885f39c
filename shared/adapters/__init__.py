"""Adapters that implement the ports with the Azure and OpenAI SDKs. Importing an adapter imports its SDK."""

import logging

# At INFO, the level of Microsoft's worker, the SDKs log every request with the URL of the blob: file names,
# and a gigabyte a month. The levels in host.json do not reach Python's loggers.
for _name in ("aiohttp", "azure", "httpcore2", "httpx2", "msal", "openai", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)
