from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from endoseg_cli.data.labels.layout import LabeledRecord
from endoseg_cli.errors import InputError, MissingInputError, UsageError, WeightsError
from endoseg_cli.evaluation.frames.metrics import FrameScore
from endoseg_cli.evaluation.frames.scoring import Evaluation, EvaluationConfig, FramePrediction, Predict, evaluate

Frames = Sequence[NDArray[np.uint8]]


def flat(value: float) -> Predict:
    return lambda frames: [FramePrediction(probability=np.full(f.shape[:2], value, np.float32)) for f in frames]


def test_every_frame_is_scored_at_its_own_size_in_order(evaluation: Evaluation) -> None:
    assert [score.name for score in evaluation.scores] == ["a/one", "a/two", "b/three", "b/<four>"]
    one = evaluation.scores[0]  # an 8 x 8 lesion, predicted two rows too low
    assert (one.tp, one.fp, one.fn, one.tn) == (48, 16, 16, 24 * 32 - 80)
    assert evaluation.scores[1].dice == 1
    assert evaluation.scores[3].tp == 0
    assert evaluation.summary.frames == 4
    assert list(evaluation.groups) == ["a", "b"]


def test_batches_do_not_change_the_result(records: list[LabeledRecord], predict: Predict) -> None:
    sizes: list[int] = []

    def counted(frames: Frames) -> Sequence[FramePrediction]:
        sizes.append(len(frames))
        return predict(frames)

    by_three = evaluate(records, counted, EvaluationConfig(batch_size=3))
    assert sizes == [3, 1]
    assert by_three.scores == evaluate(records, predict, EvaluationConfig(batch_size=1)).scores


def test_threshold_decides_and_the_sweep_agrees_with_it(records: list[LabeledRecord], predict: Predict) -> None:
    strict = evaluate(records, predict, EvaluationConfig(threshold=0.75))
    assert not any(score.predicted for score in strict.scores)
    assert strict.sweep.dice[191] == pytest.approx(strict.summary.dice.mean)
    assert strict.sweep.dice[127] > strict.sweep.dice[191]


def test_each_network_is_scored_alone(evaluation: Evaluation) -> None:
    first, second = evaluation.networks
    assert first.dice == second.dice == evaluation.summary.dice  # all three exceed 0.5 in the same pixels


def test_networks_are_left_out_where_the_prediction_has_none(records: list[LabeledRecord]) -> None:
    assert evaluate(records, flat(0.1), EvaluationConfig()).networks == ()


def test_progress_is_told_frame_by_frame(records: list[LabeledRecord]) -> None:
    seen: list[FrameScore] = []
    result = evaluate(records, flat(0.1), EvaluationConfig(), on_frame=seen.append)
    assert tuple(seen) == result.scores


def test_given_uncertainty_is_used_instead_of_the_entropy(records: list[LabeledRecord]) -> None:
    def unsure(frames: Frames) -> list[FramePrediction]:
        shapes = [frame.shape[:2] for frame in frames]
        return [
            FramePrediction(probability=np.zeros(shape, np.float32), uncertainty=np.full(shape, 0.6, np.float32))
            for shape in shapes
        ]

    assert evaluate(records, unsure, EvaluationConfig()).calibration.pixel_share[8] == 1
    assert evaluate(records, flat(0), EvaluationConfig()).calibration.pixel_share[0] == 1


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.1])
def test_probabilities_that_are_none_blame_the_weights(records: list[LabeledRecord], value: float) -> None:
    with pytest.raises(WeightsError, match=r"must lie in \[0, 1\].*one\.png"):
        evaluate(records, flat(value), EvaluationConfig())


def test_no_records_are_refused() -> None:
    with pytest.raises(MissingInputError, match="no frame"):
        evaluate([], flat(0), EvaluationConfig())


def test_mask_of_another_size_names_both_files(write: Callable[[str, NDArray[np.bool_]], LabeledRecord]) -> None:
    record = write("odd", np.zeros((8, 8), bool))
    record.mask.write_bytes(cv2.imencode(".png", np.zeros((4, 6), np.uint8))[1].tobytes())
    with pytest.raises(InputError, match=r"expected 8 x 8.*images.*found 6 x 4 in .*masks"):
        evaluate([record], flat(0), EvaluationConfig())


def test_settings_out_of_range_name_their_option() -> None:
    with pytest.raises(UsageError, match="--threshold"):
        EvaluationConfig(threshold=1)
    with pytest.raises(UsageError, match="--batch-size"):
        EvaluationConfig(batch_size=0)
