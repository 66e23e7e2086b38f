"""None of these may hang, whichever stage fails, with full queues or empty ones."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

import pytest

from endoseg_cli.inference.flow.stages import Stages

pytestmark = pytest.mark.timeout(20)
ENDLESS = 10**9


class Resource:
    """Something to close in the reading thread."""

    def __init__(self) -> None:
        self.closed_in: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed_in.append(threading.current_thread().name)


def double(batch: Sequence[int]) -> list[int]:
    return [2 * item for item in batch]


def error_of(stages: Stages[int, int]) -> BaseException | None:
    """Run in a thread of its own and return the error: a hang fails the test, where pytest's timeout would only add
    another error to the first one, which `run` raises.
    """
    errors: list[BaseException] = []

    def work() -> None:
        try:
            stages.run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(15)
    assert not thread.is_alive(), "the stages hang"
    assert not threads()
    return errors[0] if errors else None


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("endoseg-")}


@pytest.mark.parametrize(("item_bytes", "largest"), [(0, 8), (1 << 20, 8), (16 << 20, 4), (40 << 20, 1), (1 << 30, 1)])
def test_batches_of_large_frames_are_small(item_bytes: int, largest: int) -> None:
    seen: list[int] = []

    def predict(batch: Sequence[int]) -> Sequence[int]:
        seen.append(len(batch))
        return batch

    Stages(iter(range(40)), predict, lambda _: None, batch_size=8, item_bytes=item_bytes).run()
    assert max(seen) == largest and sum(seen) == 40


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 97])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_all_items_arrive_in_order(count: int, batch_size: int) -> None:
    written: list[int] = []
    resource = Resource()
    stages = Stages(iter(range(count)), double, written.append, batch_size=batch_size, reading=resource)
    stages.run()
    assert written == [2 * item for item in range(count)]
    assert resource.closed_in == ["endoseg-read"] and not threads()


def test_batches_are_full_but_the_last() -> None:
    sizes: list[int] = []

    def predict(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return list(batch)

    Stages(range(10), predict, lambda _: None, batch_size=4).run()
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize("count", [0, 2, 3, 9])
def test_results_may_come_later_and_are_asked_for_at_the_end(count: int) -> None:
    held: list[int] = []
    written: list[int] = []

    def predict(batch: Sequence[int]) -> list[int]:
        held.extend(batch)
        ready = held[:-3]
        del held[:-3]
        return ready

    Stages(range(count), predict, written.append, batch_size=2, flush=lambda: held).run()
    assert written == list(range(count))


def test_an_error_while_flushing_is_heard_and_after_another_error_nothing_is_flushed() -> None:
    flushed: list[str] = []

    def flush() -> list[int]:
        flushed.append("once")
        raise ValueError("flushing failed")

    assert str(error_of(Stages(range(9), double, slowly, batch_size=4, flush=flush))) == "flushing failed"
    assert str(error_of(Stages(failing_source(9), double, slowly, batch_size=4, flush=flush))) == "reading failed"
    assert flushed == ["once"]


def test_reading_goes_no_further_ahead_than_the_queues_hold() -> None:
    read: list[int] = []
    ahead: list[int] = []

    def source() -> Iterator[int]:
        for item in range(60):
            read.append(item)
            yield item

    def write(item: int) -> None:
        if item == 0:
            seen = -1
            while seen < len(read) or seen < 8:  # until the reader stands still
                seen = len(read)
                time.sleep(0.2)
            ahead.append(len(read))

    Stages(source(), lambda batch: list(batch), write, batch_size=2).run()
    # one being written, 4 results and 2 predicted waiting for room, 4 items, and one in the reader's hand
    assert ahead[0] <= 12 and len(read) == 60


def failing_source(after: int) -> Iterator[int]:
    yield from range(after)
    raise ValueError("reading failed")


def failing_predict(batch: Sequence[int]) -> list[int]:
    if batch[-1] >= 20:
        raise ValueError("predicting failed")
    return list(batch)


def failing_write(item: int) -> None:
    if item >= 20:
        raise ValueError("writing failed")


def slowly(item: int) -> None:
    time.sleep(0.002)


def slow_predict(batch: Sequence[int]) -> list[int]:
    time.sleep(0.01)
    return list(batch)


@pytest.mark.parametrize("after", [0, 1, 50])
def test_a_failing_reader_stops_everything(after: int) -> None:
    resource = Resource()
    stages = Stages(failing_source(after), double, slowly, batch_size=4, reading=resource)
    assert str(error_of(stages)) == "reading failed"
    assert resource.closed_in == ["endoseg-read"]


def test_a_failing_network_stops_an_endless_reader_with_full_queues() -> None:
    resource = Resource()
    stages = Stages(range(ENDLESS), failing_predict, slowly, batch_size=4, reading=resource)
    assert str(error_of(stages)) == "predicting failed"
    assert resource.closed_in == ["endoseg-read"]


def test_a_failing_writer_stops_an_endless_reader_with_full_queues() -> None:
    resource = Resource()
    stages = Stages(range(ENDLESS), lambda batch: list(batch), failing_write, batch_size=4, reading=resource)
    assert str(error_of(stages)) == "writing failed"
    assert resource.closed_in == ["endoseg-read"]


def test_a_writer_that_fails_on_the_last_item_is_heard() -> None:
    assert str(error_of(Stages(range(21), lambda batch: list(batch), failing_write, batch_size=4))) == "writing failed"


def test_a_resource_that_cannot_be_closed_is_heard() -> None:
    class Stuck(Resource):
        def __exit__(self, *error: object) -> None:
            raise OSError("cannot close")

    assert str(error_of(Stages(range(3), double, lambda _: None, batch_size=2, reading=Stuck()))) == "cannot close"


def test_ctrl_c_while_predicting_ends_both_threads() -> None:
    written: list[int] = []

    def predict(batch: Sequence[int]) -> list[int]:
        if batch[-1] > 40:
            raise KeyboardInterrupt
        return list(batch)

    error = error_of(Stages(range(ENDLESS), predict, written.append, batch_size=4))
    assert isinstance(error, KeyboardInterrupt) and written == list(range(len(written)))


@pytest.mark.parametrize("waiting_for", ["reader", "writer", "end"])
def test_a_real_ctrl_c_is_heard_while_the_main_thread_waits(waiting_for: str) -> None:
    """SIGINT comes while the calling thread waits for items, for room in the queue, or for the writer to end."""
    pressed = threading.Event()

    def press() -> None:
        if not pressed.is_set():
            pressed.set()
            signal.raise_signal(signal.SIGINT)

    def source() -> Iterator[int]:
        for item in range(6 if waiting_for == "end" else 1000):
            if waiting_for == "reader" and item == 5:
                press()
                time.sleep(0.3)
            yield item

    def write(item: int) -> None:
        if waiting_for != "reader" and item == 1:
            time.sleep(0.3)  # by now the main thread waits
            press()
            time.sleep(0.3)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Stages(source(), lambda batch: list(batch), write, batch_size=1).run()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert pressed.is_set() and not threads()


def test_each_stage_knows_how_long_it_was_busy() -> None:
    stages = Stages(iter(range(12)), slow_predict, slowly, batch_size=4)
    stages.run()
    assert stages.seconds.refine == 0 and all(vars(stages.seconds)[name] > 0 for name in ("read", "predict", "write"))
    stages = Stages(iter(range(12)), slow_predict, slowly, refine=slow_predict, batch_size=4)
    stages.run()
    assert all(busy > 0 for busy in vars(stages.seconds).values())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_what_is_predicted_is_refined_in_another_thread_which_may_hold_results_back(count: int) -> None:
    held: list[int] = []
    written: list[int] = []
    seen: set[str] = set()

    def refine(batch: Sequence[int]) -> list[int]:
        seen.add(threading.current_thread().name)
        held.extend(item + 1 for item in batch)
        ready = held[:-3]
        del held[:-3]
        return ready

    Stages(range(count), double, written.append, refine=refine, batch_size=2, flush=lambda: held).run()
    assert written == [2 * item + 1 for item in range(count)] and not threads()
    assert seen == ({"endoseg-refine"} if count else set())


def test_the_networks_go_on_while_frames_are_refined() -> None:
    second = threading.Event()

    def predict(batch: Sequence[int]) -> list[int]:
        if batch[0] == 2:
            second.set()
        return list(batch)

    def refine(batch: Sequence[int]) -> list[int]:
        assert second.wait(10), "the second batch waits for the first to be refined"
        return list(batch)

    Stages(range(4), predict, lambda _: None, refine=refine, batch_size=2).run()


def never() -> list[int]:
    raise AssertionError("flushed after an error")


def failing_refine(batch: Sequence[int]) -> list[int]:
    if batch[-1] >= 20:
        raise ValueError("refining failed")
    return list(batch)


def test_a_failing_refiner_stops_all_others_and_others_stop_it() -> None:
    resource = Resource()
    stages = Stages(range(ENDLESS), list, slowly, refine=failing_refine, batch_size=4, reading=resource)
    assert str(error_of(stages)) == "refining failed" and resource.closed_in == ["endoseg-read"]
    for words, source, predict, write in (
        ("reading failed", failing_source(50), double, slowly),
        ("predicting failed", range(ENDLESS), failing_predict, slowly),
        ("writing failed", range(ENDLESS), double, failing_write),
    ):
        both = Stages(source, predict, write, refine=slow_predict, batch_size=4, flush=never)
        assert str(error_of(both)) == words, "and nothing is flushed"


def test_an_error_while_the_refiner_is_flushed_is_heard() -> None:
    def flush() -> list[int]:
        raise ValueError("flushing failed")

    stages = Stages(range(9), double, slowly, refine=list, batch_size=4, flush=flush)
    assert str(error_of(stages)) == "flushing failed"
