"""Where seeds come from, how they are verified and pinned.

`seed.make_tree` is the way through this room: the host's apt mirror (`sources`), a Debian tree
out of it (`debian`), its package list against the lock (`packages`, `lock`), Portage's release
(`portage_sdist`, `pip_config`) installed in a sandbox over that tree (`prepare`). `strict` works
out what of a finished seed a strict build must not see. Nothing here knows of machines or plans.
"""
