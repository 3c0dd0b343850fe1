"""Putting layers into one root such that each is what Portage makes of its package there."""
