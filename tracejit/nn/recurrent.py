"""Recurrent layers and cells: `RNN` (Elman 1990), `LSTM` (Hochreiter and Schmidhuber 1997), `GRU` (Cho et al. 2014).

Names, weight layouts and initial distributions are PyTorch's. The loop over time is an ordinary `for`: a script
compiles it as one loop, whatever the length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import tracejit as tj
from tracejit.nn import functional as F
from tracejit.nn import init
from tracejit.nn.module import Module
from tracejit.nn.parameter import Parameter
from tracejit.nn.utils.rnn import PackedSequence, padded

# -- one step ------------------------------------------------------------------------------------------------------
#
# `given` is input @ weight_ih.T + bias_ih, which layers compute for all times at once; `weight` is
# (gates * size, size).


def _rnn_step(given: Any, h: Any, weight: Any, bias: Any, nonlinearity: str) -> Any:
    sums = given + F.linear(h, weight, bias)
    return tj.tanh(sums) if nonlinearity == "tanh" else tj.relu(sums)


def _lstm_step(given: Any, h: Any, c: Any, weight: Any, bias: Any, size: int) -> tuple[Any, Any]:
    gates = given + F.linear(h, weight, bias)
    write = tj.sigmoid(gates[:, :size])
    keep = tj.sigmoid(gates[:, size : 2 * size])
    value = tj.tanh(gates[:, 2 * size : 3 * size])
    show = tj.sigmoid(gates[:, 3 * size :])
    c = keep * c + write * value
    return show * tj.tanh(c), c


def _gru_step(given: Any, h: Any, weight: Any, bias: Any, size: int) -> Any:
    held = F.linear(h, weight, bias)
    reset = tj.sigmoid(given[:, :size] + held[:, :size])
    keep = tj.sigmoid(given[:, size : 2 * size] + held[:, size : 2 * size])
    new = tj.tanh(given[:, 2 * size :] + reset * held[:, 2 * size :])
    return new + keep * (h - new)


# -- layers --------------------------------------------------------------------------------------------------------


def _register(module: Module, suffix: str, rows: int, columns: int, hidden: int, bias: bool, like: Any) -> None:
    """`weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` with a suffix."""
    shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    for name, shape in shapes.items():
        wanted = bias or not name.startswith("bias")
        module.register_parameter(name + suffix, Parameter(tj.empty(shape, **like)) if wanted else None)


def _uniform(module: Module, hidden: int) -> None:
    """All parameters uniform within 1 / sqrt(hidden)."""
    bound = 1.0 / math.sqrt(hidden) if hidden > 0 else 0.0
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


class _Recurrent(Module):
    """Layers over sequences: (time, batch, features), (batch, time, features) with `batch_first`, (time, features), or
    a `PackedSequence`, whose outputs are one too.

    `weight_ih_l0` is (gates * hidden_size, input_size), `weight_hh_l0` (gates * hidden_size, hidden_size), the biases
    (gates * hidden_size,); further layers count up, the second direction ends in `_reverse`. `dropout` acts between
    layers.
    """

    gates: ClassVar[int]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if hidden_size < 1 or num_layers < 1:
            raise ValueError("hidden_size and num_layers are at least 1")
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"dropout: the probability lies between 0 and 1, got {dropout}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.directions = 2 if bidirectional else 1
        #: For each layer and direction: the place of its state, whether it runs backward, its parameters' names.
        self.plan = tuple(tuple(self._plan_of(layer)) for layer in range(num_layers))
        for layer, directions in enumerate(self.plan):
            columns = input_size if layer == 0 else hidden_size * self.directions
            for _, _, suffix in directions:
                rows = self.gates * hidden_size
                _register(self, suffix, rows, columns, hidden_size, bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _plan_of(self, layer: int) -> Iterator[tuple[int, bool, str]]:
        for direction in range(self.directions):
            yield layer * self.directions + direction, direction == 1, f"_l{layer}" + ("_reverse" if direction else "")

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(hidden_size), as PyTorch's."""
        _uniform(self, self.hidden_size)

    def forward(self, x: Any, hx: Any = None) -> Any:
        if not isinstance(x, PackedSequence):
            return self._over(x, hx, None)
        rows, present = padded(x)
        out, state = self._over(rows, self._in_order(hx, x.sorted_indices), present.unsqueeze(2))
        return x._replace(data=out[present]), self._in_order(state, x.unsorted_indices)

    def _over(self, x: Any, hx: Any, present: Any) -> Any:
        """Outputs and states after the input; an element that is not `present` (time, batch, 1) changes no state."""
        raise NotImplementedError(f"{type(self).__name__} does not define _over()")

    def _in_order(self, states: Any, places: Any) -> Any:
        """States with their batch in another order."""
        if states is None or places is None:
            return states
        return tuple(s[:, places] for s in states) if isinstance(states, tuple) else states[:, places]

    def _by_time(self, x: Any, is_by_time: bool) -> Any:
        """The input as (time, batch, features)."""
        if x.ndim == 2:
            x = x.unsqueeze(1)
        elif x.ndim != 3:
            raise ValueError(f"{type(self).__name__}: the input has 2 or 3 axes, got {x.ndim}")
        elif self.batch_first and not is_by_time:
            x = x.transpose(0, 1)
        if x.shape[2] != self.input_size:
            raise ValueError(f"{type(self).__name__}: the input has {x.shape[2]} features, not {self.input_size}")
        if x.shape[0] == 0:
            raise ValueError(f"{type(self).__name__}: the sequence is empty")
        return x

    def _state(self, h: Any, x: Any, is_batch: bool) -> Any:
        """An initial state as (layers * directions, batch, hidden); zeros where none is given."""
        shape = (self.num_layers * self.directions, x.shape[1], self.hidden_size)
        if h is None:
            return tj.zeros(shape, dtype=x.dtype, device=x.device)
        state = h if is_batch else h.unsqueeze(1)
        if tuple(state.shape) != shape:
            raise ValueError(f"{type(self).__name__}: the initial state has shape {state.shape}, not {shape}")
        return state.reshape(shape)

    def _weights(self, suffix: str) -> tuple[Any, Any]:
        """`weight_hh` and `bias_hh`, with the sizes that a script can rely on."""
        rows = self.gates * self.hidden_size
        weight, bias = getattr(self, "weight_hh" + suffix), getattr(self, "bias_hh" + suffix)
        return weight.reshape(rows, self.hidden_size), None if bias is None else bias.reshape(rows)

    def _given(self, x: Any, suffix: str) -> Any:
        """What the input contributes to all gates at all times."""
        given = F.linear(x, getattr(self, "weight_ih" + suffix), getattr(self, "bias_ih" + suffix))
        return given.reshape(x.shape[0], x.shape[1], self.gates * self.hidden_size)

    def _between(self, outs: list[Any], layer: int) -> Any:
        """The input of the next layer."""
        x = outs[0] if len(outs) == 1 else tj.cat(outs, -1)
        return F.dropout(x, self.dropout, self.training and layer < self.num_layers - 1)

    def _as_given(self, out: Any, is_batch: bool, is_by_time: bool) -> Any:
        """The output in the input's layout."""
        if not is_batch:
            return out.squeeze(1)
        return out.transpose(0, 1) if self.batch_first and not is_by_time else out

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        return shown + "".join(f", {k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v)


class _OneState(_Recurrent):
    """Layers whose state is one tensor; subclasses give `_step(given, h, weight, bias)`, the state after one input."""

    def _run(self, x: Any, h: Any, present: Any, backward: bool, suffix: str) -> tuple[Any, Any]:
        given = self._given(x, suffix)
        weight, bias = self._weights(suffix)
        steps = x.shape[0]
        outs = []
        for k in range(steps):
            at = steps - 1 - k if backward else k
            new = self._step(given[at], h, weight, bias)
            h = new if present is None else tj.where(present[at], new, h)
            outs.append(h)
        out = tj.stack(outs)
        return (out.flip(0) if backward else out), h

    def _step(self, given: Any, h: Any, weight: Any, bias: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define _step()")

    def _over(self, x: Any, hx: Any, present: Any) -> Any:
        is_batch, is_by_time = x.ndim == 3, present is not None
        x = self._by_time(x, is_by_time)
        state = self._state(hx, x, is_batch)
        last = []
        for layer, directions in enumerate(self.plan):
            outs = []
            for place, backward, suffix in directions:
                out, h = self._run(x, state[place], present, backward, suffix)
                outs.append(out)
                last.append(h)
            x = self._between(outs, layer)
        h_n = tj.stack(last)
        return self._as_given(x, is_batch, is_by_time), (h_n if is_batch else h_n.squeeze(1))


class RNN(_OneState):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu; gives (outputs, h of every layer and direction)."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity

    def _step(self, given: Any, h: Any, weight: Any, bias: Any) -> Any:
        return _rnn_step(given, h, weight, bias, self.nonlinearity)


class LSTM(_Recurrent):
    """Gates i, f, g, o of W_ih x + b_ih + W_hh h + b_hh: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c);
    gives (outputs, (h, c) of every layer and direction)."""

    gates = 4

    def _run(self, x: Any, h: Any, c: Any, present: Any, backward: bool, suffix: str) -> tuple[Any, Any, Any]:
        given = self._given(x, suffix)
        weight, bias = self._weights(suffix)
        steps = x.shape[0]
        outs = []
        for k in range(steps):
            at = steps - 1 - k if backward else k
            shown, kept = _lstm_step(given[at], h, c, weight, bias, self.hidden_size)
            h = shown if present is None else tj.where(present[at], shown, h)
            c = kept if present is None else tj.where(present[at], kept, c)
            outs.append(h)
        out = tj.stack(outs)
        return (out.flip(0) if backward else out), h, c

    def _over(self, x: Any, hx: Any, present: Any) -> Any:
        is_batch, is_by_time = x.ndim == 3, present is not None
        x = self._by_time(x, is_by_time)
        h_0 = self._state(None if hx is None else hx[0], x, is_batch)
        c_0 = self._state(None if hx is None else hx[1], x, is_batch)
        last_h, last_c = [], []
        for layer, directions in enumerate(self.plan):
            outs = []
            for place, backward, suffix in directions:
                out, h, c = self._run(x, h_0[place], c_0[place], present, backward, suffix)
                outs.append(out)
                last_h.append(h)
                last_c.append(c)
            x = self._between(outs, layer)
        h_n, c_n = tj.stack(last_h), tj.stack(last_c)
        if not is_batch:
            h_n, c_n = h_n.squeeze(1), c_n.squeeze(1)
        return self._as_given(x, is_batch, is_by_time), (h_n, c_n)


class GRU(_OneState):
    """r and z are sigmoids of W_ih x + b_ih + W_hh h + b_hh, n = tanh(W_in x + b_in + r (W_hn h + b_hn)),
    h = (1 - z) n + z h; gives (outputs, h of every layer and direction)."""

    gates = 3

    def _step(self, given: Any, h: Any, weight: Any, bias: Any) -> Any:
        return _gru_step(given, h, weight, bias, self.hidden_size)


# -- cells ---------------------------------------------------------------------------------------------------------


class _Cell(Module):
    gates: ClassVar[int]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        like = {"device": device, "dtype": dtype}
        _register(self, "", self.gates * hidden_size, input_size, hidden_size, bias, like)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(hidden_size), as PyTorch's."""
        _uniform(self, self.hidden_size)

    def _rows(self, x: Any) -> Any:
        """A state or an input as (batch, features)."""
        return x.unsqueeze(0) if x.ndim == 1 else x

    def _start(self, x: Any) -> Any:
        return tj.zeros((x.shape[0], self.hidden_size), dtype=x.dtype, device=x.device)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of `RNN`: (batch, features), h -> h."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, x: Any, hx: Any = None) -> Any:
        rows = self._rows(x)
        h = self._start(rows) if hx is None else self._rows(hx)
        given = F.linear(rows, self.weight_ih, self.bias_ih)
        h = _rnn_step(given, h, self.weight_hh, self.bias_hh, self.nonlinearity)
        return h if x.ndim == 2 else h.squeeze(0)


class LSTMCell(_Cell):
    """One step of `LSTM`: (batch, features), (h, c) -> (h, c)."""

    gates = 4

    def forward(self, x: Any, hx: Any = None) -> Any:
        rows = self._rows(x)
        h = self._start(rows) if hx is None else self._rows(hx[0])
        c = self._start(rows) if hx is None else self._rows(hx[1])
        given = F.linear(rows, self.weight_ih, self.bias_ih)
        h, c = _lstm_step(given, h, c, self.weight_hh, self.bias_hh, self.hidden_size)
        return (h, c) if x.ndim == 2 else (h.squeeze(0), c.squeeze(0))


class GRUCell(_Cell):
    """One step of `GRU`: (batch, features), h -> h."""

    gates = 3

    def forward(self, x: Any, hx: Any = None) -> Any:
        rows = self._rows(x)
        h = self._start(rows) if hx is None else self._rows(hx)
        given = F.linear(rows, self.weight_ih, self.bias_ih)
        h = _gru_step(given, h, self.weight_hh, self.bias_hh, self.hidden_size)
        return h if x.ndim == 2 else h.squeeze(0)
