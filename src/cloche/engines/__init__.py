"""Engines that make sandboxes with the tools of others, one file each, and choosing one."""
