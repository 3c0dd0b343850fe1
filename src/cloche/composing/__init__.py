"""Composes layers into one root such that each is what a merge in that root would give."""
