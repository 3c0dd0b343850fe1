"""Rust crates of a package: ``CRATES``, ``GIT_CRATES`` and their licences, for cargo.eclass."""
