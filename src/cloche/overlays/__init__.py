"""Single packages out of overlays, with all that they need of them (docs/overlays.md)."""
