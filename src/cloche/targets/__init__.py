"""Machines elsewhere that packages are built for: what identifies one, levels, acceptance.

A target is described by a `description.Description`, which `cloche-client` collects there. The
functions of `calls` replay its Portage, build what it needs at a level, and prove what it accepts.
"""
