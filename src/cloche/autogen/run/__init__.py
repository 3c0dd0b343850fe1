"""A list of packages of upstream's, kept up to date in a repository, unattended."""
