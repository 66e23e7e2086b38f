"""The settings of a training run, with their ranges checked; the resolved ones are written into the run folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from endoseg_cli.data.views.augment_config import AugmentConfig
from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.corrective import MOST_SIDE
from endoseg_cli.networks.architecture.encoder_names import EncoderName
from endoseg_cli.networks.architecture.unet import UNetConfig
from endoseg_cli.networks.files.bundle import FieldOfViewMode
from endoseg_cli.networks.running.presence import check_presence
from endoseg_cli.training.methods.method import Certainty
from endoseg_cli.training.methods.table import find_method
from endoseg_cli.training.strategies.mutual_learning import MutualForm
from endoseg_cli.training.strategies.objective import DiceOver
from endoseg_cli.training.strategies.pseudo_labels import Reduction
from endoseg_cli.training.strategies.uncertainty import ThresholdScope

Recipe = Literal["endo-semis", "endo-semis-paper", "cps", "supervised"]
"""Which strategies of Endo-SemiS are on: all, all in the paper's settings, cross-supervision alone, or none."""
SettleOver = Literal["learned", "all"]
"""Frames over which BatchNorm statistics are taken anew: those that are learned from, or the unlabelled ones always."""
Selection = Literal["best", "last"]
"""Which weights of a run the model gets: each network's best on the validation frames, or those of the last step."""
TrainPrecision = Literal["auto", "fp32", "bf16", "fp16"]
"""Type that convolutions compute in; losses and weights are always float32. auto is bf16 where the device has it."""


