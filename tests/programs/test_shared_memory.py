"""What NumPy and Tensors give as a view of an array is one in a script: writes on either side are seen on the other."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit.scripted import script

A = np.arange(12.0).reshape(3, 4)
V = np.array([3.0, 1.0, 2.0])
Z = np.array([1.0 + 2.0j, 3.0 - 1.0j])

VIEWS = {
    "rot90": lambda a: np.rot90(a),
    "rot90 twice": lambda a: np.rot90(a, 2),
    "rot90 back": lambda a: np.rot90(a, -1),
    "rot90 axes": lambda a: np.rot90(a, 1, (1, 0)),
    "rot90 of a stack": lambda a: np.rot90(a.reshape(3, 2, 2), 3, axes=(1, 2)),
    "fliplr": lambda a: np.fliplr(a),
    "flipud": lambda a: np.flipud(a[1:]),
    "real": lambda a: np.real(a),
    "conj": lambda a: a.conj(),
    "conjugate": lambda a: a.conjugate(),
    "broadcast_arrays": lambda a: np.broadcast_arrays(a, a)[0],
    "einsum transpose": lambda a: np.einsum("ij->ji", a),
    "einsum implicit": lambda a: np.einsum("ba", a),
    "einsum diagonal": lambda a: np.einsum("ii->i", a[:, :3]),
    "einsum ellipsis": lambda a: np.einsum("...j->j...", a),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_write_through_a_view_reaches_the_array(name) -> None:
    make = VIEWS[name]

    def through(a):
        v = make(a)
        v[0] = -50.0
        return a, v.sum()

    def below(a):
        v = make(a)
        a[1:] *= 3.0
        a[0, 0] = 7.0
        return v * 1.0

    def returned(a):
        return make(a)

    check(through, A)
    check(below, A)
    check(returned, A)
    own = A.copy()
    assert np.shares_memory(script(returned)(own), own)


READ_ONLY = {
    "diagonal": lambda a: np.diagonal(a),
    "diagonal method": lambda a: a.diagonal(1),
    "diag": lambda a: np.diag(a, -1),
    "broadcast_to": lambda a: np.broadcast_to(a, (2, 3, 4)),
    "broadcast_to same": lambda a: np.broadcast_to(a, (3, 4)),
    "broadcast_to column": lambda a: np.broadcast_to(a[:, :1], (3, 5)),
    "broadcast_to inserted": lambda a: np.broadcast_to(a[:, None], (3, 2, 4)),
}


@pytest.mark.parametrize("name", READ_ONLY)
def test_read_only_views_see_writes_and_take_none(name) -> None:
    make = READ_ONLY[name]

    def written(a):
        v = make(a)
        a[2, 1] = 5.0
        v[0] = 9.0
        return v

    def part_written(a):
        v = make(a)[1:]
        v += 1.0
        return a

    def carried(a, n):
        v = make(a)
        for _ in range(n):
            v = v[::-1]
        v[0] = 1.0
        return a

    def below(a):
        v = make(a)
        a[1] = 9.0
        a *= 2.0
        return v.sum(), v.copy(), v

    check(written, A)
    check(part_written, A)
    check(carried, A, 3)
    check(below, A)
    made = script(lambda a: make(a))(A.copy())
    assert not made.flags.writeable
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        script(written)(A.copy())


def test_broadcasts_of_vectors_and_numbers() -> None:
    def vector(a):
        v = np.broadcast_to(a, (2, 3))
        a[0] = 9.0
        return v.sum()

    def number(a, n):
        return np.broadcast_to(a[0], (n,)) + np.broadcast_to(2.0, 3)

    def together(a, b):
        x, y = np.broadcast_arrays(a[:, None], b)
        a[1] = 4.0
        return x + y, x.shape

    def wrong(a, n):
        return np.broadcast_to(a, (2, n))

    check(vector, V)
    check(number, V, 3)
    check(together, V, np.arange(4.0))
    check(wrong, V, 3)
    check(wrong, V, 4)


def test_parts_of_complex_arrays() -> None:
    def written(z):
        np.real(z)[0] = 9.0
        np.imag(z)[1] = -9.0
        return np.real(z).sum()

    check(written, Z)


def test_derivatives_go_through_the_views() -> None:
    def loss(a):
        wide = np.broadcast_to(a[:, None], (3, 2, 4))
        turned = np.rot90(a) * 2.0
        return (wide**2).sum() + (turned[0] * np.diag(a)[0]).sum() + np.einsum("ii->i", a[:, :3]).sum() + a.conj().sum()

    def plain(a):
        return 2.0 * (a**2).sum() + (2.0 * a[:, 3] * a[0, 0]).sum() + a[0, 0] + a[1, 1] + a[2, 2] + a.sum()

    np.testing.assert_allclose(tj.grad(loss)(A), tj.grad(plain)(A))


def test_tensors() -> None:
    def expanded(x):
        w = x.expand(2, 2, 2)
        x.reshape(-1)[0] = 5.0
        return w * 1.0

    def stretched(x):
        w = x.expand(2, 2, 2)
        w[0] = 1.0
        return x

    x = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
    check(expanded, x)
    check(stretched, x)


def test_a_detached_tensor_is_the_memory_of_the_other() -> None:
    def through(x):
        y = x.detach()
        y.mul_(2)
        return x

    def below(x):
        y = x.detach()
        x.mul_(2)
        return y

    def alone(x):
        y = (x * 2).detach()
        y += 1
        y.mul_(3)
        return y

    def rebound(x):
        x = x * 2
        x = x.detach()
        x[0] = 1.0
        return x

    def both(x):
        y = x * 2
        z = y.detach()
        y.add_(1)
        return z

    x = tj.tensor([1.0, 2.0])
    for fn in (alone, rebound, through, below, both):
        check(fn, x)


@pytest.mark.compiled
def test_a_reshaped_array_that_may_be_a_view_is_not_written() -> None:
    def flattened(a):
        f = a.ravel()
        f[2] = 0
        return f

    def part(a):
        y = a[:, 1:3].reshape(3, -1)
        y *= 2.0
        return y

    with pytest.raises(tj.ScriptError, match="copy of what Python shares"):
        script(flattened)(np.asfortranarray(A))
    a = A.copy()
    with pytest.raises(RuntimeError, match="reshaped array is written"):
        script(part)(a)
    assert (a == A).all()
