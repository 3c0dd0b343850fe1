"""The plan, by pure functions of Portage's resolution: visible sets, action keys, order, "why"."""
