"""Multi-head attention (Vaswani et al. 2017), with PyTorch's weight layouts."""

from __future__ import annotations

from typing import Any

import tracejit as tj
from tracejit.nn import functional as F
from tracejit.nn import init
from tracejit.nn.linear import Linear
from tracejit.nn.module import Module
from tracejit.nn.parameter import Parameter


class MultiheadAttention(Module):
    """Attention in `num_heads` heads of embed_dim / num_heads features each.

    `in_proj_weight` (3 * embed_dim, embed_dim) stacks the projections of query, key and value; where keys or values
    have other sizes (`kdim`, `vdim`) they are `q_proj_weight`, `k_proj_weight`, `v_proj_weight`. Inputs are (time,
    batch, features), (batch, time, features) with `batch_first`, or (time, features). After the given keys and values
    come, on request, a learnt one (`add_bias_kv`: `bias_k`, `bias_v`) and one of zeros (`add_zero_attn`), which no mask
    leaves out.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"embed_dim ({embed_dim}) must be a multiple of num_heads ({num_heads})")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.same_sizes = self.kdim == self.vdim == embed_dim
        shapes: dict[str, tuple[int, ...] | None] = {
            "in_proj_weight": (3 * embed_dim, embed_dim) if self.same_sizes else None,
            "q_proj_weight": None if self.same_sizes else (embed_dim, embed_dim),
            "k_proj_weight": None if self.same_sizes else (embed_dim, self.kdim),
            "v_proj_weight": None if self.same_sizes else (embed_dim, self.vdim),
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            made = None if shape is None else Parameter(tj.empty(shape, device=device, dtype=dtype))
            self.register_parameter(name, made)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot's uniform weights, biases 0."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def _projected(self, query: Any, key: Any, value: Any) -> tuple[Any, Any, Any]:
        size = self.embed_dim
        if self.same_sizes:
            w_q = self.in_proj_weight[:size]
            w_k = self.in_proj_weight[size : 2 * size]
            w_v = self.in_proj_weight[2 * size :]
        else:
            w_q, w_k, w_v = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        if self.in_proj_bias is None:
            return F.linear(query, w_q), F.linear(key, w_k), F.linear(value, w_v)
        bias = self.in_proj_bias
        return (
            F.linear(query, w_q, bias[:size]),
            F.linear(key, w_k, bias[size : 2 * size]),
            F.linear(value, w_v, bias[2 * size :]),
        )

    def _extended(self, k: Any, v: Any) -> tuple[Any, Any]:
        """Projected keys and values (batch, time, features), and the further ones."""
        if self.bias_k is not None:
            k, v = (
                tj.cat([x, bias.expand(x.shape[0], 1, self.embed_dim)], 1)
                for x, bias in ((k, self.bias_k), (v, self.bias_v))
            )
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
        return k, v

    def _heads(self, x: Any) -> Any:
        """(batch, time, features) as (batch, heads, time, features of a head)."""
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).transpose(1, 2)

    def _mask(self, attn_mask: Any, key_padding_mask: Any, batch: Any, like: Any) -> Any:
        """Both masks as numbers to add to the scores; in PyTorch's boolean masks, True leaves out."""
        mask = None
        if attn_mask is not None:
            mask = _added(attn_mask, like)
            if attn_mask.ndim == 3:
                mask = mask.reshape(batch, self.num_heads, attn_mask.shape[1], attn_mask.shape[2])
        if key_padding_mask is not None:
            padding = _added(key_padding_mask, like).reshape(batch, 1, 1, key_padding_mask.shape[-1])
            mask = padding if mask is None else mask + padding
        further = int(self.bias_k is not None) + int(self.add_zero_attn)
        return mask if mask is None or not further else F.pad(mask, (0, further))

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Any:
        """The attended values, and the weights (averaged over the heads; None unless `need_weights`). `attn_mask` is
        (times, times) or (batch * heads, times, times), `key_padding_mask` (batch, times)."""
        is_batch = query.ndim == 3
        is_by_time = is_batch and not self.batch_first
        if not is_batch:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
        elif is_by_time:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        if query.shape[2] != self.embed_dim:
            raise ValueError(f"MultiheadAttention: queries have {query.shape[2]} features, not {self.embed_dim}")
        q, k, v = self._projected(query, key, value)
        k, v = self._extended(k, v)
        q, k, v = self._heads(q), self._heads(k), self._heads(v)
        mask = self._mask(attn_mask, key_padding_mask, query.shape[0], q)
        causal = is_causal and attn_mask is None
        drop = self.dropout if self.training else 0.0
        weights = F.attention_weights(q, k, mask, drop, causal)
        heads = tj.matmul(weights, v).permute((2, 0, 1, 3) if is_by_time else (0, 2, 1, 3))
        out = self.out_proj(heads.reshape(heads.shape[0], heads.shape[1], self.embed_dim))
        if not is_batch:
            out = out.squeeze(0)
        if not need_weights:
            return out, None
        shown = weights.mean(axis=1) if average_attn_weights else weights
        return out, (shown if is_batch else shown.squeeze(0))

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"


def _added(mask: Any, like: Any) -> Any:
    """A mask as numbers to add."""
    if mask.dtype == tj.bool:
        return tj.where(mask, float("-inf"), tj.zeros(mask.shape, dtype=like.dtype, device=like.device))
    return mask
