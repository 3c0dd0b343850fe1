"""Portage's files as the host reads them: repositories, ``/etc/portage``, names, binary packages.

Ebuilds and dependencies are only evaluated by Portage inside the sandbox.
"""
