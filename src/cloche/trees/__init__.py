"""Where ebuild repositories come from, how they are verified and pinned."""
