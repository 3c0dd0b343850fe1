"""A virtual machine as a sandbox: its kernel, its first file system, what runs in it."""
