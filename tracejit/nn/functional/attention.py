"""Attention (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import Any

import tracejit as tj
from tracejit.nn.functional.layers import dropout


def attention_weights(
    query: Any,
    key: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """softmax(query @ key^T * scale + mask) over the last axis, with dropout; see `scaled_dot_product_attention`."""
    factor = 1.0 / float(query.shape[-1]) ** 0.5 if scale is None else scale
    scores = tj.matmul(query * factor, key.mT)
    if is_causal:
        rows = tj.arange(query.shape[-2]).unsqueeze(1)
        columns = tj.arange(key.shape[-2]).unsqueeze(0)
        scores = tj.where(columns <= rows, scores, float("-inf"))
    if attn_mask is not None:
        is_choice = attn_mask.dtype == tj.bool
        scores = tj.where(attn_mask, scores, float("-inf")) if is_choice else scores + attn_mask
    return dropout(tj.softmax(scores, -1), dropout_p)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """softmax(query @ key^T * scale + mask) @ value over the last two axes; `scale` is 1 / sqrt(size of the last axis)
    unless given. A boolean mask says what takes part, another one is added; `is_causal` leaves out later keys."""
    return tj.matmul(attention_weights(query, key, attn_mask, dropout_p, is_causal, scale), value)
