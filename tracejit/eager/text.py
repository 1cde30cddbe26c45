"""Tensors as text: values, dtype, device, and whether they ask for gradients."""

from __future__ import annotations

import numpy as np

from tracejit.devices import CPU
from tracejit.eager.tensor import Tensor


def tensor_text(x: Tensor) -> str:
    """`tensor([1., 2.], dtype=float32, requires_grad=True)`."""
    name = "tensor" if type(x) is Tensor else type(x).__name__
    values = np.array2string(x.numpy(), separator=", ", prefix=f"{name}(")
    facts = [f"dtype={x.dtype}"]
    if 0 in x.shape:
        facts.insert(0, f"shape={x.shape}")
    if x.device != CPU:
        facts.append(f"device='{x.device}'")
    if x._requires_grad:
        facts.append("requires_grad=True")
    return f"{name}({values}, {', '.join(facts)})"
