"""Makes, verifies and pins seeds.

`seed.make_tree` is the way through this room: the host's apt mirror (`sources`), a Debian tree
out of it (`debian`), its package list against the lock (`packages`, `lock`), Portage's release
(`portage_sdist`, `pip_config`) installed in a sandbox over that tree (`installation`). `derived`
what is made of a finished seed: its tools under Gentoo's names (`known`, `perl_modules`), a part
for each package (`contents`, `ownership`, `splitting`), and what of them strict builds see
(`strict`). Nothing here knows of machines or plans.
"""
