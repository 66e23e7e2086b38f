"""Attention of one frame over its neighbours: where was this piece of tissue then, and what was said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 8
"""Side of the square of queries that share their keys."""
HALO = 4
"""How far the keys of a block reach beyond it on each side."""
PERIODS = (8.0, 20.0, 50.0)
"""Wavelengths of the positions' sines and cosines; a displacement of half the longest is still told apart."""
POSITION_CHANNELS = 4 * len(PERIODS)
NEARNESS = 4.0
"""How much nearer positions are preferred before training."""
LONGEST_OFFSET = 50.0
"""Offsets beyond this (2 s) count as this."""
CONTENT_SHARE = 4
"""A head's keys hold this part of the features' channels."""
TIME_FEATURES = 3


class FrameTokens(NamedTuple):
    """A frame as attention sees it; blocks are 1 where attention is over the whole frame."""

    queries: Tensor
    """(B, blocks, heads, positions, channels)"""
    keys: Tensor
    """(B, blocks, heads, positions with halo, channels)"""
    values: Tensor
    """(B, blocks, heads, positions with halo, value channels)"""


class NeighbourAttention(nn.Module):
    """Multi-head attention of a frame's positions over positions of the frames around it.

    With `blocks`, queries of each 8x8 block see the 16x16 positions around it, else the whole frame. Positions enter
    keys and queries as sines whose products depend on the displacement alone, time as a learned vector added to the
    keys. Values are learned features, `evidence` channels carried as they are, and a one. Beside the neighbours there
    is an empty key, whose value has zeros for both, to look at when none of them helps, or when there are none.
    """

    def __init__(self, channels: int, heads: int, evidence: int, *, blocks: bool) -> None:
        super().__init__()
        self.heads, self.blocks, self.evidence = heads, blocks, evidence
        self.content = max(channels // CONTENT_SHARE, evidence)
        # keys and values of one width: torch's fused attention on the CPU asks for that
        self.width = self.content + POSITION_CHANNELS
        self.out_channels = heads * self.width
        self.query_key = nn.Conv2d(channels, 2 * heads * self.content, 1)
        learned = self.width - evidence - 1
        self.value = nn.Conv2d(channels, heads * learned, 1)
        self.nearness = nn.Parameter(torch.full((heads, 1, 1, 1), NEARNESS))
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, 16), nn.ReLU(), nn.Linear(16, heads * self.content))
        self.empty_key = nn.Parameter(torch.zeros(heads, 1, self.width))
        self.empty_value = nn.Parameter(torch.zeros(heads, 1, learned))

    def tokens(self, features: Tensor, evidence: Tensor) -> FrameTokens:
        """Return queries, keys and values of frames (B, channels, H, W) with evidence (B, E, H, W)."""
        queries, keys = (self._split(part) for part in self.query_key(features).chunk(2, dim=1))
        values = self._split(self.value(features))
        place = positions(features).expand(*queries.shape[:2], -1, -1, -1)
        shown = evidence[:, None].expand(-1, self.heads, -1, -1, -1)
        queries = torch.cat([queries, place * self.nearness], dim=2)
        keys = torch.cat([keys, place], dim=2)
        values = torch.cat([values, shown, torch.ones_like(shown[:, :, :1])], dim=2)
        if self.blocks:
            return FrameTokens(_in_blocks(queries, 0), _in_blocks(keys, HALO), _in_blocks(values, HALO))
        return FrameTokens(_as_one(queries), _as_one(keys), _as_one(values))

    def forward(
        self, own: FrameTokens, others: Sequence[FrameTokens], offsets: Sequence[float | Tensor], like: Tensor
    ) -> Tensor:
        """Return what the frame finds in the `others`, (B, out_channels, H, W) with the H and W of `like`.

        `offsets` are the others' times relative to the frame, in units of 1/25 s.
        """
        batch, count = own.queries.shape[:2]
        leading = (batch, count, -1, -1, -1)
        times = self.embed_times(offsets, like) if others else []
        keys = [self.empty_key.to(like.dtype).expand(leading)]
        keys += [frame.keys + time for frame, time in zip(others, times, strict=True)]
        nothing = functional.pad(self.empty_value, (0, self.evidence + 1)).to(like.dtype)
        values = [nothing.expand(leading), *(frame.values for frame in others)]
        found = functional.scaled_dot_product_attention(
            own.queries.flatten(0, 1), torch.cat(keys, dim=3).flatten(0, 1), torch.cat(values, dim=3).flatten(0, 1)
        )
        return _as_picture(found.reshape(batch, count, *found.shape[1:]), like.shape[-2:])

    def witness(self, found: Tensor, own: Tensor) -> Tensor:
        """Return the evidence (B, E, H, W) in what `forward` found; where it looked away, the frame's `own`."""
        shown = self._split(found)[:, :, -self.evidence - 1 :].mean(dim=1)
        evidence, share = shown[:, :-1], shown[:, -1:]
        return evidence + (1 - share) * own

    def embed_times(self, offsets: Sequence[float | Tensor], like: Tensor) -> list[Tensor]:
        """Return what each offset adds to its frame's keys, each (B, 1, heads, 1, key channels)."""
        spread = [torch.as_tensor(offset, device=like.device).float().expand(len(like)) for offset in offsets]
        at = torch.stack(spread).clamp(-LONGEST_OFFSET, LONGEST_OFFSET)
        features = torch.stack([at / 4, at.abs() / 4, torch.exp(-at.abs() / 2)], dim=-1)
        added = self.time(features.to(self.empty_key.dtype)).view(*at.shape, 1, self.heads, 1, self.content)
        return list(functional.pad(added, (0, POSITION_CHANNELS)).to(like.dtype))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.heads, -1, *x.shape[2:])  # (B, heads, channels, H, W)


