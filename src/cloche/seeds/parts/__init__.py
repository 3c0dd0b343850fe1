"""Parts of a seed: a layer for each package, and what of them strict builds see."""
