"""Follows an ``emerge`` that runs outside of cloche, as the events of a build."""
