"""Expressions that mean the same in tracejit and JAX, for `against_peers.py`: `T` is the library under NumPy's names,
`F` its functions of networks, `P` the library under its own name, single letters are the arrays of `inputs`. What the
two spell in another way is in `PRELUDES`.

Left out is what differs by convention (docs/differentiation.md): `abs` at 0, `clip` on its bounds, the norm at 0, and
sides of a `where` that are not taken, where JAX has nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PRELUDES = {
    "tracejit": """
import numpy as np
import tracejit as P
import tracejit as T
import tracejit.nn.functional as F

conv = F.conv2d
erf = P.erf
logaddexp = P.logaddexp
max_pool = F.max_pool2d
cgrad = P.grad

def trips(n, f, s):
    for i in range(n):
        s = f(i, s)
    return s

def either(p, f, g, x):
    return f(x) if p else g(x)

def scan(f, s, xs):
    ys = T.zeros_like(xs)
    for i in range(xs.shape[0]):
        s, ys[i] = f(s, xs[i])
    return ys

def put(x, i, v):
    y = x.clone()
    y[i] = v
    return y

def put_add(x, i, v):
    return P.index_add(x, 0, i, v)
""",
    "jax": """
import numpy as np
import jax as P
import jax.numpy as T
import jax.nn as F

erf = P.scipy.special.erf
logaddexp = T.logaddexp

def conv(x, k, stride=1, padding=0, dilation=1):
    around = [(padding, padding)] * 2
    return P.lax.conv_general_dilated(x, k, (stride, stride), around, rhs_dilation=(dilation, dilation))

def max_pool(x, k):
    return P.lax.reduce_window(x, -T.inf, P.lax.max, (1, 1, k, k), (1, 1, k, k), 'VALID')

def cgrad(f):
    return lambda z: T.conj(P.grad(f)(z))

def trips(n, f, s):
    return P.lax.scan(lambda s, i: (f(i, s), None), s, T.arange(n))[0]

either = P.lax.cond

def scan(f, s, xs):
    return P.lax.scan(f, s, xs)[1]

def put(x, i, v):
    return x.at[i].set(v)

def put_add(x, i, v):
    return x.at[i].add(v)
""",
}

#: Functions of both libraries.
SHARED = """
I = T.asarray([2, 0, 2])

@P.custom_vjp
def sine(x):
    return T.sin(x)

def sine_forward(x):
    return T.sin(x), x

def sine_backward(x, g):
    return (g * T.cos(x),)

