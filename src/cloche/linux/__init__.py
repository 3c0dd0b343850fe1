"""System calls that Python lacks, through ctypes: each wrapper calls, checks, raises OSError."""
