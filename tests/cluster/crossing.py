"""One side of a crossing, as a process of its own: `give STORE SCHEDULER` or `take … GIVER ID`.

The taker prints the seconds that a layer needed, until it is verified and in its store.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cloche.cluster.giving import giving
from cloche.cluster.peer import Peer
from cloche.cluster.security import Tls
from cloche.cluster.taking import Source
from cloche.store import Store


def main() -> None:
    """Give until the end of standard input, or take once."""
    what, path, scheduler, *more = sys.argv[1:]
    files = more[-3:] if scheduler.startswith("tls:") else []
    tls = Tls(*map(Path, files)) if files else Tls()
    with Store.open(Path(path)) as store:
        if what == "give":
            print(Peer(scheduler, tls, giving(store)).address, flush=True)
            time.sleep(600)
            return
        peer = Peer(scheduler, tls, {})
        began = time.monotonic()
        taken = Source(peer, more[0]).trees([more[1]], store)
        print(time.monotonic() - began, flush=True)
        assert taken == (more[1],)
        peer.close()


if __name__ == "__main__":
    main()
