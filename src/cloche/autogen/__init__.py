"""Writes ebuilds from what upstream publishes: an index of Python packages, releases on GitHub."""
