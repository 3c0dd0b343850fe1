"""Probes what this host can do, and what is visible inside of its sandboxes."""
