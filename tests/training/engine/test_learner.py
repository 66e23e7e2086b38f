from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from endoseg_cli.benchmark.plain_step import PlainLearner
from endoseg_cli.data.views.datasets import TrainingBatch
from endoseg_cli.training.engine.feed import TrainingData
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.methods.method import Study
from endoseg_cli.training.settings.config import TrainConfig, recipe_settings
from endoseg_cli.training.strategies.objective import ObjectiveWeights, Pair, Targets
from tests.training.small import CONFIG, boxed, make_data, make_trainer

ON = ObjectiveWeights(unsupervised=0.5, mutual=0.5)
OFF = ObjectiveWeights()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return make_data(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def batch(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> TrainingBatch:
    return make_trainer(data, tmp_path_factory.mktemp("run"), boxed(CONFIG, 0.5)).feed.batches[1]


def make_learner(config: TrainConfig = CONFIG) -> Learner:
    return Learner(config, device=torch.device("cpu"))


def gradient_norms(learner: Learner) -> list[float]:
    return [
        sum(p.grad.abs().sum().item() for p in network.parameters() if p.grad is not None)
        for network in learner.networks
    ]


def test_a_step_has_every_term_of_both_networks(batch: TrainingBatch) -> None:
    values = make_learner().compute_gradients(batch, 1, ON)
    for name in ("supervised", "cross", "joint", "labeled_cross"):
        assert values[f"{name}_1"] > 0 and values[f"{name}_2"] > 0
    assert values["logit_mse"] > 0 and values["low_level_dissimilarity"] > 0 and values["bottleneck_kl"] > 0
    assert 0 < values["kept_1"] <= 1 and 0 <= values["agreement"] <= 1


def test_the_same_step_gives_the_same_bits(batch: TrainingBatch) -> None:
    first, second = make_learner(), make_learner()
    values = [learner.compute_gradients(batch, 1, ON) for learner in (first, second)]
    assert values[0] == values[1]
    for one, other in zip(first.networks, second.networks, strict=True):
        for p, q in zip(one.parameters(), other.parameters(), strict=True):
            assert (p.grad is None and q.grad is None) or torch.equal(p.grad, q.grad)  # type: ignore[arg-type]


def test_threads_compute_what_one_after_the_other_does(batch: TrainingBatch) -> None:
    threaded, serial = make_learner(), make_learner()
    serial._threads = None
    torch.set_num_threads(1)
    assert threaded.compute_gradients(batch, 1, ON) == serial.compute_gradients(batch, 1, ON)


def test_gradients_of_one_network_do_not_depend_on_the_other_when_supervised(batch: TrainingBatch) -> None:
    learner, other = make_learner(), make_learner()
    with torch.no_grad():
        for parameter in other.networks[1].parameters():
            parameter.mul_(1.5)
    learner.compute_gradients(batch, 1, OFF)
    other.compute_gradients(batch, 1, OFF)
    assert gradient_norms(learner)[0] == gradient_norms(other)[0]
    assert gradient_norms(learner)[1] != gradient_norms(other)[1]


def test_the_reducer_learns_from_mutual_learning_alone(batch: TrainingBatch) -> None:
    for weights, moved in ((ON, True), (ObjectiveWeights(unsupervised=0.5), False)):
        learner = make_learner()
        learner.compute_gradients(batch, 1, weights)
        for network in learner.networks:
            assert network.bottleneck_reducer is not None
            assert all((p.grad is not None) == moved for p in network.bottleneck_reducer.parameters())


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"cross_supervision": False}, {"cross_1", "cross_2"}),
        ({"joint_pseudo_label": False}, {"joint_1", "joint_2"}),
        ({"labeled_cross": False}, {"labeled_cross_1", "labeled_cross_2"}),
    ],
)
def test_each_strategy_has_a_switch(batch: TrainingBatch, settings: dict[str, bool], missing: set[str]) -> None:
    every = set(make_learner().compute_gradients(batch, 1, ON))
    found = set(make_learner(replace(CONFIG, **settings)).compute_gradients(batch, 1, ON))  # type: ignore[arg-type]
    assert {name for name in every - found if not name.endswith("_joint")} == missing


def test_the_recipe_cps_trusts_every_pixel(batch: TrainingBatch) -> None:
    values = make_learner(replace(CONFIG, **recipe_settings("cps"))).compute_gradients(
        batch, 1, ObjectiveWeights(unsupervised=0.5)
    )
    assert values["kept_1"] == 1.0 and "joint_1" not in values and "labeled_cross_1" not in values


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_comes_close_to_fp32(batch: TrainingBatch, precision: str) -> None:
    exact = make_learner().compute_gradients(batch, 1, OFF)
    rough = make_learner(replace(CONFIG, precision=precision)).compute_gradients(batch, 1, OFF)  # type: ignore[arg-type]
    assert rough["supervised_1"] == pytest.approx(exact["supervised_1"], rel=0.1)
    assert rough["supervised_1"] != exact["supervised_1"]


