from __future__ import annotations

import torch

from endoseg_cli.training.corrective.loss import align, consistency_loss, corrective_loss, follow


def test_pixels_without_a_known_truth_teach_nothing() -> None:
    logits = torch.randn(2, 1, 16, 16, requires_grad=True)
    truth, known = (torch.rand(2, 1, 16, 16) > 0.5).float(), torch.ones(2, 1, 16, 16)
    known[..., :8] = 0
    torch.autograd.backward(corrective_loss(logits, truth, known))
    assert logits.grad is not None
    assert not logits.grad[..., :8].any() and logits.grad[..., 8:].all()


def test_right_answers_cost_less_also_in_empty_frames() -> None:
    known = torch.ones(1, 1, 16, 16)
    for truth in (torch.zeros(1, 1, 16, 16), known):
        right = corrective_loss(8 * (2 * truth - 1), truth, known)
        assert right < 0.2 < 1 < corrective_loss(8 * (1 - 2 * truth), truth, known)


def test_alignment_follows_the_flow() -> None:
    picture = torch.zeros(1, 1, 32, 32)
    picture[..., 10:14, 20:24] = 1
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 6  # what is at x lies at x + 6 in the picture
    aligned, inside = align(picture, flow)
    expected = torch.zeros_like(picture)
    expected[..., 10:14, 14:18] = 1
    assert torch.allclose(aligned, expected, atol=1e-5)
    assert inside[..., :26].all() and not inside[..., 26:].any()


def test_consistency_asks_for_agreement_after_alignment() -> None:
    now, following = torch.full((1, 1, 32, 32), -9.0), torch.full((1, 1, 32, 32), -9.0)
    now[..., 8:16, 8:16] = following[..., 8:16, 12:20] = 9
    flow = torch.zeros(1, 2, 8, 8)
    still = consistency_loss(now, following, flow)
    flow[:, 0] = 4
    assert consistency_loss(now, following, flow) < 1e-4 < 1e-2 < still


def test_two_steps_of_flow_add_up() -> None:
    first, second = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
    first[:, 0], second[:, 1] = 3, -2
    total = follow(first, second)
    assert torch.allclose(total[0, :, 4, 4], torch.tensor([3.0, -2.0]))


def test_what_comes_or_goes_by_right_need_not_stay() -> None:
    now, following = torch.full((1, 1, 32, 32), -9.0), torch.full((1, 1, 32, 32), -9.0)
    now[..., 8:16, 8:16] = 9  # and gone in the next frame
    flow, truth = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 1, 32, 32)
    assert consistency_loss(now, following, flow, truth) > 1e-2
    truth[:, 0, :, 8:16, 8:16] = 1
    assert consistency_loss(now, following, flow, truth) < 1e-4
