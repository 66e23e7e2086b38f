"""`endoseg segment`: masks, overlays and tables of videos and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endoseg_cli.cli.console.lines import SegmentConsole
from endoseg_cli.cli.console.say import print_path
from endoseg_cli.cli.options.engine import EngineOptions
from endoseg_cli.cli.options.groups import grouped
from endoseg_cli.cli.options.privacy import PrivacyOptions
from endoseg_cli.cli.options.segmenting import FrameOptions, ProductOptions, SegmentModelOptions, segment_config
from endoseg_cli.cli.options.sharing import SharingOptions, in_torchrun, is_first_rank
from endoseg_cli.errors import DAMAGED_EXIT_CODE
from endoseg_cli.inference.inputs.addresses import called
from endoseg_cli.process import starting

if TYPE_CHECKING:
    from endoseg_cli.inference.job import JobResult
    from endoseg_cli.inference.many.run import SegmentJob
    from endoseg_cli.inference.predict.choice import ModelFacts, PredictorChoice
    from endoseg_cli.inference.write.output_paths import OutputConfig


@grouped
def segment(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Videos, pictures, folders of either, or globs.")
    ],
    products: ProductOptions,
    model: SegmentModelOptions,
    frames: FrameOptions,
    sharing: SharingOptions,
    engine: EngineOptions,
    privacy: PrivacyOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON object on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say more on stderr; there and in --records, name inputs by their paths."),
    ] = False,
) -> None:
    """Segment lesions in videos and pictures; masks line up with the input frame for frame.

    Writes to OUT.endoseg.part and renames it when it is complete. Prints the paths of what it wrote.

    Example: endoseg segment colonoscopy.mp4 --out mask.mp4 --overlay overlay.mp4 --records lesions.csv

    Several GPUs: torchrun --nproc-per-node 2 -m endoseg_cli segment ...
    """
    talks = is_first_rank()
    console = SegmentConsole(quiet=quiet or not talks, verbose=verbose and talks)

    def prepare() -> SegmentJob:
        return _job(inputs, products, model, frames, sharing, engine, privacy, console, whole_paths=verbose)

    def loaded(facts: ModelFacts) -> None:
        console.note(facts.sentence())

    try:
        if engine.is_ray:
            job = prepare()
            result = _on_cluster(job, engine, console)
        elif in_torchrun():
            from endoseg_cli.inference.many.ranks import segment_by_ranks

            done = segment_by_ranks(prepare, console, loaded)
            if done is None:  # another process tells
                return
            job, result = done
        else:
            looks = model.field_of_view in (None, "auto") and frames.start is None  # a start may be far to reach
            job, result = _on_this_machine(prepare, console, loaded, first=inputs[0] if looks else None)
    finally:
        console.close()
    _tell(result, job.outputs, as_json=as_json, quiet=quiet)
    if result.damaged:
        raise typer.Exit(DAMAGED_EXIT_CODE)


def _on_this_machine(
    prepare: Callable[[], SegmentJob],
    console: SegmentConsole,
    on_loaded: Callable[[ModelFacts], None],
    *,
    first: str | None,
) -> tuple[SegmentJob, JobResult]:
    """Have the job done by this process, or by several that it starts; `first` is an input to look at meanwhile."""
    from endoseg_cli.inference.inputs.ahead import looking_ahead

    with starting() as started, looking_ahead(first) as ahead:
        job = replace(prepare(), ahead=ahead)
        from endoseg_cli.inference.many.run import segment_job

        def loaded(facts: ModelFacts) -> None:
            started()
            on_loaded(facts)

        return job, segment_job(job, console, loaded)


def _on_cluster(job: SegmentJob, engine: EngineOptions, console: SegmentConsole) -> JobResult:
    """Have the job done by a Ray cluster, and sum it up."""
    from endoseg_cli.inference.cluster.job import segment_on_cluster
    from endoseg_cli.inference.cluster.ray_engine import RayCluster

    with RayCluster(engine.ray()) as cluster:
        result = segment_on_cluster(job, console, cluster)
    console.summed_up(len(result.outcomes) - result.before, result.before, result.failures)
    return result


def _job(
    inputs: Sequence[str],
    products: ProductOptions,
    model: SegmentModelOptions,
    frames: FrameOptions,
    sharing: SharingOptions,
    engine: EngineOptions,
    privacy: PrivacyOptions,
    console: SegmentConsole,
    *,
    whole_paths: bool,
) -> SegmentJob:
    """Return what the options ask for; raises what is wrong with them."""
    share, processes = sharing.share(), sharing.processes()
    frames.span()
    # a mistyped name must not wait until torch is imported
    engine.check_inputs(inputs, sequences=frames.fps is not None)
    from endoseg_cli.inference.many.run import SegmentJob

    together = model.frames_together()

    def choose() -> PredictorChoice:
        path = model.find()
        console.note(f"model {path}")
        return model.choice(path, precision=model.precision, batch_size=together, runtime=model.runtime)

    return SegmentJob(
        inputs=inputs,
        outputs=engine.outputs(products.outputs(privacy)),
        overlay=products.style(),
        config=segment_config(model, frames, privacy, overwrite=products.overwrite, whole_paths=whole_paths),
        choose=choose,
        shard=share,
        processes=processes,
    )


def _tell(result: JobResult, outputs: OutputConfig, *, as_json: bool, quiet: bool) -> None:
    """Print the results as JSON, or the paths of what was written."""
    outcomes = [outcome.to_dict() for outcome in result.outcomes]
    if as_json:
        failures = [{"input": called(source.path), "error": error.message} for source, error in result.failures]
        annotations = None if outputs.annotations is None else called(outputs.annotations.path)
        table = None if outputs.records is None else called(outputs.records)
        content = {"results": outcomes, "failures": failures, "records": table, "annotations": annotations}
        typer.echo(json.dumps(content, indent=2))
    elif not quiet:
        for path in _written(outcomes, outputs):
            print_path(path)


def _written(outcomes: Sequence[dict[str, Any]], outputs: OutputConfig) -> list[str]:
    """Return the paths of what was written: of several pictures' the folders that were asked for."""
    files = [path for outcome in outcomes for path in outcome["outputs"].values()]
    asked = (outputs.masks, outputs.overlay, outputs.mask_pictures, outputs.probabilities, outputs.frames)
    folders = [str(path) for path in asked if path is not None and path.is_dir()]
    tables = [called(path) for path in outputs.tables]
    pictures = [file for file in files if Path(file).suffix.lower() == ".png"]
    if len(pictures) > sum(path is not None for path in asked):  # of more than one picture
        files = [file for file in files if file not in set(pictures)] + folders
    return list(dict.fromkeys(files + tables))
