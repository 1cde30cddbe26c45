"""Activations as functions."""

from __future__ import annotations

from typing import Any

import tracejit as tj


def relu(input: Any, inplace: bool = False) -> Any:
    """max(input, 0); with `inplace` written into `input`."""
    return input.relu_() if inplace else tj.relu(input)


def tanh(input: Any) -> Any:
    """Hyperbolic tangent."""
    return tj.tanh(input)


def sigmoid(input: Any) -> Any:
    """1 / (1 + exp(-input))."""
    return tj.sigmoid(input)


def silu(input: Any) -> Any:
    """input * sigmoid(input)."""
    return tj.silu(input)


def gelu(input: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function of x; `approximate="tanh"` for Hendrycks and Gimpel's formula."""
    return tj.gelu(input, approximate=approximate)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input is above the threshold."""
    return tj.softplus(input, beta=beta, threshold=threshold)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """input where positive, else negative_slope * input."""
    return tj.leaky_relu(input, negative_slope)


def elu(input: Any, alpha: float = 1.0) -> Any:
    """input where positive, else alpha * (exp(input) - 1)."""
    return tj.elu(input, alpha)


def softmax(input: Any, dim: int = -1) -> Any:
    """exp(input) over its sum along an axis."""
    return tj.softmax(input, dim)


def log_softmax(input: Any, dim: int = -1) -> Any:
    """The logarithm of softmax."""
    return tj.log_softmax(input, dim)


def softmin(input: Any, dim: int = -1) -> Any:
    """softmax of -input."""
    return tj.softmax(-input, dim)


def celu(input: Any, alpha: float = 1.0) -> Any:
    """input where positive, else alpha * (exp(input / alpha) - 1)."""
    return tj.where(input > 0, input, alpha * tj.expm1(input / alpha))


def hardsigmoid(input: Any) -> Any:
    """input / 6 + 1/2, limited to 0..1."""
    return tj.relu6(input + 3.0) / 6.0


def hardswish(input: Any) -> Any:
    """input * hardsigmoid(input)."""
    return input * hardsigmoid(input)


def threshold(input: Any, threshold: float, value: float) -> Any:
    """input where it is above the threshold, else `value`."""
    return tj.where(input > threshold, input, value)


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
    return input.narrow(dim, 0, half) * tj.sigmoid(input.narrow(dim, half, half))


logsigmoid, softsign, mish, selu = tj.logsigmoid, tj.softsign, tj.mish, tj.selu
hardtanh, relu6 = tj.hardtanh, tj.relu6
