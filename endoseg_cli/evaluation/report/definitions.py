"""What every number of an evaluation means, in the words shown to the reader."""

from __future__ import annotations

from endoseg_cli.evaluation.frames.scoring import Evaluation

DEFINITIONS: tuple[tuple[str, str], ...] = (
    (
        "Frame size",
        "Every frame is scored at the full size of its mask: the probability map is resized to the frame, then a pixel "
        "is lesion where its probability is above the threshold.",
    ),
    (
        "Mean ± std",
        "Mean and sample standard deviation (ddof = 1) over frames; each frame weighs the same, whatever its size. "
        "Frames on which a measure is not defined are left out, and the number of frames used is shown.",
    ),
    (
        "Dice",
        "(2 |A ∩ B| + 1e-5) / (|A| + |B| + 1e-5) for predicted mask A and true mask B. Two empty masks give 1; a "
        "prediction on a frame without lesion gives nearly 0.",
    ),
    ("Dice, frames with lesion", "The same, over the frames whose true mask is not empty."),
    ("IoU", "(|A ∩ B| + 1e-5) / (|A ∪ B| + 1e-5); two empty masks give 1."),
    ("Sensitivity", "TP / (TP + FN) pixels; not defined on a frame without lesion, which is left out."),
    (
        "Sensitivity, 1 where undefined",
        "The same over all frames, with 1 on a frame without lesion whatever is predicted there, as the authors of "
        "Endo-SemiS count it: higher where many frames are empty. Compare it with their figures only.",
    ),
    ("Specificity", "TN / (TN + FP) pixels; not defined on a frame that is all lesion, which is left out."),
    ("Pooled Dice", "Dice of the pixels of all frames taken as one mask; large frames and large lesions weigh more."),
    ("Empty frames kept empty", "Frames without lesion in which no pixel was predicted."),
    (
        "Image level",
        "A frame is positive where its mask has any foreground pixel, and predicted positive where any pixel is "
        "predicted, wherever it lies. Precision TP / (TP + FP), recall TP / (TP + FN), F1 2 TP / (2 TP + FP + FN), "
        "accuracy (TP + TN) / frames; not defined where the denominator is 0.",
    ),
    (
        "Uncertainty",
        "Entropy in nats, from 0 to ln 2 = 0.693. The AUROC is the chance that a wrong pixel is more uncertain than a "
        "right one (0.5 is no better than chance); easy background pixels lift it.",
    ),
    (
        "Expected calibration error",
        "Over 10 bins of probability, the mean over pixels of the distance between the bin's mean probability and its "
        "share of lesion pixels.",
    ),
)


def notes(evaluation: Evaluation) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    summary, found = evaluation.summary, []
    if not summary.frames_with_lesion:
        found.append(
            "No frame has a lesion in its mask: Dice says only whether empty frames were kept empty. "
            "If lesions are expected, check that the masks are the right ones."
        )
    if not summary.empty_frames:
        found.append("Every frame has a lesion: how often the model sees lesions where there are none is not measured.")
    if summary.empty_frames and summary.frames_with_lesion:
        found.append(
            f"A model that never predicts anything would score a mean Dice of "
            f"{summary.empty_frames / summary.frames:.3f} here, the share of frames without lesion: look at the Dice "
            "over frames with lesion beside it."
        )
    if 0 < summary.frames_with_lesion < 30:
        found.append(f"Only {summary.frames_with_lesion} frames have a lesion; means over so few frames are uncertain.")
    return found


def sweep_note(evaluation: Evaluation) -> str:
    """Return the warning that belongs to the best threshold."""
    sweep, with_lesion = evaluation.sweep, evaluation.sweep.best_with_lesion
    over_lesions = (
        f" (over frames with lesion: {sweep.dice_with_lesion[with_lesion]:.3f} at {sweep.thresholds[with_lesion]:.3f})"
        if with_lesion is not None
        else ""
    )
    return (
        f"The best mean Dice, {sweep.dice[sweep.best]:.3f}, is at threshold {sweep.thresholds[sweep.best]:.3f}"
        f"{over_lesions}. A threshold chosen on the frames it is then reported on is optimistic: choose it on "
        "validation data, and report it on others."
    )
