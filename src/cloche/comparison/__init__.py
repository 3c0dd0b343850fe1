"""Two outputs compared: what each holds, in what they differ, and whether that matters.

Outputs are tarballs, directories, layers, squashfs, ISO and disk images. They are read as streams
and never unpacked; nothing in them is trusted, and nothing of them is run.
"""
