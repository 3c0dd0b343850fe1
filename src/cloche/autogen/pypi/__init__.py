"""Ebuilds from an index of Python packages (PEP 503, 691, 658)."""
