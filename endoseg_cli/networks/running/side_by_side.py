"""Several networks at the same time on a CPU: each in a thread of its own, with its share of torch's threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch


def threads_for(networks: int) -> ThreadPoolExecutor:
    """Return one thread for each network, which share out torch's threads between them, all started already.

    Threads that work on one network each wait for one another once a batch, not at every layer. A thread of the program
    that uses torch for the first time in this moment may keep such a share.
    """
    whole = torch.get_num_threads()
    each, left = divmod(whole, networks)
    ready = threading.Barrier(networks)

    def settle(number: int) -> None:
        torch.get_num_threads()  # a thread's first use takes the program's number, and would undo what was set before
        torch.set_num_threads(max(each + (number < left), 1))
        ready.wait()

    threads = ThreadPoolExecutor(networks, thread_name_prefix="network")
    list(threads.map(settle, range(networks)))
    torch.set_num_threads(whole)  # what other threads that are yet to start will have
    return threads