def test_fp16_leaves_out_a_step_whose_gradients_overflow_and_goes_on(batch: TrainingBatch) -> None:
    learner = make_learner(replace(CONFIG, precision="fp16"))
    weight = next(learner.networks[0].parameters())
    before = weight.detach().clone()
    learner.scaler.load_state_dict({**learner.scaler.state_dict(), "scale": 2.0**60})
    learner.compute_gradients(batch, 1, OFF)
    learner.update(1e-3)
    assert torch.equal(weight, before) and learner.scaler.get_scale() < 2.0**60
    for parameter in learner.networks[0].parameters():
        parameter.grad = torch.full_like(parameter, 0.01 * learner.scaler.get_scale())
    learner.update(1e-3)
    assert not torch.equal(weight, before) and weight.isfinite().all()
    assert (weight - before).abs().max() < 2e-3, "AdamW moves by the learning rate, whatever the scale"


def test_a_step_lowers_the_loss(data: TrainingData, tmp_path: Path) -> None:
    config = replace(CONFIG, max_steps=12, warm_up_steps=12, dropout=0.0, learning_rate=3e-3)
    trainer = make_trainer(data, tmp_path, config)
    batch = trainer.feed.batches[0]
    found = [trainer.train_step(batch)["supervised_1"] for _ in range(12)]
    assert found[-1] < 0.9 * found[0]


def test_under_autocast_every_decoder_activation_is_in_half_precision(batch: TrainingBatch) -> None:
    learner = make_learner(replace(CONFIG, precision="bf16"))
    seen: list[torch.dtype] = []
    for module in learner.networks[0].decoder.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_hook(lambda _, inputs, out: seen.append(out.dtype))
    learner.compute_gradients(batch, 1, OFF)
    assert len(seen) == 10 and set(seen) == {torch.bfloat16}


def test_teachers_say_probabilities_in_float32_under_autocast(batch: TrainingBatch) -> None:
    """In bf16 a sigmoid above 0.998 is 1, and its entropy 0."""
    learner = make_learner(replace(CONFIG, precision="bf16"))
    assert batch.unlabeled is not None
    head = learner.networks[0].segmentation_head[0]
    assert isinstance(head, torch.nn.Conv2d) and head.bias is not None
    with torch.no_grad():
        head.bias.add_(7.0)
    said = learner.teach(learner.views(batch.labeled.images, batch.unlabeled), 1)[0]
    assert said.passes.dtype == torch.float32 and 0.998 < said.passes.max() < 1


def test_views_are_studied_one_after_the_other(batch: TrainingBatch) -> None:
    """The backward of one view comes before the forward of the next, so that only one view's activations are kept."""
    order: list[str] = []

    class Watched(Learner):
        def study(self, study: Study, step: int) -> Pair:
            order.append(f"study {study.view}")
            return super().study(study, step)

        def backward(
            self, students: Pair, targets: Targets, weights: ObjectiveWeights, *, measure: bool = False
        ) -> dict[str, Tensor]:
            order.append("backward")
            return super().backward(students, targets, weights, measure=measure)

    Watched(CONFIG, device=torch.device("cpu")).compute_gradients(batch, 1, ON)
    assert order == ["study labeled", "backward", "study weak", "backward", "study strong", "backward"]


def test_networks_transpose_their_upsampling_on_a_cpu_and_follow_their_optimisers(batch: TrainingBatch) -> None:
    learner = make_learner(replace(CONFIG, ema=0.5))
    networks = [*learner.networks, *learner.averages]
    assert len(networks) == 4 and all(each.transposes_upsampling for each in networks)
    plain = PlainLearner(CONFIG, device=torch.device("cpu"))
    assert not any(block.transposes for each in plain.networks for block in each.decoder_blocks)
    picture = torch.randn(1, 3, 64, 64)
    for step in range(2):  # kernels that are kept between passes must not outlive a step
        learner.compute_gradients(batch, step, ON)
        learner.update(0.01)
        learner.average(step)
        for network in networks:
            network.eval()
            with torch.no_grad():
                found = network(picture)
                network.transpose_upsampling(on=False)
                assert torch.allclose(found, network(picture), atol=1e-3 * float(found.abs().max()))
                network.transpose_upsampling()
