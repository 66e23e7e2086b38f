"""Tell a transport stream that ends inside a packet: it has no head that would say how long it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_SYNC = 0x47
_PACKET = 188
_LAYOUTS = ((_PACKET, 0), (192, 4))
"""Bytes from one packet to the next and before its first; Blu-ray and cameras put a clock there."""
_LOOK = 4 << 20
"""Bytes at the end that are looked at: more than one frame or block of sound takes."""


def ends_inside_a_packet(path: Path) -> bool:
    """Whether the file ends inside one of its packets, or inside a frame or block of sound whose length it says.

    Frames mostly have no length; whether the last one is whole only its decoder knows. False for what is no file or no
    transport stream.
    """
    if not path.is_file():
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(2 * max(step for step, _ in _LAYOUTS))
        layout = next((one for one in _LAYOUTS if _begins(start, *one)), None)
        if layout is None:
            return False
        step, before = layout
        if size % step:
            return True
        file.seek(max(0, size - _LOOK // step * step))
        tail = file.read()
    return _lacks_payload(tail[at + before : at + step] for at in range(0, len(tail), step))


def _begins(start: bytes, step: int, before: int) -> bool:
    return len(start) > before + step and start[before] == start[before + step] == _SYNC


def _lacks_payload(packets: Iterator[bytes]) -> bool:
    """Whether one of the streams has fewer bytes at its end than the head of its last block (PES) promises."""
    missing: dict[int, int] = {}
    for packet in packets:
        stream = int.from_bytes(packet[1:3], "big") & 0x1FFF
        payload = _payload(packet)
        is_start = packet[1] & 0x40
        if is_start and payload[:3] == b"\0\0\1" and len(payload) >= 6:
            length = int.from_bytes(payload[4:6], "big")
            missing[stream] = length + 6 if length else 0
        elif is_start:
            missing[stream] = 0
        missing[stream] = missing.get(stream, 0) - len(payload)
    return any(count > 0 for count in missing.values())


def _payload(packet: bytes) -> bytes:
    """Return what a packet carries, without the field that fills it up; nothing of a damaged one."""
    if packet[0] != _SYNC or not packet[3] & 0x10:
        return b""
    return packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
