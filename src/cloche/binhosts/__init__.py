"""Hosts of binary packages: their indexes, pinned, and packages from them, verified."""
