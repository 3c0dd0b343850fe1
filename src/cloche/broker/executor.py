"""An executor that runs calls in workers, processes inside of the user namespace."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from cloche.broker.client import Broker, Worker
from cloche.broker.messages import EncodedCall, Failed, encode_call
from cloche.errors import ClocheError

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Executor):
    """Runs functions of the table `cloche.broker.calls.CALLS`, ``count`` at a time.

    Arguments and results are frozen values that msgspec encodes, and absolute paths. A function
    among the arguments is a callback: a thread of this process calls it with the worker's
    arguments, which is how progress and events come back.

    An error of the function is raised here. When a worker or the broker dies, running calls raise
    BrokerError, and the next ones get new processes.
    """

    def __init__(self, count: int | None = None) -> None:
        self._threads = ThreadPoolExecutor(
            count or len(os.sched_getaffinity(0)), thread_name_prefix="cloche-worker"
        )
        self._lock = threading.Lock()
        self._broker: Broker | None = None
        self._idle: list[Worker] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function. Raises ValueError, TypeError; see `messages.encode_call`."""
        return self._threads.submit(self._carry_out, encode_call(fn, args, kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls, and end the processes when the accepted ones have ended."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self.kill_workers()
        else:
            threading.Thread(target=self.shutdown).start()

    def kill_workers(self) -> None:
        """End the broker and all workers: running calls raise BrokerError."""
        with self._lock:
            broker, self._broker = self._broker, None
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()
        if broker is not None:
            broker.close()

    def _carry_out(self, call: EncodedCall) -> Any:
        worker = self._take()
        try:
            answer = worker.call(call)
        except BaseException:
            worker.close()
            raise
        self._give_back(worker)
        if isinstance(answer, Failed):
            raise ClocheError.from_data(answer.error)
        return call.result(answer)

    def _take(self) -> Worker:
        """An idle worker, or a new one, of a new broker if that has died."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if not worker.has_ended():
                    return worker
                worker.close()
            if self._broker is not None and self._broker.has_ended():
                self._broker.close()
                self._broker = None
            if self._broker is None:
                self._broker = Broker()
            return self._broker.worker()

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)
