"""A virtual machine as a sandbox: its kernel, its initramfs, the agent that runs in it."""
