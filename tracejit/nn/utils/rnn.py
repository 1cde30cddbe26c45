"""Sequences of differing lengths as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tracejit as tj


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Tensors (time, ...) that differ in time as one (time, batch, ...), or (batch, time, ...) with `batch_first`: what
    they lack of the longest is `padding_value`, behind them or before them ("left")."""
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side is 'left' or 'right', not {padding_side!r}")
    longest = max([len(x) for x in sequences])
    padded = []
    for x in sequences:
        width = (longest - len(x), 0) if padding_side == "left" else (0, longest - len(x))
        padded.append(tj.nn.functional.pad(x, (*((0, 0) * (x.ndim - 1)), *width), "constant", padding_value))
    return tj.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of these lengths that `pad_sequence` made one tensor of."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [rows[i, : int(lengths[i])] for i in range(len(lengths))]
