"""What was wrong with an input that could still be read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Damage:
    """Running counts of what the reader had to work around; complete once the video is read to its end."""

    damaged_packets: int = 0
    """Packets that the decoder refused or the container marks as damaged."""
    concealed_frames: int = 0
    """Frames with parts that the decoder had to guess."""
    truncated: bool = False
    """Whether the video ends earlier than its file says."""
    read_error: str | None = None
    """Why reading stopped before the end, if it did."""
    unreadable_pictures: list[str] = field(default_factory=list)
    """Of a sequence of pictures, why each one that could not be read was left out."""
    repaired_timestamps: int = 0
    """Frames whose timestamp was missing or not increasing; no damage by itself."""
    coarse_clock: bool = False
    """Whether frames share timestamps because the file's clock is too coarse; no damage by itself."""
    resized_frames: int = 0
    """Frames of another size than the first, scaled to that; no damage by itself."""

    @property
    def found(self) -> bool:
        """Whether pictures are missing or damaged."""
        return bool(
            self.damaged_packets
            or self.concealed_frames
            or self.truncated
            or self.read_error
            or self.unreadable_pictures
        )

    def sentences(self) -> list[str]:
        """Say what was found, one short sentence each; empty for a healthy video."""
        facts = [
            (self.damaged_packets, f"{_count(self.damaged_packets, 'packet')} could not be decoded"),
            (self.concealed_frames, f"{_count(self.concealed_frames, 'frame')} decoded only in part"),
            (self.truncated, "the video is cut off: it ends earlier than its file says"),
            (self.read_error, f"reading stopped: {self.read_error}"),
            (
                self.repaired_timestamps,
                f"{_count(self.repaired_timestamps, 'timestamp')} missing or not increasing, set anew",
            ),
            (
                self.coarse_clock,
                "the file's clock is too coarse for its frame rate; frames that share a time were spread",
            ),
            (
                self.resized_frames,
                f"{_count(self.resized_frames, 'frame')} of another size, scaled to the first frame's",
            ),
        ]
        return [sentence for present, sentence in facts if present] + [
            f"left out: {why}" for why in self.unreadable_pictures
        ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
