"""The user's files: project, machines, fragments, sets. Validated with file and line.

Owns the meaning of ``cloche.toml`` and ``machines/*.toml``, and the merging of fragments into one
``/etc/portage``. Does not know stores or sandboxes, and only the declarations of seeds.
"""
