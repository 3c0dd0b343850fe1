"""Engines that make sandboxes with other tools, one file each, and the choice of an engine."""
