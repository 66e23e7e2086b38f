"""How many processes do a job: as asked for, or as many as cores and memory allow."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from endoseg_cli.inference.many.machine import available_memory, usable_cores
from endoseg_cli.inference.predict.choice import PredictorChoice
from endoseg_cli.inference.write.output_paths import Targets
from endoseg_cli.networks.running.device import resolve_device
from endoseg_cli.video.reading.length import read_header

BYTES_A_PROCESS = 450 << 20
"""What a process takes that has libraries and a small model loaded and works on small frames: 470 MB at 560x480."""
BYTES_A_PIXEL = 150
"""What it takes besides for each pixel of larger frames, which wait between its stages: 1.5 GB for 3840x2160, with mask
and overlay (peaks of single runs on 2 cores)."""
BYTES_A_PIXEL_AND_CORE = 3
"""What decoder and encoder hold besides: each works on a frame a core."""
STAGES = 3
"""Threads that a process on a GPU keeps busy: reading, predicting, writing."""
PROBED = 20
"""Videos whose size is looked at."""


def processes_for(asked: int | None, targets: Sequence[Targets], choice: PredictorChoice) -> tuple[int, str | None]:
    """Return how many processes to start, and what is to be said about their memory.

    `asked` is None for as many as the machine allows: one for each core, on a GPU one for every three. There are never
    more than inputs.
    """
    most = len(targets)
    if asked == 1 or most == 1:
        return 1, None
    each = _bytes_a_process(targets, choice)
    free = available_memory()
    fitting = most if free is None else max(free // each, 1)
    if asked is None:
        on_cpu = resolve_device(choice.device).type == "cpu"
        threads = torch.get_num_threads()  # fewer than cores where OMP_NUM_THREADS says so
        cores = min(usable_cores(), threads) if on_cpu else usable_cores() // STAGES
        return max(min(cores, fitting, most), 1), None
    count = min(asked, most)
    if free is None or count <= fitting:
        return count, None
    needed = f"--jobs {asked} may take {count * each / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free"
    return count, f"{needed}: --jobs {fitting} would fit"


def _bytes_a_process(targets: Sequence[Targets], choice: PredictorChoice) -> int:
    videos = [target.source for target in targets if not target.source.is_picture and not target.source.pictures]
    headers = [read_header(source.path) for source in videos[:: max(len(videos) // PROBED, 1)]]
    pixels = max((header.pixels for header in headers if header is not None), default=0)
    a_pixel = BYTES_A_PIXEL + BYTES_A_PIXEL_AND_CORE * usable_cores()
    return BYTES_A_PROCESS + 4 * choice.path.stat().st_size + a_pixel * pixels
