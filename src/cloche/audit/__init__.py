"""What files of a finished root need to run, whether the root has it, which package brings it.

Files are only read, never run, and nothing in them is trusted.
"""
