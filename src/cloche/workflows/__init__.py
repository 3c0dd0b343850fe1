"""Work that takes several commands: patches of packages (`docs/patches.md`), disposable roots
(`docs/freshroot.md`).

What is decided of patches is in pure modules (`patch_names`, `patch_headers`, `diffs`), what a root
may ask for in `freshroot_request`; effects go through `cloche.session` and `cloche.building`.
"""
