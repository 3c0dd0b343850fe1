"""Catalyst's files: reading them as catalyst does, checking them, and saying what they mean.

Nothing here builds anything.
"""
