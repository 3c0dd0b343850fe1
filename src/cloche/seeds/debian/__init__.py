"""Debian trees with Portage in them, and what of their tools Gentoo knows by its own names."""
