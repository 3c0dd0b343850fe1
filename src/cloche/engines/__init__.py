"""Sandboxes: one file an engine, one small interface (`base`)."""
