"""Scripts that run inside a sandbox, beside Portage.

They use only the standard library and the guest's own Portage, and no other room imports them.
``docs/guest-protocol.md`` is their contract with the host. A script is started by its path with
``python3 -P -s`` and makes itself a member of the package ``guest``, so that its imports work both
in a sandbox and in the tests.
"""
