"""Single steps of a plan, carried out with a store and an engine; nothing here knows of plans."""
