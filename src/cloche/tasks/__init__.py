"""Single steps, run with a store and an engine, independent of plans."""
