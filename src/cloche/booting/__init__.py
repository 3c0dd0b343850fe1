"""Boots what was made, in QEMU or in systemd-nspawn, and checks what runs there."""
