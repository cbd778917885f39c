"""Checks of a live set-up from where they run: each on its own, each finding with its remedy."""
