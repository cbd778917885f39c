"""Simulate the app under faults: in virtual time, repeatable by seed, with a judge that sees everything."""
