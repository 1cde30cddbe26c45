"""Sequences of differing lengths as one tensor: padded, or packed without what would be padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class PackedSequence(NamedTuple):
    """Sequences in order of their lengths, the longest first: the elements `data` of the first time, then those of the
    second and so on, and how many there are each time. The indices are None where that was the order already."""

    data: Any  #: (sum of all lengths, ...)
    batch_sizes: Any  #: (longest,) int64
    sorted_indices: Any = None  #: (batch,): which sequence comes where
    unsorted_indices: Any = None  #: (batch,): where each sequence is


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a tensor (time, batch, ...), or (batch, time, ...) with `batch_first`, of sequences of these lengths.
    RuntimeError where a length is not positive or, with `enforce_sorted`, lengths increase."""
    rows = input.transpose(0, 1) if batch_first else input
    counts = tj.asarray(lengths, dtype=tj.int64)
    if counts.shape != (rows.shape[1],):
        raise RuntimeError(f"{rows.shape[1]} sequences have lengths of shape {counts.shape}")
    if bool((counts < 1).any()):
        raise RuntimeError("sequences that are packed have at least one element")
    order = place = None
    if not enforce_sorted:
        order = tj.argsort(-counts, stable=True)
        place = tj.argsort(order)
        rows, counts = rows[:, order], counts[order]
    elif bool((counts[1:] > counts[:-1]).any()):
        raise RuntimeError("lengths increase: sort the sequences, or pass enforce_sorted=False")
    longest = int(counts[0])
    present = tj.arange(longest).unsqueeze(1) < counts
    return PackedSequence(rows[:longest][present], present.sum(1), order, place)


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (time, ...) that differ in time: see `pack_padded_sequence`."""
    lengths = [len(x) for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def padded(sequence: PackedSequence, padding_value: float = 0.0) -> tuple[Any, Any]:
    """The sequences (time, batch, ...) in their packed order, and which of its elements are theirs (time, batch)."""
    data, sizes = sequence.data, sequence.batch_sizes
    present = tj.arange(int(sizes[0])) < sizes.unsqueeze(1)
    rows = tj.full((*present.shape, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    rows[present] = data
    return rows, present


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """What was packed, as (time, batch, ...) or with `batch_first` (batch, time, ...), and the lengths (batch,).
    `total_length` makes time that long: ValueError where a sequence is longer."""
    rows, present = padded(sequence, padding_value)
    counts = present.sum(0)
    if total_length is not None:
        missing = total_length - rows.shape[0]
        if missing < 0:
            raise ValueError(f"total_length {total_length} is less than the longest sequence's {rows.shape[0]}")
        rows = tj.cat((rows, rows.new_full((missing, *rows.shape[1:]), padding_value)))
    if sequence.unsorted_indices is not None:
        rows, counts = rows[:, sequence.unsorted_indices], counts[sequence.unsorted_indices]
    return (rows.transpose(0, 1) if batch_first else rows), counts
