"""Finding out what this host can do, and what shows inside of its sandboxes."""
