"""Checks of an installation, made from this machine. They are independent; each finding has its remedy."""