DEEPEST_STRIDE = 32
"""Pixels of a side that the encoders' last stage makes one of."""
MENDED_FORM = MutualForm(on="probabilities", low_level=0.0, bottleneck="normalised")
"""What mutual learning compares unless the paper's form is asked for, of whose terms two come to nothing."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training run computes, apart from the data."""

    method: str = "endo-semis"
    """How unlabelled frames are learned from: a name in training.methods.table."""
    encoder: EncoderName = "resnet34"
    """Encoder of both U-Nets."""
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16)
    """Width of the five decoder blocks, coarsest first."""
    dropout: float = 0.1
    """Probability of Dropout2d in the decoder."""
    encoder_weights: str = "imagenet"
    """What the encoders start from: imagenet, none, or a file with a state dict."""
    start_from: str | None = None
    """Model file whose weights both networks start from, instead; its architecture must be this one."""
    size: tuple[int, int] = (256, 256)
    """Height and width that frames are resized to."""
    field_of_view: FieldOfViewMode = "auto"
    """Whether frames are cropped to the endoscope's picture before that, as `segment` then does as well."""
    batch_size: int = 24
    """Labelled frames in a batch, over all processes."""
    unlabeled_batch_size: int | None = None
    """Unlabelled frames in a batch; as many as labelled ones if not set."""
    empty_share: float | None = None
    """Share of each batch's labelled frames that show no lesion; as they come if not set."""
    ema: float | None = None
    """Decay per step of averaged networks, which are then validated and kept in place of the trained ones."""
    epochs: int = 100
    """Passes over the unlabelled frames, or over the labelled ones where there are no others."""
    max_steps: int | None = None
    """Number of steps to train, in place of epochs."""
    max_time: float | None = None
    """Seconds to train at most, over all sittings."""
    patience: int | None = None
    """Validations without a better network after which to stop."""
    validate_every: int | None = None
    """Steps between validations; once per epoch if not set."""
    select: Selection = "best"
    """Weights that go into the model: each network's best validated ones, as in the paper, or the last step's."""
    settle_frames: int = 256
    """Frames, of all that the run learns from, over which the statistics of BatchNorm are taken anew for each
    validation and for the model; with 0 they stay the running averages of training, as in the paper."""
    settle_over: SettleOver = "learned"
    """Frames that those of settle_frames are taken from; all: unlabelled ones too where only masks are learned from."""
    settle_every: int = 25
    """Steps between which they are taken anew for the teachers as well, once there are pseudo-labels, and held in
    between; with 0 teachers predict with running averages, as in the paper."""
    checkpoint_every: int = 200
    """Steps between checkpoints, apart from the one at each validation."""
    learning_rate: float = 1e-4
    """Learning rate at the start of the cosine schedule."""
    final_learning_rate: float = 1e-5
    """Learning rate at its end."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    dice_weight: float = 1.0
    """Weight of a soft Dice loss beside the paper's cross-entropy on labelled frames; 0 is the paper's, and learns
    lesions of 2 % of the frame much later."""
    dice_over: DiceOver = "batch"
    """What its sums run over: the batch, or each frame with a lesion; empty ones are left to the cross-entropy then."""
    presence_weight: float = 0.0
    """Weight of a loss on each labelled frame's surest pixels: is there a lesion at all?"""
    presence: float | None = None
    """Peak probability that a region must reach to be drawn; if not set, chosen on the validation frames."""
    cross_supervision: bool = True
    """Teach each network's weak view with the other's pseudo-label (Endo-SemiS, cross-supervision)."""
    joint_pseudo_label: bool = True
    """Teach the strong views with the surer network's pseudo-label (Endo-SemiS, joint pseudo-label)."""
    labeled_cross: bool = False
    """Teach each network with what the other says about labelled frames; on in the paper, though it pulls away from
    the masks there."""
    mutual_learning: bool | None = None
    """Pull the networks together on labelled frames; if not set, only where there are unlabelled frames."""
    uncertainty_guidance: bool = True
    """Trust pseudo-labels below the dynamic threshold only; otherwise everywhere."""
    num_passes: int = 5
    """K, the stochastic passes of a teacher."""
    threshold_scope: ThresholdScope = "pseudo-class"
    """Pixels that the threshold is taken among: each class of the pseudo-label; image is the paper's."""
    certainty: Certainty = "both"
    """Passes that the uncertainty is taken from: both networks' (entropy of their mean), or, as in the paper, the own
    ones of the network that gives the label (mean of their entropies)."""
    min_confidence: float = 0.7
    """Pixels more uncertain than this probability are not trusted; 0.5, the paper's, excludes none."""
    reduction: Reduction = "kept"
    """What masked losses are divided by: the kept pixels, or all, as in the paper."""
    warm_up_steps: int | None = None
    """Supervised steps before the other terms begin, 0 in the paper; a quarter of the run, at most 500, if not set."""
    ramp_steps: int | None = None
    """Steps of the ramp-up; five epochs as in the paper, but at most a quarter of the run, if not set."""
    unsupervised_weight: float = 1.2
    """lambda at the end of the ramp-up; 0.5 in the paper, whose supervised loss has no Dice term."""
    mutual_weight: float = 0.5
    """Weight of mutual learning."""
    logit_weight: float = 0.5
    """Weight of the squared difference of logits, or probabilities, within it; 1 in the paper."""
    mutual_form: MutualForm = field(default_factory=lambda: MENDED_FORM)
    """What mutual learning compares."""
    seed: int = 0
    """Seed of every random draw."""
    workers: int = 0
    """Processes that read and augment frames; 0 does it in the training process."""
    precision: TrainPrecision = "fp32"
    """Type that convolutions compute in."""
    keep_frames: bool = True
    """Keep decoded frames in memory."""
    corrective: bool = True
    """Train the corrective network for video as stage two, on the finished networks."""
    corrective_steps: int | None = None
    """Steps of stage two; as many as stage one had, at most 1000, if not set."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How frames are augmented."""

    def __post_init__(self) -> None:
        self.network  # noqa: B018 - building it checks encoder, widths and dropout
        find_method(self.method)
        for name in ("batch_size", "unlabeled_batch_size", "epochs", "max_steps", "patience", "validate_every"):
            _check_at_least(name, getattr(self, name), 1)
        for name in ("checkpoint_every", "num_passes", "corrective_steps"):
            _check_at_least(name, getattr(self, name), 1)
        for name in ("workers", "warm_up_steps", "ramp_steps", "settle_frames", "settle_every"):
            _check_at_least(name, getattr(self, name), 0)
        for name in (
            "weight_decay",
            "dice_weight",
            "presence_weight",
            "unsupervised_weight",
            "mutual_weight",
            "logit_weight",
        ):
            _check_at_least(name, getattr(self, name), 0)
        if self.presence is not None:
            check_presence(self.presence)
        if self.empty_share is not None and not 0 <= self.empty_share < 1:
            raise UsageError(f"--empty-share must be at least 0 and below 1, found {self.empty_share:g}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UsageError(f"--ema must lie between 0 and 1, such as 0.998, found {self.ema:g}")
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal:
                _check_choice(name, getattr(self, name), get_args(hint))
        if not 0.5 <= self.min_confidence < 1:
            raise UsageError(f"--min-confidence must be at least 0.5 and below 1, found {self.min_confidence:g}")
        if self.max_time is not None and not 0 < self.max_time < float("inf"):
            raise UsageError(f"--max-time must be positive, found {self.max_time:g}")
        if len(self.size) != 2 or not all(32 <= side <= MOST_SIDE for side in self.size):
            raise UsageError(f"--size must be 32 to {MOST_SIDE} pixels in height and width, found {self.size}")
        if min(self.batch_size, self.frames_unlabeled) == 1 and max(self.size) <= DEEPEST_STRIDE:
            found = "x".join(map(str, self.size[::-1]))
            raise UsageError(f"--batch-size 1 of {found} leaves BatchNorm one value a channel", hint="use 2, or larger")
        if not 0 <= self.seed < 1 << 63:
            raise UsageError(f"--seed must be 0 to {(1 << 63) - 1}, found {self.seed}")
        if not 0 < self.final_learning_rate <= self.learning_rate < float("inf"):
            raise UsageError(
                f"--learning-rate {self.learning_rate:g} must be positive and not below the final learning rate"
                f" {self.final_learning_rate:g}"
            )

    @property
    def network(self) -> UNetConfig:
        """The architecture of both networks."""
        return UNetConfig(encoder=self.encoder, decoder_channels=self.decoder_channels, dropout=self.dropout)

    @property
    def uses_unlabeled(self) -> bool:
        """Whether the method learns from unlabelled frames under these settings."""
        return find_method(self.method).uses_unlabeled(self)

    @property
    def uses_mutual(self) -> bool | None:
        """Whether mutual learning is on; None where that depends on there being unlabelled frames."""
        return self.mutual_learning if "mutual_learning" in find_method(self.method).options else False

    @property
    def frames_unlabeled(self) -> int:
        """Unlabelled frames in a batch."""
        return self.batch_size if self.unlabeled_batch_size is None else self.unlabeled_batch_size


PAPER_SETTINGS: dict[str, Any] = {
    "labeled_cross": True,
    "threshold_scope": "image",
    "certainty": "own",
    "min_confidence": 0.5,
    "reduction": "all",
    "warm_up_steps": 0,
    "unsupervised_weight": 0.5,
    "mutual_weight": 0.5,
    "logit_weight": 1.0,
    "mutual_form": {"on": "logits", "low_level": 0.5, "bottleneck": "paper"},
    "dice_weight": 0.0,
    "settle_frames": 0,
    "augment": {"strong": {"at_least": 0}},
}
"""The paper's settings of the method, where endoseg's defaults differ; lengths, sizes and rates are the user's."""


def recipe_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of `TrainConfig` that a recipe, a choice of Endo-SemiS's strategies, stands for.

    cps is cross pseudo-supervision (Chen et al., CVPR 2021) on the weak views: no uncertainty, one pass. A recipe says
    all of it, so that it also undoes another one that a config file was written with.
    """
    switches = ("cross_supervision", "joint_pseudo_label", "uncertainty_guidance")
    on: dict[str, Any] = {**dict.fromkeys(switches, True), "mutual_learning": None, "num_passes": 5}
    on |= {"method": "endo-semis", "labeled_cross": False}
    off = {"joint_pseudo_label": False, "mutual_learning": False}
    match recipe:
        case "endo-semis":
            return on
        case "endo-semis-paper":
            return {**on, **PAPER_SETTINGS}
        case "cps":
            return {**on, **off, "uncertainty_guidance": False, "num_passes": 1}
        case "supervised":
            return {**on, **off, "cross_supervision": False}


def _check_at_least(name: str, value: float | None, low: int) -> None:
    if value is not None and not low <= value < float("inf"):
        raise UsageError(f"--{name.replace('_', '-')} must be at least {low}, found {value}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"--{name.replace('_', '-')} must be {' or '.join(choices)}, found {value}")
