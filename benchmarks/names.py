"""Names of the cases that several interpreters measure: written once, as they connect the two sides."""

from __future__ import annotations

RECURRENCE = "h[i] = a[i]*h[i-1] + b[i], 100,000"
JACOBI = "Jacobi 512 x 512, 100 sweeps"
GAUSS_SEIDEL = "Gauss-Seidel 512 x 512, 20 sweeps"
MANDELBROT = "Mandelbrot 512 x 512, 200 iterations"
NEWTON = "square root by Newton, one scalar"
POWER = "power iteration, 256 x 256"
BLOCK = "transformer block, 8 x 128 x 256"
CONVOLUTIONS = "convolutional network, 32 x 1 x 28 x 28"
CALL = "x*2+1, 16 elements"
ROWWISE = ("gelu", "softmax", "layer norm")


def chain(size: int) -> str:
    return f"tanh(x*w+b)*sigmoid(x)+exp(-x*x), {size:,}"


def rowwise(name: str, rows: int) -> str:
    return f"{name}, {rows} x {rows}"


def training(batch: int) -> str:
    return f"training step, batch {batch}"


def recurrent(steps: int, batch: int, hidden: int) -> str:
    return f"LSTM cell, T={steps} B={batch} H={hidden}"


def gradient(name: str) -> str:
    """The case that computes value and gradient of another."""
    return f"{name}, with gradient"
