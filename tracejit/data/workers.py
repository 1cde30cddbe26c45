"""Batches made ahead of their use, in order, by threads or processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import tracejit as tj

#: In a worker process: what makes a batch.
_make: Callable[[Any], Any] | None = None


def _start_process(make: Callable[[Any], Any], init: Callable[[int], Any] | None, counter: Any) -> None:
    global _make
    _make = make
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    if init is not None:
        init(number)


def _in_process(places: Any, seed: int) -> Any:
    """A batch of a worker process. Its random numbers depend on the batch, not on the process that makes it."""
    assert _make is not None
    tj.manual_seed(seed)
    return _make(places)


def ordered(executor: Executor, tasks: Iterator[Callable[[], Future[Any]]], ahead: int) -> Iterator[Any]:
    """The results of tasks in their order, with up to `ahead` of them running or waiting. What remains when the reader
    stops is cancelled."""
    waiting: deque[Future[Any]] = deque()
    try:
        for start in tasks:
            waiting.append(start())
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def by_threads(make: Callable[[Any], Any], batches: Iterable[Any], workers: int, ahead: int) -> Iterator[Any]:
    """`make(places)` of every batch, in threads."""
    executor = ThreadPoolExecutor(workers, thread_name_prefix="tracejit-data")
    return ordered(executor, ((lambda b=b: executor.submit(make, b)) for b in batches), ahead)


def by_processes(
    make: Callable[[Any], Any],
    batches: Iterable[Any],
    workers: int,
    ahead: int,
    seed: int,
    init: Callable[[int], Any] | None,
    context: Any,
) -> Iterator[Any]:
    """`make(places)` of every batch, in processes; batch i is made with random numbers of seed + i."""
    if context is None or isinstance(context, str):
        forks = "fork" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context(context or ("fork" if forks else None))
    counter = context.Value("l", 0)
    executor = ProcessPoolExecutor(workers, context, _start_process, (make, init, counter))

    def submit(places: Any, number: int) -> Future[Any]:
        with warnings.catch_warnings():  # workers only make batches: no lock of another thread is theirs to wait for
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            return executor.submit(_in_process, places, seed + number)

    return ordered(executor, ((lambda b=b, i=i: submit(b, i)) for i, b in enumerate(batches)), ahead)


def by_one_thread(items: Iterator[Any], ahead: int) -> Iterator[Any]:
    """The items of an iterator, taken ahead by one thread."""
    filled: queue.Queue[tuple[str, Any]] = queue.Queue(max(ahead, 1))
    stopped = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                filled.put((kind, value), timeout=0.1)
                return

    def fill() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    return
                put("item", item)
        except BaseException as error:
            put("error", error)
        else:
            put("end", None)

    thread = threading.Thread(target=fill, name="tracejit-data", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = filled.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        thread.join()
