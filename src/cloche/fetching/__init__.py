"""Fetches files over HTTP or from disk, and verifies digests and OpenPGP signatures."""
