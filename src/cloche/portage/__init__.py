"""The host's knowledge of Portage's files: repositories, ``/etc/portage``, names, binary packages.

Files only. What an ebuild means, and what depends on what, is said by Portage inside the sandbox.
"""
