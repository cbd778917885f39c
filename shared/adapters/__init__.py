"""The ports, fulfilled with the Azure and OpenAI SDKs, which are imported when an adapter is."""

import logging

# The SDKs log every request at INFO, the level of Microsoft's worker, with the addresses of blobs in it: file
# names, and a gigabyte a month. host.json's levels do not reach Python's loggers.
for _name in ("aiohttp", "azure", "httpcore2", "httpx2", "msal", "openai", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)
