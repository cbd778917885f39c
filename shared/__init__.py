"""Lamplighter: hosts fine-tuned Azure OpenAI models only while somebody needs them."""
