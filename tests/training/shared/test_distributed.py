"""Two real processes under torchrun against one, on the same batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from endoseg_cli.training.shared.distributed import ALONE, SharedBatchNorm2d
from tests.training.gradients_of_ranks import compute

TORCHRUN = (sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ROOT = Path(__file__).parents[3]


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    command = (*TORCHRUN, "-m", "tests.training.gradients_of_ranks", str(tmp_path / "frames"), str(tmp_path / "two"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    two = torch.load(tmp_path / "two" / "gradients.pt", weights_only=True)
    one = compute(tmp_path / "frames", tmp_path / "one", ALONE)
    for name in one["values"].keys() - {"agreement", "foreground_kept_1", "foreground_kept_2", "foreground_kept_joint"}:
        if not name.startswith("kept_foreground"):  # ratios of the whole batch, here means of the shares' ratios
            assert two["values"][name] == pytest.approx(one["values"][name], rel=1e-6, abs=1e-9), name
    torch.testing.assert_close(two["gradients"], one["gradients"], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(two["statistics"], one["statistics"], rtol=1e-9, atol=1e-9)
    assert two["best"] == pytest.approx(one["best"], abs=1e-12)


def test_shared_batch_norm_alone_is_batch_norm() -> None:
    torch.manual_seed(0)
    plain, shared = nn.BatchNorm2d(3).double(), SharedBatchNorm2d(3).double()
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64) * 3 + 7
    weight = torch.randn_like(x)
    found = []
    for norm in (plain, shared):
        leaf = x.clone().requires_grad_()
        out = norm(leaf)
        (out * weight).sum().backward()
        found.append((out, leaf.grad, norm.running_mean, norm.running_var, norm.eval()(x)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
