"""distcc(1): a compiler wrapper that keeps hosts which are not to blame."""
