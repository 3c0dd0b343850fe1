"""Sandboxes by cloche's own namespaces, and the interface that all engines share (`base`)."""
