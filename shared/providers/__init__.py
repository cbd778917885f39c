"""Providers that host models: one package for each. They do not depend on each other."""
