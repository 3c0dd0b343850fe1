"""What the files of a finished root need to run, whether the root has it, and who brought it.

Files are only read, never run, and nothing in them is trusted.
"""
