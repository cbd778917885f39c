"""Reports for people and programs: current state, forecast and past cost."""
