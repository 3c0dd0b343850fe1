"""Debian trees with Portage, and their tools as Gentoo packages."""
