"""Initial values of parameters: functions that fill a tensor in place and give it back.

Xavier: Glorot and Bengio 2010. Kaiming: He et al. 2015. Orthogonal: Saxe et al. 2013.
"""

from __future__ import annotations

import math

import numpy as np

import tracejit as tj
from tracejit.eager.random import generator


def _fill(tensor: tj.Tensor, values: np.ndarray) -> tj.Tensor:
    with tj.no_grad():
        return tensor.copy_(tj.asarray(values.astype(tensor.dtype)).to(tensor.device))


def uniform_(tensor: tj.Tensor, a: float = 0.0, b: float = 1.0) -> tj.Tensor:
    """Uniform numbers from [a, b)."""
    return _fill(tensor, generator().uniform(a, b, tensor.shape))


def normal_(tensor: tj.Tensor, mean: float = 0.0, std: float = 1.0) -> tj.Tensor:
    """Normal numbers."""
    return _fill(tensor, generator().normal(mean, std, tensor.shape))


def trunc_normal_(tensor: tj.Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> tj.Tensor:
    """Normal numbers drawn again until they lie in [a, b]."""
    values = generator().normal(mean, std, tensor.shape)
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = generator().normal(mean, std, int(outside.sum()))
        outside = (values < a) | (values > b)
    return _fill(tensor, values)


def constant_(tensor: tj.Tensor, value: float) -> tj.Tensor:
    """One value everywhere."""
    with tj.no_grad():
        return tensor.fill_(value)


def ones_(tensor: tj.Tensor) -> tj.Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: tj.Tensor) -> tj.Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: tj.Tensor) -> tj.Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_ fills matrices, not shape {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def fans(tensor: tj.Tensor) -> tuple[int, int]:
    """How many inputs and outputs a weight connects: axis 1 and axis 0, times the receptive field."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need two axes or more, not shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


#: PyTorch's name, which `reset_parameters` of people's layers calls.
_calculate_fan_in_and_fan_out = fans


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity."""
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    if nonlinearity in gains:
        return gains[nonlinearity]
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity in ("linear", "sigmoid", "conv1d", "conv2d", "conv3d"):
        return 1.0
    raise ValueError(f"unknown nonlinearity {nonlinearity!r}")


def xavier_uniform_(tensor: tj.Tensor, gain: float = 1.0) -> tj.Tensor:
    """Uniform with variance gain**2 * 2 / (fan in + fan out)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: tj.Tensor, gain: float = 1.0) -> tj.Tensor:
    """Normal with variance gain**2 * 2 / (fan in + fan out)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))))


def _kaiming_std(tensor: tj.Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(
    tensor: tj.Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> tj.Tensor:
    """Uniform with variance gain**2 / fan; `a` is the slope of a leaky relu."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: tj.Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> tj.Tensor:
    """Normal with variance gain**2 / fan."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def orthogonal_(tensor: tj.Tensor, gain: float = 1.0) -> tj.Tensor:
    """A (semi-)orthogonal matrix over axis 0 and the rest."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs two axes or more, not shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    flat = generator().normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))
