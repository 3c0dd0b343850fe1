"""Sandboxes made by cloche itself, and the interface that all engines share (`base`)."""
