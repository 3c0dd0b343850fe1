"""System calls that Python lacks, through ctypes: each wrapper calls, checks, and raises OSError."""
