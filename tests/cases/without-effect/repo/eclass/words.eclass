# Gives its ebuilds no flags.
