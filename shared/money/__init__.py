"""Pure: what hosting and tokens cost, what the coming days will cost, and what would cost less."""
