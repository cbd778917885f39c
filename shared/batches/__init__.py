"""Batches of OpenAI's API: uploaded files, and the documents that are made of them."""
