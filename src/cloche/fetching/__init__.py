"""Files from outside: taken over HTTP or from a disk, and checked with digests and OpenPGP."""
