"""Scripts that run inside a sandbox, beside Portage.

They use the standard library and the guest's own Portage alone, and no other room imports them.
``docs/guest-protocol.md`` is their contract with the host. A script is started by its path with
``python3 -P -s``; it then names itself a member of the package ``guest``, so that the modules here
find one another the same way inside a sandbox and in the tests.
"""
