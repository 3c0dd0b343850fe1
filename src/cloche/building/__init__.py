"""Carrying out a plan: ready queue, workers, caches, jobserver, events."""
