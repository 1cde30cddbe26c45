"""Activations as functions; with `inplace` the result is written into `input`."""

from __future__ import annotations

from typing import Any

import tracejit as tj


def _source(input: Any, inplace: bool) -> Any:
    """What an activation is computed from: a copy where `input` will be overwritten, as derivatives need it."""
    return input.clone() if inplace else input


def _placed(input: Any, made: Any, inplace: bool) -> Any:
    """The result, written into `input` where that is asked for."""
    return input.copy_(made) if inplace else made


def relu(input: Any, inplace: bool = False) -> Any:
    """max(input, 0)."""
    return input.relu_() if inplace else tj.relu(input)


def tanh(input: Any) -> Any:
    """Hyperbolic tangent."""
    return tj.tanh(input)


def sigmoid(input: Any) -> Any:
    """1 / (1 + exp(-input))."""
    return tj.sigmoid(input)


def silu(input: Any, inplace: bool = False) -> Any:
    """input * sigmoid(input)."""
    x = _source(input, inplace)
    return _placed(input, tj.silu(x), inplace)


def gelu(input: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function of x; `approximate="tanh"` for Hendrycks and Gimpel's formula."""
    return tj.gelu(input, approximate=approximate)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input is above the threshold."""
    return tj.softplus(input, beta=beta, threshold=threshold)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """input where positive, else negative_slope * input."""
    x = _source(input, inplace)
    return _placed(input, tj.leaky_relu(x, negative_slope), inplace)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """input where positive, else alpha * (exp(input) - 1)."""
    x = _source(input, inplace)
    return _placed(input, tj.elu(x, alpha), inplace)


def softmax(input: Any, dim: int = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """exp(input) over its sum along an axis, of `input` in `dtype` if one is given."""
    return tj.softmax(input if dtype is None else input.to(dtype), dim)


def log_softmax(input: Any, dim: int = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The logarithm of softmax."""
    return tj.log_softmax(input if dtype is None else input.to(dtype), dim)


def softmin(input: Any, dim: int = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """softmax of -input."""
    return softmax(-input, dim, dtype=dtype)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """input where positive, else alpha * (exp(input / alpha) - 1)."""
    x = _source(input, inplace)
    return _placed(input, tj.where(x > 0, x, alpha * tj.expm1(x / alpha)), inplace)


def selu(input: Any, inplace: bool = False) -> Any:
    """The self-normalising exponential linear unit."""
    x = _source(input, inplace)
    return _placed(input, tj.selu(x), inplace)


def mish(input: Any, inplace: bool = False) -> Any:
    """input * tanh(softplus(input))."""
    x = _source(input, inplace)
    return _placed(input, tj.mish(x), inplace)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """input limited to min_val..max_val."""
    x = _source(input, inplace)
    return _placed(input, tj.hardtanh(x, min_val, max_val), inplace)


def relu6(input: Any, inplace: bool = False) -> Any:
    """input limited to 0..6."""
    x = _source(input, inplace)
    return _placed(input, tj.relu6(x), inplace)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """input / 6 + 1/2, limited to 0..1."""
    x = _source(input, inplace)
    return _placed(input, tj.relu6(x + 3.0) / 6.0, inplace)


def hardswish(input: Any, inplace: bool = False) -> Any:
    """input * hardsigmoid(input)."""
    x = _source(input, inplace)
    return _placed(input, x * hardsigmoid(x), inplace)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """input where it is above the threshold, else `value`."""
    made = tj.where(input > threshold, input, value)
    return input.copy_(made) if inplace else made


def tanhshrink(input: Any) -> Any:
    """input - tanh(input)."""
    return input - tj.tanh(input)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """input moved towards 0 by lambd; 0 where that would pass it."""
    return tj.where(input > lambd, input - lambd, tj.where(input < -lambd, input + lambd, 0.0))


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """input where it is farther than lambd from 0, else 0."""
    return tj.where(tj.abs(input) > lambd, input, 0.0)


def prelu(input: Any, weight: Any) -> Any:
    """input where positive, else weight * input; `weight` has one element, or one for each channel (axis 1)."""
    if input.ndim > 2:
        weight = weight.reshape(-1, *([1] * (input.ndim - 2)))
    return tj.where(input > 0, input, weight * input)


def glu(input: Any, dim: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second."""
    half = input.shape[dim] // 2
    if input.shape[dim] != 2 * half:
        raise ValueError("glu: the size of the axis is even")
    return tj.narrow(input, dim, 0, half) * tj.sigmoid(tj.narrow(input, dim, half, half))


def gumbel_softmax(logits: Any, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """A draw from the Gumbel-softmax distribution (Jang and others 2017): softmax of (logits + Gumbel noise) / tau.
    With `hard` a one-hot vector that has the derivative of the soft one. `eps` is not used."""
    noise = -tj.log(tj.clamp(-tj.log1p(-tj.rand_like(logits)), min=1e-30))
    soft = tj.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    places = soft.argmax(dim, keepdim=True)
    return tj.zeros_like(soft).scatter(dim, places, tj.ones_like(places).to(soft.dtype)) - soft.detach() + soft


def rrelu(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """input where positive, else a multiple of it: drawn between `lower` and `upper` in training, else halfway."""
    x = _source(input, inplace)
    slope = tj.rand_like(x) * (upper - lower) + lower if training else (lower + upper) / 2
    return _placed(input, tj.where(x >= 0, x, x * slope), inplace)


logsigmoid, softsign = tj.logsigmoid, tj.softsign


def relu_(input: Any) -> Any:
    """`relu`, written into `input`."""
    return relu(input, inplace=True)


def elu_(input: Any, alpha: float = 1.0) -> Any:
    """`elu`, written into `input`."""
    return elu(input, alpha, inplace=True)


def selu_(input: Any) -> Any:
    """`selu`, written into `input`."""
    return selu(input, inplace=True)


def celu_(input: Any, alpha: float = 1.0) -> Any:
    """`celu`, written into `input`."""
    return celu(input, alpha, inplace=True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """`leaky_relu`, written into `input`."""
    return leaky_relu(input, negative_slope, inplace=True)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """`hardtanh`, written into `input`."""
    return hardtanh(input, min_val, max_val, inplace=True)


_thresholded = threshold  # a parameter below has its name


def threshold_(input: Any, threshold: float, value: float) -> Any:
    """`threshold`, written into `input`."""
    return _thresholded(input, threshold, value, inplace=True)
