from __future__ import annotations

import torch

from endoseg_cli.networks.running.normalise import Normaliser


def test_bytes_become_floats_around_the_mean() -> None:
    normalise = Normaliser((0.5, 0.25, 0.0), (0.25, 0.5, 1.0), torch.device("cpu"))
    picture = torch.tensor([[255, 0, 51]], dtype=torch.uint8).view(1, 3, 1, 1)
    found = normalise(picture)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.flatten(), torch.tensor([2.0, -0.5, 0.2]))
