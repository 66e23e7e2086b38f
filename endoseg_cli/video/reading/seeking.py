"""Where seeking is exact, and which number the first frame after it has."""

from __future__ import annotations

import av

from endoseg_cli.video.reading.info import VideoInfo
from endoseg_cli.video.reading.source import open_container

SEEK_MARGIN_SECONDS = 1
"""Start decoding this much before the wanted frame: longer than any reordering of frames."""

_SEEK_FROM_SECONDS = 2.0  # below, decoding from the start costs less than it saves
# Containers with an index of exact timestamps, and codecs that store one packet for each frame.
_SEEKABLE = ("mp4", "matroska")
_ONE_PACKET_A_FRAME = ("h264", "hevc", "vp9", "av1", "mjpeg", "prores", "ffv1")


def frames_before(info: VideoInfo, stream_index: int, pts: int) -> int | None:
    """Count the frames before a timestamp without decoding them; None if that, or seeking, would not be exact."""
    near = float((pts - info.first_pts) * info.time_base) < _SEEK_FROM_SECONDS
    if near or info.codec not in _ONE_PACKET_A_FRAME or not any(name in info.container for name in _SEEKABLE):
        return None
    count, reached = 0, False
    try:
        with open_container(info.path) as container:
            for packet in container.demux(container.streams[stream_index]):
                if packet.pts is None or packet.dts is None or packet.is_corrupt:
                    return None
                if packet.dts > pts:
                    return count
                count += packet.pts < pts and not packet.is_discard
                reached = reached or packet.pts >= pts
    except av.error.FFmpegError:
        return None
    return count if reached else None
