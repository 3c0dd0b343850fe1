"""Projects made of what users have: a gentoomuch configuration, or a running Gentoo system.

What is there is read first (untrusted, bounded), then decided on as plain values, then written.
"""
