"""Threads: how many, and how they share the work with those of the linear algebra library and of
the reader.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from mrftool.errors import ArgumentError

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chosen_threads(threads: int | None) -> int:
    """As many as asked for, by default one per processor that this process may use."""
    if threads is not None and threads < 1:
        raise ArgumentError(f"{threads} threads, expected at least 1")
    return threads or usable_processors()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products of NumPy run in the thread that asks for them.

    For work that is split over threads already: the products are small, and the library's own
    threads, which spin while they wait, cost more than they bring; on a busy machine, a hundred
    times more.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def prefetched(items: Iterator[Item]) -> Generator[Item, None, None]:
    """`items`, the next of them made in another thread while the caller works on the last."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = reader.submit(next, items, None)
            yield item


def mapped(work: Callable[[Item], Result], items: Iterator[Item], threads: int) -> Iterator[Result]:
    """`work` of each item, in order, from several threads; none begins long before its result is
    taken, or after the caller has stopped.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
