"""Records of builds for users: events, logs, messages of ebuilds, history."""
