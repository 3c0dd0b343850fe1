"""Binary package hosts: pins their indexes, and verifies their packages."""
