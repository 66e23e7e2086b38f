from __future__ import annotations

import socket

import pytest

from endoseg_cli.errors import DeviceError
from endoseg_cli.inference.cluster.ray_engine import _check_reachable, _fit


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "127.0.0.1:{}9"])
def test_a_cluster_that_does_not_answer_is_told_at_once(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = form.format(port)
    with pytest.raises(DeviceError, match=f"^no Ray cluster can be reached at {address}: "):
        _check_reachable(address)


def test_what_answers_and_what_is_no_address_is_left_to_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _check_reachable(f"127.0.0.1:{server.getsockname()[1]}")
    for address in ("auto", "local", "ray://", "name"):
        _check_reachable(address)


@pytest.mark.parametrize(
    ("machine", "each", "videos"),
    [((8, 0), (1, 0), 8), ((8, 2), (1, 1), 2), ((8, 2), (1, 0.5), 4), ((8, 0), (1, 1), 0), ((1, 0), (0.5, 0), 2)],
)
def test_how_many_videos_fit(machine: tuple[float, float], each: tuple[float, float], videos: int) -> None:
    assert _fit(machine[0], each[0], machine[1], each[1]) == videos
