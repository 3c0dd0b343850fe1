"""Compares two outputs: what each holds, how they differ, and whether that matters.

Outputs are tarballs, directories, layers, squashfs, ISO and disk images. They are read as streams
and never unpacked. They are untrusted, and nothing in them is run.
"""
