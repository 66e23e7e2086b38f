"""Every method by what it is: each test fails if the method's idea is taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from endoseg_cli.data.views.datasets import TrainingBatch
from endoseg_cli.training.engine.learner import Learner
from endoseg_cli.training.methods.method import Study
from endoseg_cli.training.methods.table import METHODS
from endoseg_cli.training.settings.config import recipe_settings
from tests.training.methods.steps import MASKS, ON, config_of, learner_of, pulls, said
from tests.training.small import CONFIG, boxed, make_data, make_trainer

Gradients = list[torch.Tensor]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> TrainingBatch:
    folder = tmp_path_factory.mktemp("frames")
    return make_trainer(make_data(folder), folder / "run", boxed(CONFIG, 0.5)).feed.batches[1]


def gradients(learner: Learner) -> Gradients:
    return [p.grad for network in learner.networks for p in network.parameters() if p.grad is not None]


def spoiled(batch: TrainingBatch) -> TrainingBatch:
    """Return the batch with other unlabelled frames."""
    assert batch.unlabeled is not None
    dark = {name: getattr(batch.unlabeled, name) // 2 for name in ("weak_1", "weak_2", "strong_1", "strong_2")}
    return replace(batch, unlabeled=replace(batch.unlabeled, **dark))


@pytest.mark.parametrize("method", METHODS)
def test_all_but_the_supervised_one_learn_from_unlabelled_frames_through_every_term(
    method: str, batch: TrainingBatch
) -> None:
    found: list[Gradients] = []
    # a young network is nowhere as sure as FixMatch and UniMatch ask for
    unsure = {"min_confidence": 0.51} if METHODS[method].settings.get("min_confidence") else {}
    for one in (batch, spoiled(batch)):
        learner = learner_of(method, **unsure)
        values = learner.compute_gradients(one, 1, ON, measure=True)
        found.append(gradients(learner))
    same = all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert same == (method == "supervised")
    norms = {name: value for name, value in values.items() if name.startswith("gradient_")}
    assert len(norms) >= (2 if method == "supervised" else 4)
    assert all(value > 0 for value in norms.values())


@pytest.mark.parametrize("method", METHODS)
def test_norms_are_those_of_the_parts_of_the_gradient_and_measuring_changes_nothing(
    method: str, batch: TrainingBatch
) -> None:
    plain, measured = learner_of(method), learner_of(method)
    values = measured.compute_gradients(batch, 1, ON, measure=True)
    assert plain.compute_gradients(batch, 1, ON).items() <= values.items()
    for one, other in zip(gradients(plain), gradients(measured), strict=True):
        assert torch.equal(one, other)
    whole = torch.cat([p.grad.flatten() for p in measured.networks[0].parameters() if p.grad is not None]).norm()
    parts = sum(value for name, value in values.items() if name.startswith("gradient_") and name.endswith("_1"))
    assert whole <= parts * (1 + 1e-4)


def test_cps_teaches_each_network_what_the_other_says() -> None:
    assert pulls(learner_of("cps"), "weak", (said(0.9, 0.4, 0.6, 0.1), said(0.1, 0.2, 0.7, 0.8))) == [
        [-1, -1, 1, 1],
        [1, -1, 1, -1],
    ]


def test_cps_is_endo_semis_without_all_else(batch: TrainingBatch) -> None:
    recipe = Learner(replace(CONFIG, **recipe_settings("cps")), device=torch.device("cpu"))
    method = learner_of("cps")
    assert recipe.compute_gradients(batch, 1, ON) == method.compute_gradients(batch, 1, ON)
    assert all(torch.equal(a, b) for a, b in zip(gradients(recipe), gradients(method), strict=True))


def test_fixmatch_teaches_a_network_its_own_labels_where_it_is_sure_alone() -> None:
    found = pulls(learner_of("fixmatch"), "strong", (said(0.96, 0.94, 0.06, 0.04), said(0.5, 0.99, 0.01, 0.5)))
    assert found == [[1, 0, 0, -1], [0, 1, -1, 0]]


def test_unimatch_teaches_three_students_from_sure_labels_of_their_own_weak_view() -> None:
    teachers = (said(0.99, 0.01, 0.6, 0.4, others=(0.4, 0.6, 0.01, 0.99)),) * 2
    for view, expected in (("strong", [1, -1, 0, 0]), ("strong_2", [0, 0, -1, 1]), ("perturbed", [1, -1, 0, 0])):
        assert pulls(learner_of("unimatch"), view, teachers) == [expected] * 2


def test_unimatch_drops_half_of_the_features_and_has_two_strong_views(batch: TrainingBatch) -> None:
    learner = learner_of("unimatch", dropout=0.0)
    assert batch.unlabeled is not None
    studies = learner.method.studies(learner.views(batch.labeled.images, batch.unlabeled), ON)
    by_view = {study.view: study for study in studies}
    assert list(by_view) == ["labeled", "strong", "strong_2", "perturbed"]
    assert not torch.equal(by_view["strong"].pictures, by_view["strong_2"].pictures)
    disturbed = learner.study(by_view["perturbed"], 1)[0].perturbed
    plain = learner.study(Study(view="weak", pictures=by_view["perturbed"].pictures), 1)[0].weak
    assert disturbed is not None and plain is not None and (disturbed - plain).abs().max() > 1e-3
    kept = learner._draw(0, 1).channels("perturbed-0", 2, 1000, 0.5)
    assert sorted(set(kept.flatten().tolist())) == [0.0, 2.0] and kept.mean() == pytest.approx(1.0, abs=0.1)


def test_the_mean_teacher_is_the_average_and_its_probability_is_learned(batch: TrainingBatch) -> None:
    learner = learner_of("mean-teacher")
    assert batch.unlabeled is not None and learner.judged == learner.teachers == learner.averages
    views = learner.views(batch.labeled.images, batch.unlabeled)
    before = learner.teach(views, 1)[0].passes
    with torch.no_grad():
        for parameter in learner.networks[0].parameters():
            parameter.add_(0.1)
    assert torch.equal(learner.teach(views, 1)[0].passes, before)
    learner.average(1000)
    assert not torch.equal(learner.teach(views, 1)[0].passes, before)
    found = pulls(learner, "strong", (said(0.9, 0.6, 0.5, 0.4), said(0.1, 0.1, 0.1, 0.1)))
    assert found == [[1, 1, 0, -1], [-1, -1, -1, -1]]


def test_a_mean_teacher_with_settled_statistics_keeps_them(tmp_path: Path) -> None:
    config = config_of("mean-teacher", settle_frames=4, settle_every=1000, warm_up_steps=1)
    trainer = make_trainer(make_data(tmp_path), tmp_path / "run", config)
    found = []
    for step in range(3):
        trainer.train_step(trainer.feed.batches[step])
        found.append([b.clone() for b in trainer.learner.averages[0].buffers()])
    assert all(torch.equal(a, b) for a, b in zip(found[1], found[2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(found[0], found[1], strict=True))


def test_endo_semis_trusts_no_pixel_that_the_networks_disagree_about_where_both_count() -> None:
    teachers = (said(0.99, 0.99, 0.01, 0.01), said(0.99, 0.01, 0.01, 0.99))
    trusted = pulls(learner_of("endo-semis", certainty="both", min_confidence=0.7), "weak", teachers)
    assert trusted == [[1, 0, -1, 0], [1, 0, -1, 0]]
    own = pulls(learner_of("endo-semis", certainty="own", min_confidence=0.7), "weak", teachers)
    assert own == [[1, -1, -1, 1], [1, 1, -1, -1]]


def test_endo_semis_teaches_strong_views_what_the_surer_network_says() -> None:
    teachers = (said(0.99, 0.6, 0.01, 0.4), said(0.4, 0.01, 0.6, 0.99))
    learner = learner_of("endo-semis", uncertainty_guidance=False)
    assert pulls(learner, "strong", teachers) == [[1, -1, -1, 1]] * 2
    assert learner.targets(teachers, MASKS).joint is not None


def test_two_weak_looks_are_pasted_both_ways(batch: TrainingBatch) -> None:
    learner = learner_of("unimatch")
    assert batch.unlabeled is not None
    views = learner.views(batch.labeled.images, batch.unlabeled)
    maps = learner.teach(views, 1)[0]
    assert views.unlabeled is not None
    swapped = replace(views.unlabeled, weak_1=views.unlabeled.weak_2, weak_2=views.unlabeled.weak_1)
    other = learner.teach(replace(views, unlabeled=swapped), 1)[0]
    assert maps.other_passes is not None and other.other_passes is not None
    torch.testing.assert_close(maps.other_passes, other.passes)
    torch.testing.assert_close(maps.passes, other.other_passes)
