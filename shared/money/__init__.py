"""Pure: cost of hosting and tokens, forecasts of the coming days, and advice on saving."""
