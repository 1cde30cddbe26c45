"""The Transformer of Vaswani et al. (2017): layers of attention and linear maps, stacks of them, and both together.

Inputs are (time, batch, features), or (batch, time, features) with `batch_first`. Masks are those of
`MultiheadAttention`: numbers to add, or truth values that say what is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import tracejit as tj
from tracejit.nn import functional as F
from tracejit.nn import init
from tracejit.nn.activation import Dropout
from tracejit.nn.attention import MultiheadAttention
from tracejit.nn.containers import ModuleList
from tracejit.nn.linear import Linear
from tracejit.nn.module import Module
from tracejit.nn.norm import LayerNorm

Activation = str | Callable[[Any], Any]


def _activation(given: Activation) -> Callable[[Any], Any]:
    """The function that a name stands for."""
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise ValueError(f"activation is 'relu', 'gelu' or a function, not {given!r}")
    return F.relu if given == "relu" else F.gelu


class _Layer(Module):
    """What encoder and decoder layers share: attentions, two linear layers, and for each of these parts a residual
    connection with dropout and a normalisation, before the part with `norm_first`, else after."""

    attentions: tuple[str, ...]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        parts = range(1, len(self.attentions) + 2)
        for k in parts:
            setattr(self, f"norm{k}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for k in parts:
            setattr(self, f"dropout{k}", Dropout(dropout))
        self.activation = _activation(activation)
        self.norm_first = norm_first

    def _attended(self, x: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        out, _ = self.self_attn(x, x, x, padding, False, mask, True, is_causal)
        return self.dropout1(out)

    def _fed(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and two linear layers, each with a residual connection and layer normalisation (before them with
    `norm_first`, else after)."""

    attentions = ("self_attn",)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = src + self._attended(self.norm1(src), *masks)
            return x + self.dropout2(self._fed(self.norm2(x)))
        x = self.norm1(src + self._attended(src, *masks))
        return self.norm2(x + self.dropout2(self._fed(x)))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to a memory, and two linear layers, each with a residual connection and layer
    normalisation (before them with `norm_first`, else after)."""

    attentions = ("self_attn", "multihead_attn")

    def _remembered(self, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        out, _ = self.multihead_attn(x, memory, memory, padding, False, mask, True, is_causal)
        return self.dropout2(out)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = tgt + self._attended(self.norm1(tgt), *own)
            x = x + self._remembered(self.norm2(x), *other)
            return x + self.dropout3(self._fed(self.norm3(x)))
        x = self.norm1(tgt + self._attended(tgt, *own))
        x = self.norm2(x + self._remembered(x, *other))
        return self.norm3(x + self.dropout3(self._fed(x)))


class _Stack(Module):
    """Copies of a layer, and a final normalisation if there is one."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm


class TransformerEncoder(_Stack):
    """Copies of an encoder layer, one after the other, and a final normalisation if there is one.
    `enable_nested_tensor` and `mask_check` choose between computations of one result in PyTorch; there is one here."""

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(_Stack):
    """Copies of a decoder layer, one after the other, and a final normalisation if there is one."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of the source and a decoder that attends to it; `custom_encoder` and `custom_decoder` take their
    places."""

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        if custom_encoder is None:
            last = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            custom_encoder = TransformerEncoder(TransformerEncoderLayer(*sizes, **place), num_encoder_layers, last)
        if custom_decoder is None:
            last = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*sizes, **place), num_decoder_layers, last)
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """The (sz, sz) mask of what comes later: -inf above the diagonal, 0 elsewhere."""
        full = tj.full((sz, sz), float("-inf"), dtype=tj.float32 if dtype is None else dtype, device=device)
        return tj.triu(full, 1)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        batch = 0 if self.batch_first else 1
        if src.ndim != tgt.ndim or (src.ndim == 3 and src.shape[batch] != tgt.shape[batch]):
            raise ValueError(f"Transformer: source {tuple(src.shape)} and target {tuple(tgt.shape)} differ in batch")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(f"Transformer: source and target need {self.d_model} features")
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)
