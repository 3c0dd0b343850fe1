"""Work that takes several commands: patches of packages (`docs/patches.md`).

What is decided is in pure modules (`patch_names`, `patch_headers`, `diffs`); effects go through
`cloche.session` and `cloche.building`.
"""