sine.defvjp(sine_forward, sine_backward)
"""

SHAPES = {
    **dict.fromkeys("xy", (3, 4)),
    **dict.fromkeys("vw", (4,)),
    "img": (2, 3, 6, 7),
    "ker": (4, 3, 3, 2),
    "q": (2, 4, 3),
    "k": (2, 5, 3),
    "s": (),
}


def inputs() -> dict[str, np.ndarray[Any, Any]]:
    """The arrays: `p` is positive, `m` and `ms` are regular, `z` full of ties and kinks."""
    rng = np.random.default_rng(7)
    made: dict[str, Any] = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    made["p"] = np.abs(rng.standard_normal((3, 4))) + 0.05
    made["m"] = rng.standard_normal((4, 4)) + 2 * np.eye(4)
    made["ms"] = rng.standard_normal((2, 3, 3)) + 2 * np.eye(3)
    made["z"] = np.array([[0.0, 1.0, -1.0], [1.0, 0.0, 2.0]])
    return made


_BY_INPUTS = {
    "x": """
        T.exp(x)
        T.exp2(x)
        T.expm1(x)
        T.sin(x)
        T.cos(x)
        T.tan(x)
        T.sinh(x)
        T.cosh(x)
        T.tanh(x)
        T.arctan(x)
        T.arcsinh(x)
        T.sinc(x)
        T.square(x)
        T.abs(x)
        T.nan_to_num(x)
        erf(x)
        F.sigmoid(x)
        F.relu(x)
        F.silu(x)
        F.softplus(x)
        F.elu(x)
        F.selu(x)
        F.celu(x)
        F.leaky_relu(x, 0.3)
        F.log_softmax(x, 1)
        F.softmax(x, 0)
        F.glu(x)
        T.sum(x, 0)
        T.mean(x, 1)
        T.var(x, 1)
        T.std(x, 0)
        T.max(x, 1)
        T.min(x)
        T.prod(x, 1)
        T.median(x, 1)
        T.quantile(x, 0.3, 1)
        T.cumsum(x, 1)
        T.cumprod(x, 1)
        T.sort(x, 1)
        T.sort(T.ravel(x))[::-1]
        T.diff(x, axis=0)
        T.roll(x, 1, 0)
        T.flip(x, 1)
        T.rot90(x)
        T.tril(x)
        T.pad(x, ((1, 0), (2, 1)))
        T.pad(x, ((1, 0), (2, 1)), mode='reflect')
        T.pad(x, ((1, 0), (2, 1)), mode='edge')
        T.tile(x, (2, 1))
        T.repeat(x, 2, 1)
        T.take(x, I, 0)
        x[I]
        x[::-1, ::2]
        put(x, (0, 1), x[1, 1] * x[2, 2])
        put(x, 1, x[0] * x[2])
        put_add(x, I, x * x)
        T.cov(x)
        T.fft.fft(x).real
        T.abs(T.fft.rfft(x))
        T.fft.irfft(T.fft.rfft(x) * 1j)
        T.abs(T.fft.fft2(x))
        T.fft.ifft(T.exp(1j * x)).imag
        T.log(x + 3j).imag
        T.sqrt(x + 1j).real
        ((x + 2j) ** 3).imag
        T.real(T.tanh(x + 0.3j))
        T.abs(T.linalg.det(x[:, :3] + 1j * x[:, 1:]))
        T.abs(T.linalg.inv(x[:, :3] + 1j * x[:, 1:]))
        T.linalg.eigvalsh(x[:, :3] + x[:, :3].T + 1j * (x[:, 1:] - x[:, 1:].T))
        T.abs(cgrad(lambda z: T.real(z * z * (1 + 2j)))(x[0, 0] + 1j * x[1, 1]))
        T.real(cgrad(lambda z: T.abs(T.sin(z)))(x[0, 0] + 1j * x[1, 1]))
        T.imag(cgrad(lambda z: T.abs(z) ** 3 + T.imag(T.exp(z)))(x[0, 0] + 1j * x[1, 1]))
        P.vmap(lambda r: T.sin(r) / T.sum(r * r))(x)
        P.vmap(lambda r: T.sort(r)[0] * T.cumsum(r), 1, 1)(x)
        P.vmap(P.grad(lambda r: T.sum(T.tanh(r) ** 3)))(x)
        P.vmap(P.vmap(P.grad(P.grad(T.sin))))(x)
        P.jacobian(lambda r: T.cumprod(r))(x[0])
        P.vmap(P.jacobian(lambda r: r * T.sum(r * r)))(x)
        P.hessian(lambda r: T.sum(T.sin(r) ** 2) * T.prod(r))(x[0])
        P.vmap(P.hessian(lambda r: T.sum(r**3) * r[0]))(x)
        P.grad(lambda r: P.grad(lambda t: T.sum(T.exp(r * t)))(0.7))(x[0])
        P.grad(P.grad(P.grad(P.grad(lambda t: T.sum(T.sin(x * t))))))(x[0, 0])
        P.jvp(lambda r: T.sin(r) * T.sum(r), (x[0],), (x[1],))[1]
        P.jvp(lambda r: P.jvp(T.tanh, (r,), (x[1],))[1], (x[0],), (x[2],))[1]
        P.jvp(P.grad(lambda r: T.sum(T.tanh(r) ** 2)), (x[0],), (x[1],))[1]
        P.grad(lambda r: T.sum(P.jvp(lambda u: u**3, (r,), (x[1],))[1]))(x[0])
        P.vjp(lambda r: T.outer(r, r), x[0])[1](T.outer(x[1], x[2]))[0]
        sine(x)
        trips(4, lambda i, u: sine(u) * 1.3, x)
        trips(3, lambda i, u: T.tanh(u + i * x), x)
        trips(3, lambda i, u: put(u, i, T.sin(u[i]) * u[(i + 1) % 3]), x)
        trips(5, lambda i, u: u * T.sum(x[i % 3] * T.cos(u)), x[0])
        trips(3, lambda i, u: trips(2, lambda j, t: T.sin(t) * (i + j + 1), u), x)
        P.grad(lambda r: T.sum(trips(3, lambda i, u: T.sin(u) * r, r)))(x[0])
        P.hessian(lambda r: T.sum(trips(3, lambda i, u: T.sin(u) * r, r)))(x[0])
        P.vmap(lambda r: trips(3, lambda i, u: u * T.sin(r), r))(x)
        scan(lambda c, r: (c * T.tanh(r), c + r * r), x[1], x)
        scan(lambda c, r: (T.sin(c) + r, T.sum(c) * r), x[0], x)
        either(x[0, 0] > 0, lambda r: T.sin(r), lambda r: r * r, x)
        either(x[0, 0] < 0, lambda r: T.sin(r), lambda r: r * r, x)
        trips(4, lambda i, u: either(T.sum(u) > 0, lambda t: T.cos(t), lambda t: t * t * t, u), x)
        T.einsum('ij,ik->jk', x, x)
        T.tensordot(x, x, 2)
        T.kron(x[:2, :2], x[1:, :2])
        T.linalg.norm(x, axis=1)
        T.linalg.norm(x, 'nuc')
        T.linalg.norm(x, 2)
        T.linalg.norm(x, 3, 1)
        T.trapezoid(x)
    """,
    "p": """
        T.log(p)
        T.log1p(p)
        T.log2(p)
        T.log10(p)
        T.sqrt(p)
        T.cbrt(p)
        T.arccosh(p + 1)
        T.arccos(p / (p + 1))
        T.arcsin(p / (p + 1))
        T.arctanh(p / (p + 1))
        p**2.5
        2.5**p
        p**p
        p**-1.5
        T.power(p, 3)
        T.clip(p, 0.3, 0.9)
    """,
    "x y": """
        T.arctan2(x, y)
        T.maximum(x, y)
        T.minimum(x, y)
        T.fmod(x, y)
        T.remainder(x, y)
        T.hypot(x, y)
        T.copysign(x, y)
        logaddexp(x, y)
        x / y
        T.cross(x[:, :3], y[:, 1:])
        T.outer(x[0], y[1])
        T.matmul(x, y.T)
        T.inner(x, y)
        T.vdot(x[0], y[0])
        T.concatenate([x, y], 0)
        T.stack([x, y], 1)
        T.linalg.lstsq(x, y)[0]
        P.vmap(T.dot)(x, y)
        P.vmap(lambda a, b: T.outer(a, b), (0, 1), 1)(x, y.T)
        P.grad(lambda a, b: T.sum(T.sin(a * b)), argnums=1)(x, y)
        P.jacobian(lambda a, b: a * T.sum(b), argnums=1)(x[0], y[0])
    """,
    "z": """
        T.max(z)
        T.max(z, 1)
        T.min(z, 0)
        T.maximum(z, z * 1)
        T.minimum(z, 1.0)
        F.relu(z)
        z**2
        z**3
        T.prod(z)
        T.prod(z, 1)
        T.cumprod(z, 1)
        T.sign(z) * z
    """,
    "img ker": """
        conv(img, ker)
        conv(img, ker, stride=2)
        conv(img, ker, padding=1)
        conv(img, ker, dilation=2)
        F.relu(conv(img, ker))
    """,
    "img": """
        max_pool(img, 2)
        max_pool(img, 3)
    """,
    "q k": """
        T.matmul(F.softmax(T.matmul(q, T.swapaxes(k, 1, 2)), -1), k)
        T.einsum('bik,bjk->bij', q, k)
        P.vmap(lambda a, b: F.softmax(a @ b.T, -1) @ b)(q, k)
    """,
    "x v w": """
        (x - T.mean(x, 1, keepdims=True)) / T.sqrt(T.var(x, 1, keepdims=True) + 1e-5) * v + w
        T.matmul(x, v) * T.sum(w)
    """,
    "m": """
        T.linalg.inv(m)
        T.linalg.det(m)
        T.linalg.slogdet(m)[1]
        T.linalg.solve(m, m @ m)
        T.linalg.solve(m, m[0])
        T.linalg.cholesky(m @ m.T)
        T.linalg.eigvalsh(m + m.T)
        T.abs(T.linalg.eigh(m @ m.T)[1])
        T.abs(T.linalg.qr(m)[1])
        T.abs(T.linalg.qr(m[:, :2])[0])
        T.linalg.svd(m, compute_uv=False)
        T.linalg.pinv(m)
        T.linalg.matrix_power(m, 3)
        T.linalg.cond(m)
        P.hessian(lambda a: T.linalg.slogdet(a)[1])(m[:2, :2])
    """,
    "ms": """
        T.linalg.inv(ms)
        T.linalg.det(ms)
        T.linalg.slogdet(ms)[1]
        T.linalg.solve(ms, ms @ ms)
        T.linalg.cholesky(ms @ T.swapaxes(ms, 1, 2))
        T.linalg.eigvalsh(ms + T.swapaxes(ms, 1, 2))
        T.abs(T.linalg.qr(ms)[1])
        T.linalg.svd(ms, compute_uv=False)
        P.vmap(T.linalg.inv)(ms)
        P.vmap(lambda a: T.linalg.det(a) * T.linalg.solve(a, a[0]))(ms)
        T.matmul(ms, ms)
    """,
    "s": """
        T.sin(s) * T.exp(s)
        trips(10, lambda i, t: T.sin(t) + t * i / 10, s)
        P.grad(P.grad(P.grad(lambda t: T.sin(t) * t**3)))(s)
        P.grad(P.grad(P.grad(lambda t: trips(4, lambda i, u: T.sin(u) * t, t))))(s)
        P.jacobian(P.jacobian(lambda t: T.stack([t**4, T.sin(t)])))(s)
    """,
}

#: Each with the names of its arrays.
EXPRESSIONS = [
    (line.strip(), names.split()) for names, lines in _BY_INPUTS.items() for line in lines.strip().splitlines()
]
