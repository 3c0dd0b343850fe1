"""Parts of a seed: a layer for each package, and which of them strict builds see."""
