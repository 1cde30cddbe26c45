"""Activations as functions."""

from __future__ import annotations

from typing import Any

import tracejit as tj


def relu(input: Any) -> Any:
    """max(input, 0)."""
    return tj.relu(input)


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


logsigmoid, softsign, mish, selu = tj.logsigmoid, tj.softsign, tj.mish, tj.selu
hardtanh, relu6 = tj.hardtanh, tj.relu6
