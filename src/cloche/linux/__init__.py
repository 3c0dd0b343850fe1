"""System calls that Python lacks, through ctypes. Wrappers raise OSError."""
