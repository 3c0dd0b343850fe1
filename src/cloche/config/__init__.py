"""What people write: the project's files, machines, fragments, sets. Validated with file and line.

Owns the meaning of ``cloche.toml`` and ``machines/*.toml``, and the merging of fragments into the
files of one ``/etc/portage``. Knows nothing of stores, sandboxes or seeds beyond their declaration.
"""
