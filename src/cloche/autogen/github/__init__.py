"""Packages of GitHub's releases and tags."""
