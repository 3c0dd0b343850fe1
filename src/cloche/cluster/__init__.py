"""More hosts: the tasks of a plan on a Dask cluster, whose workers take layers from each other.

Dask's scheduler decides where a task runs (`calls`, `carrying`). All else goes directly between
two hosts, over Dask's connections: layers and files by their ids (`taking`), events while a task
runs, its end, and the wish to stop it (`reporting`). Each host is a `peer.Peer`. `distributed` is
an extra of the package, so it is loaded by the functions that need it.
"""

from __future__ import annotations
