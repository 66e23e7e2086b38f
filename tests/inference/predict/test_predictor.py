from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from endoseg_cli.errors import DeviceError, UsageError
from endoseg_cli.inference.predict.predictor import Pixels, Predictor, Probability, Reduce, paste_probability
from endoseg_cli.networks.files.bundle import IMAGENET_MEAN, IMAGENET_STD, Bundle
from endoseg_cli.pictures.field_of_view import FieldOfView, whole_frame
from tests.networks.tiny import constant_bundle, tiny_bundle


def frames(count: int, size: tuple[int, int] = (64, 64)) -> list[Pixels]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]


def cpu(bundle: Bundle, batch_size: int = 4) -> Predictor:
    return Predictor(bundle, device="cpu", batch_size=batch_size)


def test_the_prediction_is_the_mean_of_both_networks_sigmoids_of_the_normalised_frame() -> None:
    bundle = tiny_bundle()
    pictures = frames(3)
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    images = (images - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    with torch.no_grad():
        one, two = (torch.sigmoid(network(images)) for network in bundle.networks)
    for choice, expected in (("both", (one + two) / 2), ("1", one), ("2", two)):
        found = Predictor(bundle, device="cpu", network=choice).predict(pictures)  # type: ignore[arg-type]
        assert found.dtype == np.float32 and found.shape == (3, 1, 64, 64)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    assert not np.allclose(one, two, atol=1e-3)


def test_the_models_own_normalisation_is_used() -> None:
    bundle = tiny_bundle(networks=1)
    other = Bundle(card=replace(bundle.card, mean=(0.1, 0.1, 0.1)), networks=bundle.networks)
    assert not np.allclose(cpu(bundle).predict(frames(1)), cpu(other).predict(frames(1)), atol=1e-3)


def test_a_batch_of_any_size_gives_the_same_maps() -> None:
    bundle = tiny_bundle()
    np.testing.assert_allclose(
        cpu(bundle, batch_size=1).predict(frames(5)), cpu(bundle, batch_size=3).predict(frames(5)), atol=1e-5
    )


def test_low_precision_stays_near() -> None:
    bundle = tiny_bundle()
    full = cpu(bundle).predict(frames(2))
    low = Predictor(bundle, device="cpu", precision="bf16").predict(frames(2))
    assert low.dtype == np.float32 and not np.array_equal(low, full)
    np.testing.assert_allclose(low, full, atol=0.1)


def test_frames_of_any_size_get_maps_of_their_size() -> None:
    predictor = cpu(tiny_bundle(class_names=("a", "b")))
    maps = predictor.predict_any_size([*frames(1, (30, 41)), *frames(1, (64, 64)), *frames(1, (1, 1))])
    assert [one.shape for one in maps] == [(2, 30, 41), (2, 64, 64), (2, 1, 1)]
    assert all(0 <= one.min() and one.max() <= 1 for one in maps)


def test_resizing_a_map_keeps_a_constant_and_its_range() -> None:
    probability = np.full((2, 8, 8), 0.3, np.float32)
    assert np.allclose(paste_probability(probability, (5, 13), whole_frame(5, 13)), 0.3)
    assert paste_probability(probability, (8, 8), whole_frame(8, 8)) is probability
    noise = np.random.default_rng(0).random((1, 8, 8), np.float32)
    larger = paste_probability(noise, (50, 60), whole_frame(50, 60))
    assert larger.dtype == np.float32 and noise.min() <= larger.min() and larger.max() <= noise.max()


def test_a_map_of_a_box_lies_in_it_and_is_0_outside() -> None:
    noise = np.random.default_rng(1).random((2, 8, 8), np.float32)
    box = FieldOfView(x=7, y=3, width=21, height=30)
    frame = paste_probability(noise, (40, 50), box)
    assert np.array_equal(box.crop(frame[1]), cv2.resize(noise[1], (21, 30), interpolation=cv2.INTER_LINEAR))
    assert frame[0].any() and np.count_nonzero(frame) == np.count_nonzero([box.crop(plane) for plane in frame])


class Hungry(Predictor):
    """A predictor whose device holds only so many frames."""

    def __init__(self, fits: int, error: type[RuntimeError], text: str) -> None:
        super().__init__(constant_bundle(3.0), device="cpu", batch_size=8)
        self.fits, self.error, self.text = fits, error, text
        self.tried: list[int] = []

    def _predict_batch(self, frames: Pixels, reduce: Reduce) -> Probability:
        self.tried.append(len(frames))
        if len(frames) > self.fits:
            raise self.error(self.text)
        return super()._predict_batch(frames, reduce)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB"),
        (RuntimeError, "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        (RuntimeError, "MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
)
def test_the_batch_shrinks_until_it_fits_and_stays_small(error: type[RuntimeError], text: str) -> None:
    predictor = Hungry(3, error, text)
    assert predictor.predict(frames(7)).shape == (7, 1, 64, 64)
    assert predictor.tried == [7, 3, 3, 1] and predictor.batch_size == 3
    predictor.predict(frames(7))
    assert predictor.tried[4:] == [3, 3, 1]


def test_one_frame_that_does_not_fit_is_a_device_error() -> None:
    predictor = Hungry(0, torch.OutOfMemoryError, "CUDA out of memory")
    with pytest.raises(DeviceError, match="memory of cpu does not suffice for a single frame of 64x64") as caught:
        predictor.predict(frames(8))
    assert caught.value.exit_code == 6 and predictor.tried == [8, 4, 2, 1]


def test_other_errors_of_torch_are_not_taken_for_memory() -> None:
    predictor = Hungry(0, RuntimeError, "CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal memory access"):
        predictor.predict(frames(8))
    assert predictor.tried == [8]


def test_numbers_that_are_not_finite_are_an_error_and_not_a_frame_without_lesion() -> None:
    class Overflowing(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images[:, :1] * torch.nan

    predictor = cpu(tiny_bundle(networks=1))
    predictor._torch.networks = [Overflowing()]  # type: ignore[list-item]
    with pytest.raises(DeviceError, match="not finite on cpu") as caught:
        predictor.predict(frames(1))
    assert caught.value.hint == "use --precision fp32"


def test_a_network_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="--network 2: the model tiny has 1 network"):
        Predictor(tiny_bundle(networks=1), device="cpu", network="2")


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_without_frames_is_refused(batch_size: int) -> None:
    with pytest.raises(UsageError, match=f"--batch-size must be 1 to 4096, found {batch_size}"):
        cpu(tiny_bundle(networks=1), batch_size)


def test_the_bundle_keeps_its_own_networks() -> None:
    bundle = tiny_bundle(networks=1)
    before = {name: value.clone() for name, value in bundle.networks[0].state_dict().items()}
    cpu(bundle).predict(frames(1))
    after = bundle.networks[0].state_dict()
    assert after.keys() == before.keys() and all(torch.equal(value, before[name]) for name, value in after.items())


def test_flips_are_the_mean_over_mirror_images() -> None:
    bundle = tiny_bundle()
    (picture,) = frames(1)
    plain = cpu(bundle)
    images = [picture, picture[:, ::-1], picture[::-1], picture[::-1, ::-1]]
    maps = [plain.predict([np.ascontiguousarray(image)])[0, 0] for image in images]
    expected = (maps[0] + maps[1][:, ::-1] + maps[2][::-1] + maps[3][::-1, ::-1]) / 4
    found = Predictor(bundle, device="cpu", tta="flips")
    np.testing.assert_allclose(found.predict([picture])[0, 0], expected, atol=1e-4)
    np.testing.assert_allclose(found.predict_with_uncertainty([picture])[0][0, 0], expected, atol=1e-4)
    assert not np.allclose(expected, maps[0], atol=1e-3)
