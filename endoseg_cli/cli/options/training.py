"""The options of `endoseg train` and `check` in groups: data, run, network, method, schedule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from endoseg_cli.cli.options.completion import complete_weights
from endoseg_cli.cli.options.shared import device_option
from endoseg_cli.networks.architecture.encoder_names import EncoderName

if TYPE_CHECKING:
    from endoseg_cli.data.sets.sources import SourcesConfig

RUN, DATA, NETWORK, METHOD, SCHEDULE = "Run", "Data", "Network", "Method (Endo-SemiS)", "Schedule"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which frames train and which validate."""

    labeled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of images and masks or LabelMe files, or COCO file. May be given more than once.",
            rich_help_panel=DATA,
        ),
    ] = None
    unlabeled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of frames, video, or folder of videos. May be given more than once. Without it, training is"
            " supervised.",
            rich_help_panel=DATA,
        ),
    ] = None
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            help="Frames or videos known to show no lesion, without masks. May be given more than once.",
            rich_help_panel=DATA,
        ),
    ] = None
    val_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Validate on the frames that this run validated on; all other labelled frames train.",
            rich_help_panel=DATA,
        ),
    ] = None
    val: Annotated[
        Path | None, typer.Option(help="Labelled frames to validate on, given like --labeled.", rich_help_panel=DATA)
    ] = None
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Validate on this share of the labelled frames, by folder.", rich_help_panel=DATA),
    ] = None
    split: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Split file that names all frames.", rich_help_panel=DATA)
    ] = None
    root: Annotated[
        Path | None, typer.Option(help="Where the names in the split file are looked up.", rich_help_panel=DATA)
    ] = None
    outside_root: Annotated[
        bool,
        typer.Option(
            "--outside-root",
            help="Image and mask paths in the split file may lead out of --root.",
            rich_help_panel=DATA,
        ),
    ] = False
    frames_per_second: Annotated[
        float, typer.Option(help="How densely unlabelled videos are sampled.", rich_help_panel=DATA)
    ] = 2.0
    cache: Annotated[Path | None, typer.Option(help="Where the frames of videos are kept.", rich_help_panel=DATA)] = (
        None
    )

    def sources(self, seed: int) -> SourcesConfig:
        """Return them as the library takes them."""
        from endoseg_cli.data.sets.sources import SourcesConfig

        return SourcesConfig(
            labeled=tuple(self.labeled or ()),
            unlabeled=tuple(self.unlabeled or ()),
            negatives=tuple(self.negatives or ()),
            val=self.val,
            val_fraction=self.val_fraction,
            val_from=self.val_from,
            split=self.split,
            root=self.root,
            outside_root=self.outside_root,
            frames_per_second=self.frames_per_second,
            cache=self.cache,
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run lives, what it goes on from, and what it runs on."""

    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.", rich_help_panel=RUN)] = None
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run where it stopped.", rich_help_panel=RUN),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml",
            help="Settings, such as a run's config.yaml; options given here go before.",
            rich_help_panel=RUN,
        ),
    ] = None
    device: Annotated[str, device_option(RUN)] = "auto"


@dataclass(frozen=True, kw_only=True)
class TrainRunOptions(RunOptions):
    """The same for the two networks, whose runs can be moved and made longer."""

    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with a run where it stopped, with its own settings. --labeled, --unlabeled, ... say where its"
            " data lie now; a larger --max-steps, --epochs or --max-time makes it longer.",
            rich_help_panel=RUN,
        ),
    ] = None
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard's event files too.", rich_help_panel=RUN)] = False


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What the two networks are."""

    encoder: Annotated[
        EncoderName,
        typer.Option(help="Encoder of both U-Nets.", rich_help_panel=NETWORK),
    ] = "resnet34"
    encoder_weights: Annotated[
        str,
        typer.Option(
            help="What the encoders start from: imagenet (cache, else Hub), none, or a state dict's file.",
            rich_help_panel=NETWORK,
        ),
    ] = "imagenet"
    decoder_channels: Annotated[
        str, typer.Option(help="Width of the five decoder blocks.", rich_help_panel=NETWORK)
    ] = "256,128,64,32,16"
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the network's input.", rich_help_panel=NETWORK)] = (
        "256"
    )
    field_of_view: Annotated[
        Literal["auto", "off"],
        typer.Option(help="Crop frames to the endoscope's picture before resizing.", rich_help_panel=NETWORK),
    ] = "auto"
    weights: Annotated[
        Path | None,
        typer.Option(
            autocompletion=complete_weights,
            help="Model to start from (file, run folder, name); decides encoder, decoder, size and field of view.",
            rich_help_panel=NETWORK,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How they teach each other."""

    method: Annotated[
        str,
        typer.Option(
            help="How to learn from --unlabeled: supervised, mean-teacher, fixmatch, unimatch, cps or endo-semis.",
            rich_help_panel=METHOD,
        ),
    ] = "endo-semis"
    recipe: Annotated[
        Literal["endo-semis", "endo-semis-paper", "cps", "supervised"],
        typer.Option(
            help="Strategies of endo-semis: all, all as in the paper, cross-supervision alone, or none; switches below"
            " go before.",
            rich_help_panel=METHOD,
        ),
    ] = "endo-semis"
    cross_supervision: Annotated[
        bool, typer.Option(help="Learn weak views from the other network.", rich_help_panel=METHOD)
    ] = True
    joint_pseudo_label: Annotated[
        bool, typer.Option(help="Learn strong views from the surer network.", rich_help_panel=METHOD)
    ] = True
    labeled_cross: Annotated[
        bool, typer.Option(help="Learn labelled frames from the other network too.", rich_help_panel=METHOD)
    ] = False
    mutual_learning: Annotated[
        bool | None,
        typer.Option(
            help="Pull logits and features together (default: with --unlabeled only).", rich_help_panel=METHOD
        ),
    ] = None
    uncertainty_guidance: Annotated[
        bool, typer.Option(help="Trust pseudo-labels below the threshold only.", rich_help_panel=METHOD)
    ] = True
    num_passes: Annotated[int, typer.Option(help="Stochastic passes of a teacher.", rich_help_panel=METHOD)] = 5
    threshold_scope: Annotated[
        Literal["image", "pseudo-class"],
        typer.Option(help="Pixels the threshold is taken among; image is the paper's.", rich_help_panel=METHOD),
    ] = "pseudo-class"
    certainty: Annotated[
        Literal["own", "both"],
        typer.Option(help="Networks whose passes tell how certain; own is the paper's.", rich_help_panel=METHOD),
    ] = "both"
    min_confidence: Annotated[
        float,
        typer.Option(help="Trust no pixel less sure than this probability; 0.5 trusts any.", rich_help_panel=METHOD),
    ] = 0.7
    reduction: Annotated[
        Literal["all", "kept"],
        typer.Option(help="Pixels masked losses are divided by; all is the paper's.", rich_help_panel=METHOD),
    ] = "kept"
    warm_up_steps: Annotated[
        int | None,
        typer.Option(help="Supervised steps first (default: a quarter, at most 500).", rich_help_panel=METHOD),
    ] = None
    ramp_steps: Annotated[
        int | None,
        typer.Option(help="Steps of the ramp-up (default: 5 epochs, at most a quarter).", rich_help_panel=METHOD),
    ] = None
    unsupervised_weight: Annotated[
        float, typer.Option(help="lambda at the end of the ramp-up.", rich_help_panel=METHOD)
    ] = 1.2
    mutual_weight: Annotated[float, typer.Option(help="Weight of mutual learning.", rich_help_panel=METHOD)] = 0.5
    logit_weight: Annotated[
        float, typer.Option(help="Weight of the outputs' difference in it; 1 is the paper's.", rich_help_panel=METHOD)
    ] = 0.5


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """How long, how fast, and on what views."""

    epochs: Annotated[
        int, typer.Option(help="Passes over the unlabelled frames (else the labelled).", rich_help_panel=SCHEDULE)
    ] = 100
    max_steps: Annotated[
        int | None, typer.Option(help="Steps to train, in place of epochs.", rich_help_panel=SCHEDULE)
    ] = None
    max_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Train at most so long, both stages: 90s, 45m, 2h.", rich_help_panel=SCHEDULE
        ),
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(help="Stop after so many validations without a better network.", rich_help_panel=SCHEDULE),
    ] = None
    validate_every: Annotated[
        int | None, typer.Option(help="Steps between validations (default: once per epoch).", rich_help_panel=SCHEDULE)
    ] = None
    select: Annotated[
        Literal["best", "last"],
        typer.Option(
            help="Weights that go into the model: each network's best on --val, or the last.", rich_help_panel=SCHEDULE
        ),
    ] = "best"
    settle_frames: Annotated[
        int,
        typer.Option(
            help="Frames over which BatchNorm statistics are taken anew for validation and model; 0: as trained.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 256
    settle_over: Annotated[
        Literal["learned", "all"],
        typer.Option(
            help="Take these from the frames learned from, or from --unlabeled whatever the method.",
            rich_help_panel=SCHEDULE,
        ),
    ] = "learned"
    settle_every: Annotated[
        int,
        typer.Option(
            help="Steps between which they are taken anew for the teachers too; 0: as trained.",
            rich_help_panel=SCHEDULE,
        ),
    ] = 25
    checkpoint_every: Annotated[
        int, typer.Option(help="Steps between checkpoints besides.", rich_help_panel=SCHEDULE)
    ] = 200
    batch_size: Annotated[int, typer.Option(help="Labelled frames in a batch.", rich_help_panel=SCHEDULE)] = 24
    unlabeled_batch_size: Annotated[
        int | None, typer.Option(help="Unlabelled frames in a batch (default: as many).", rich_help_panel=SCHEDULE)
    ] = None
    learning_rate: Annotated[float, typer.Option(help="At the start of the cosine.", rich_help_panel=SCHEDULE)] = 1e-4
    final_learning_rate: Annotated[float, typer.Option(help="At its end.", rich_help_panel=SCHEDULE)] = 1e-5
    dice_weight: Annotated[
        float, typer.Option(help="Weight of a soft Dice loss; 0 is the paper's.", rich_help_panel=SCHEDULE)
    ] = 1.0
    dice_over: Annotated[
        Literal["batch", "frame"],
        typer.Option(help="Take it over the batch, or over each frame with a lesion.", rich_help_panel=SCHEDULE),
    ] = "batch"
    presence_weight: Annotated[
        float,
        typer.Option(
            help="Weight of a loss on each frame's surest pixels: is there a lesion at all?", rich_help_panel=SCHEDULE
        ),
    ] = 0.0
    presence: Annotated[
        float | None,
        typer.Option(
            help="Peak probability that the model asks of a region to draw it; 0 draws every region"
            " (default: chosen on the validation frames).",
            rich_help_panel=SCHEDULE,
        ),
    ] = None
    empty_share: Annotated[
        float | None,
        typer.Option(help="Share of each batch without a lesion (default: as they come).", rich_help_panel=SCHEDULE),
    ] = None
    ema: Annotated[
        float | None,
        typer.Option(help="Keep networks averaged over the steps, with this decay: 0.998.", rich_help_panel=SCHEDULE),
    ] = None
    views: Annotated[
        Literal["paper", "wide"],
        typer.Option(
            help="Views of labelled frames: the paper's, or wide ones for other hospitals.", rich_help_panel=SCHEDULE
        ),
    ] = "paper"
    color_jitter: Annotated[
        float, typer.Option(help="Share of labelled frames that change colour.", rich_help_panel=SCHEDULE)
    ] = 0.0
    corrective: Annotated[
        bool, typer.Option(help="Then train the network that repairs predictions in video.", rich_help_panel=SCHEDULE)
    ] = True
    corrective_steps: Annotated[
        int | None,
        typer.Option(help="Steps of that (default: as many as before, at most 1000).", rich_help_panel=SCHEDULE),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of every random draw.", rich_help_panel=SCHEDULE)] = 0
    workers: Annotated[int, typer.Option(help="Processes that read frames.", rich_help_panel=SCHEDULE)] = 0
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(help="Type that convolutions compute in; auto: bf16 where it is fast.", rich_help_panel=SCHEDULE),
    ] = "fp32"