def positions(like: Tensor) -> Tensor:
    """Return (POSITION_CHANNELS, H, W): sines and cosines of row and column."""
    height, width = like.shape[-2:]
    periods = torch.tensor(PERIODS, device=like.device, dtype=torch.float32)
    rows, columns = (
        torch.arange(side, device=like.device, dtype=torch.float32) * (2 * math.pi / periods[:, None])
        for side in (height, width)
    )
    across = (len(PERIODS), height, width)
    waves = [wave(rows)[:, :, None].expand(across) for wave in (torch.sin, torch.cos)]
    waves += [wave(columns)[:, None, :].expand(across) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves).to(like.dtype)


def _as_one(x: Tensor) -> Tensor:
    return x.flatten(3).transpose(2, 3)[:, None].contiguous()


def _in_blocks(x: Tensor, halo: int) -> Tensor:
    """Return (B, heads, channels, H, W) as (B, blocks, heads, positions, channels), blocks overlapping by `halo`."""
    batch, heads, channels = x.shape[:3]
    flat = x.flatten(1, 2)
    if halo:
        flat = functional.pad(flat, (halo,) * 4, mode="replicate")
    side = BLOCK + 2 * halo
    blocks = flat.unfold(2, side, BLOCK).unfold(3, side, BLOCK)  # (B, heads channels, rows, columns, side, side)
    blocks = blocks.permute(0, 2, 3, 1, 4, 5).reshape(batch, -1, heads, channels, side * side)
    return blocks.transpose(3, 4).contiguous()


def _as_picture(found: Tensor, size: torch.Size) -> Tensor:
    """Undo `_in_blocks` or `_as_one`: (B, blocks, heads, positions, channels) to (B, heads channels, H, W)."""
    height, width = size
    batch, count, heads, _, channels = found.shape
    if count == 1 and found.shape[3] == height * width:
        return found[:, 0].transpose(2, 3).reshape(batch, heads * channels, height, width)
    rows, columns = height // BLOCK, width // BLOCK
    blocks = found.reshape(batch, rows, columns, heads, BLOCK, BLOCK, channels)
    return blocks.permute(0, 3, 6, 1, 4, 2, 5).reshape(batch, heads * channels, height, width)
