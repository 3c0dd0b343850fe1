"""What builds leave behind for people: events, logs, messages of ebuilds, history."""
