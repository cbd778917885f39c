"""The door for clients of OpenAI: files and batches, in both styles of paths."""
