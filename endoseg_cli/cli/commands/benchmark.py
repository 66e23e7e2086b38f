"""`endoseg benchmark`: how fast this machine does what endoseg does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endoseg_cli.cli.commands.phantom import parse_size
from endoseg_cli.cli.console.benchmarks import inference_tables, io_tables, telling, train_tables
from endoseg_cli.cli.console.tables import print_tables
from endoseg_cli.cli.options.benchmarking import FootageOptions
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.segmenting import FrameOptions, SegmentModelOptions, segment_config
from endoseg_cli.cli.options.shared import device_option
from endoseg_cli.errors import UsageError
from endoseg_cli.networks.architecture.encoder_names import EncoderName

if TYPE_CHECKING:
    from endoseg_cli.evaluation.report.tables import Table
    from endoseg_cli.inference.predict.predictor import Predictor
    from endoseg_cli.networks.files.runtimes import RuntimeName
    from endoseg_cli.networks.running.device import Precision

benchmark = typer.Typer(help="Measure how fast this machine is.", no_args_is_help=True)


@benchmark.callback()
def _group() -> None:
    pass


@benchmark.command("inference")
@grouped
def benchmark_inference(footage: FootageOptions, model: SegmentModelOptions) -> None:
    """Time each stage of segment alone, whole runs, and a plain loop beside them; say what keeps up with a camera.

    Example: endoseg benchmark inference --sizes 720p
    """
    measure = footage.measure()
    path, together = model.find(), model.frames_together()
    from endoseg_cli.benchmark.inference import InferenceBenchmark
    from endoseg_cli.benchmark.machine import torch_threads

    config = segment_config(model, FrameOptions(), overwrite=True)

    def load(runtime: RuntimeName, precision: Precision) -> Predictor:
        return model.load(path, precision=precision, batch_size=together, runtime=runtime)

    with (
        torch_threads(footage.threads),
        telling(quiet=footage.quiet) as tell,
        footage.footage(tell) as (videos, folder),
    ):
        predictor = model.load(path, precision=model.precision, batch_size=together, runtime=model.runtime)
        found = InferenceBenchmark(
            model=path,
            predictor=predictor,
            load=load,
            runtime=model.runtime,
            precision=model.precision,
            config=config,
            measure=measure,
        ).run(videos, folder, tell)
    _print(found, inference_tables, as_json=footage.as_json)


@benchmark.command("io")
@grouped
def benchmark_io(footage: FootageOptions) -> None:
    """Time reading and writing alone, in the formats that segment writes.

    Example: endoseg benchmark io --input colonoscopy.mp4
    """
    measure = footage.measure()
    from endoseg_cli.benchmark.io import IoBenchmark
    from endoseg_cli.benchmark.machine import torch_threads

    with (
        torch_threads(footage.threads),
        telling(quiet=footage.quiet) as tell,
        footage.footage(tell) as (videos, folder),
    ):
        found = IoBenchmark(measure=measure).run(videos, folder, tell)
    _print(found, io_tables, as_json=footage.as_json)


@benchmark.command("train")
def benchmark_training(
    encoder: Annotated[EncoderName, typer.Option(help="Encoder of both networks.")] = "resnet34",
    method: Annotated[
        str, typer.Option(help="supervised, mean-teacher, fixmatch, unimatch, cps or endo-semis.")
    ] = "endo-semis",
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames.")] = "256",
    batch_size: Annotated[int, typer.Option(help="Frames with masks, and as many without; train takes 24.")] = 4,
    num_passes: Annotated[int, typer.Option(help="Stochastic passes of a teacher.")] = 5,
    repeats: Annotated[int, typer.Option(help="Batches that are timed, after one that is not.")] = 3,
    steps: Annotated[int | None, typer.Option(help="Steps of the run (default: 100 epochs).")] = None,
    frames: Annotated[int, typer.Option(help="Frames without masks of the run, an epoch.")] = 1000,
    threads: Annotated[int | None, typer.Option(help="Threads that compute (default: as torch finds right).")] = None,
    device: Annotated[str, device_option()] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with every repeat.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell what is being measured.")] = False,
) -> None:
    """Time a training step, written plainly and as endoseg does it, in fp32 and bf16; say how long a run takes.

    Example: endoseg benchmark train --encoder resnet34 --size 256 --batch-size 4
    """
    if steps is not None and steps < 1:
        raise UsageError(f"--steps must be at least 1, found {steps}")
    from endoseg_cli.benchmark.folder import own_folder
    from endoseg_cli.benchmark.machine import torch_threads
    from endoseg_cli.benchmark.train import TrainBenchmark
    from endoseg_cli.networks.running.device import resolve_device
    from endoseg_cli.training.methods.table import method_settings
    from endoseg_cli.training.settings.config import TrainConfig

    settings: dict[str, Any] = method_settings(method) | {
        "encoder": encoder,
        "encoder_weights": "none",
        "size": parse_size(size),
        "batch_size": batch_size,
        "num_passes": num_passes,
        "max_steps": steps,
    }
    config = TrainBenchmark(
        config=TrainConfig(**settings), device=resolve_device(device), repeats=repeats, frames=frames
    )
    with torch_threads(threads), telling(quiet=quiet) as tell, own_folder() as folder:
        found = config.run(folder, tell)
    _print(found, train_tables, as_json=as_json)


def _print(found: Mapping[str, Any], tables: Callable[[Mapping[str, Any]], list[Table]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_tables(tables(found))
