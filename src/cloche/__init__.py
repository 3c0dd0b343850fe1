"""cloche builds Gentoo packages, stages and images under glass."""

__version__ = "0.1.0"
