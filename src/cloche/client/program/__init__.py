"""cloche-client in parts, which `cloche.targets.client_program` joins to one file."""
