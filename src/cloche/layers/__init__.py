"""Layers: merging, listing, identity, capture and comparison of trees.

A layer is a directory that overlayfs takes as a lower one (with ``userxattr``): a character device
0:0 hides a name, ``user.overlay.opaque=y`` hides what lies below a directory. Stacks are sequences
of directories, the bottom first. `capture` turns what was written over a stack into a clean layer,
`commit` puts it into a store under its `layer_id`, `merged` and `flatten` show a stack as one tree
without a mount, `compare` compares two trees or stacks, `subtract` makes the layer that turns one
into the other, and `merge_layers` makes one layer from several.
"""

from __future__ import annotations

from cloche.layers.algebra import flatten, merge_layers, subtract
from cloche.layers.capture import CaptureReport, capture
from cloche.layers.compare import Comparison, Difference, compare, compare_layers
from cloche.layers.errors import LayerError
from cloche.layers.identity import SOURCE_DATE_EPOCH, Normaliser, Rules, layer_id
from cloche.layers.layer import Layer, commit, layer_of, stored_layer
from cloche.layers.merge import Merged, Node, is_whiteout, merged
from cloche.layers.patterns import matcher
from cloche.layers.portage_noise import PORTAGE_RULES

__all__ = [
    "PORTAGE_RULES",
    "SOURCE_DATE_EPOCH",
    "CaptureReport",
    "Comparison",
    "Difference",
    "Layer",
    "LayerError",
    "Merged",
    "Node",
    "Normaliser",
    "Rules",
    "capture",
    "commit",
    "compare",
    "compare_layers",
    "flatten",
    "is_whiteout",
    "layer_id",
    "layer_of",
    "matcher",
    "merge_layers",
    "merged",
    "stored_layer",
    "subtract",
]
