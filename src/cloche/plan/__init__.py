"""Pure functions from Portage's resolution to steps: visible sets, action keys, order, "why"."""
