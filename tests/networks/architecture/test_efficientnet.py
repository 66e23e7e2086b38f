from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from endoseg_cli.networks.architecture.efficientnet import EfficientNetLiteEncoder, SameConv2d
from endoseg_cli.networks.architecture.encoders import normalisation
from endoseg_cli.networks.running.fusion import fuse_for_prediction


@pytest.mark.parametrize(("size", "stride", "side"), [(3, 2, 8), (3, 2, 9), (5, 2, 8), (5, 2, 7), (3, 1, 6), (5, 1, 6)])
def test_padding_is_tensorflows_same(size: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    conv = SameConv2d(2, 2, size, stride, bias=False)
    picture = torch.randn(1, 2, side, side)
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    before, after = total // 2, total - total // 2
    expected = functional.conv2d(functional.pad(picture, (before, after, before, after)), conv.weight, stride=stride)
    assert expected.shape[-1] == -(-side // stride)
    torch.testing.assert_close(conv(picture), expected)


def test_an_even_picture_is_padded_at_its_end_alone() -> None:
    conv = SameConv2d(1, 1, 3, 2, bias=False)
    torch.nn.init.ones_(conv.weight)
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 0, 0] = 1
    assert conv(picture).detach().flatten().tolist() == [1, 0, 0, 0]  # symmetric padding reads row 1 in its second step
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 2, 2] = 1
    assert conv(picture).detach().flatten().tolist() == [1, 1, 1, 1]


def test_depthwise_gradients_in_half_precision_are_those_of_float32() -> None:
    torch.manual_seed(0)
    conv = SameConv2d(8, 8, 5, 2, groups=8, bias=False)
    picture = torch.randn(2, 8, 12, 12)
    conv(picture).square().sum().backward()
    assert conv.weight.grad is not None
    expected = conv.weight.grad.clone()
    conv.weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(picture)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    torch.testing.assert_close(conv.weight.grad, expected, rtol=2e-2, atol=2e-1)


def test_activations_stay_within_six_and_features_differ_in_width() -> None:
    encoder = EfficientNetLiteEncoder("efficientnet_lite2").eval()
    assert encoder.out_channels == (16, 24, 48, 120, 352)
    assert not any("se." in name for name, _ in encoder.named_modules())


def test_lite_takes_its_own_normalisation() -> None:
    mean, std = normalisation("efficientnet_lite0")
    assert [round(255 * value, 6) for value in (*mean, *std)] == [127] * 3 + [128] * 3
    assert normalisation("resnet34")[0] == (0.485, 0.456, 0.406)


def test_folding_batch_norm_for_prediction_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = EfficientNetLiteEncoder("efficientnet_lite0")
    with torch.no_grad():
        for _ in range(3):
            encoder(torch.randn(4, 3, 64, 64))
        encoder.eval()
        picture = torch.randn(2, 3, 50, 64)
        for folded, plain in zip(fuse_for_prediction(encoder)(picture), encoder(picture), strict=True):
            torch.testing.assert_close(folded, plain, rtol=1e-3, atol=1e-3)
