"""Several networks at the same time on a CPU: each in a thread of its own, with its share of torch's threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads_for(networks: int) -> ThreadPoolExecutor:
    """Return one thread for each network, which share out torch's threads between them, all started already.

    Threads that work on one network each wait for one another once a batch, not at every layer. A thread of the program
    that uses torch for the first time in this moment may keep such a share.
    """
    whole = torch.get_num_threads()
    each, left = divmod(whole, networks)
    ready = threading.Barrier(networks)

    def settle(number: int) -> None:
        _hold_this_thread_to(max(each + (number < left), 1))
        ready.wait()

    threads = ThreadPoolExecutor(networks, thread_name_prefix="network")
    list(threads.map(settle, range(networks)))
    torch.set_num_threads(whole)  # what other threads that are yet to start will have
    return threads


def on_few_threads(work: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """Return `work` for a thread that shall use a quarter of torch's threads, from its first call on; at least one.

    For networks so small that their threads would wait for one another, beside others that keep all cores busy.
    """
    held = threading.local()

    def run(item: Item) -> Result:
        if not hasattr(held, "done"):
            held.done, whole = True, torch.get_num_threads()
            _hold_this_thread_to(max(whole // 4, 1))
            # what threads have that are yet to start is set by whoever sets it last, in whatever thread
            restoring = threading.Thread(target=torch.set_num_threads, args=(whole,))
            restoring.start()
            restoring.join()
        return work(item)

    return run


def _hold_this_thread_to(number: int) -> None:
    torch.get_num_threads()  # a thread's first use takes the program's number, and would undo what was set before
    torch.set_num_threads(number)
