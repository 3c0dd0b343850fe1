"""Catalyst's targets, built: from a spec to a project, and from its outputs to catalyst's."""
