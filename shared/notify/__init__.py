"""Tell people and other programs what happened, by events that outlast crashes and dead receivers."""
