"""Asking one deployment within its limits, and deciding what an error means."""
