"""The order of memory: `order=`, `asfortranarray`, arrays that are returned with their axes exchanged, bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import tracejit as tj
from tests.programs.compare import check

A = np.arange(12.0).reshape(3, 4)
B = np.arange(24.0).reshape(2, 3, 4)


def made(n: int) -> Any:
    z = np.zeros((n, 3), order="F")
    z[1] = 5
    return z, np.ones((2, n, 3), np.int32, "F"), np.full((n, 2), 1.5, order="F"), np.ones((n, 4), order="C")


def made_like(a: Any) -> Any:
    z = np.zeros_like(a.T)
    z[0, 1] = 2
    return z, np.ones_like(a.T, order="C"), np.full_like(a, 3, order="F"), np.zeros_like(a.T, order="A")


def copies(a: Any) -> Any:
    return a.copy("F"), a.T.copy(), np.copy(a.T), a.T.copy(order="A"), np.array(a.T), np.array(a, order="F", copy=True)


def conversions(a: Any) -> Any:
    return (
        a.astype(np.float32, order="F"),
        a.T.astype(np.int64),
        np.asarray(a, order="F"),
        np.asarray([[1, 2], [3, 4]], order="F"),
    )


def of_rank_3(b: Any) -> Any:
    return b.transpose(1, 2, 0).astype("f4"), np.copy(b.transpose(2, 0, 1)), b.copy(order="F"), np.asfortranarray(b)


def by_its_flags(a: Any) -> Any:
    """The flags of arguments, of arrays made inside and of views."""
    given = a.flags.c_contiguous, a.flags.f_contiguous, a.flags.writeable, a.flags["F_CONTIGUOUS"], a.flags.forc
    if not a.flags["C_CONTIGUOUS"]:
        a = np.ascontiguousarray(a)
    made = (np.zeros((4, 5), order="F"), a[::2], a[1:], a[:, 1:], a[:, :1], a.T, a.reshape(-1), a[0].copy())
    lies = [(x.flags.c_contiguous, x.flags.f_contiguous, x.flags.fnc) for x in made]
    others = np.diagonal(a).flags.writeable, np.broadcast_to(a, (2, *a.shape)).flags.carray, a.sum().flags.c_contiguous
    return given, lies, others


def turned(a: Any) -> Any:
    b = a * 2
    c = a + 1
    c.T[0] = 7
    return b.T, c.T, (a @ a.T).T, [np.exp(a).transpose(), 3]


def computed(a: Any) -> Any:
    """Elementwise results lie as their operands do; those with one long axis have no order."""
    row, column, cube = a[:, 0], a[0][:, None], np.stack([a, a + 1]).transpose(1, 2, 0)
    held = [a.T]
    held.append(a.T * 2)
    held[1][0] = 5
    return (
        a.T + 1,
        -a.T > 2,
        row - a.T / a.T.sum(axis=0, keepdims=True),
        np.maximum(a.T, column),
        a.T + np.zeros((4, 3)),
        np.power(a.T, 2.0),
        np.exp(cube) * cube.mean(axis=(0, 1)),
        held[0],
        (np.abs(a.T) @ a).ravel(),
        [(a.T * 2).sum(0), (a.T - 1).T.tolist(), (a.T + 1).strides],
        held[1].tolist(),
    )


def of_columns(a: Any) -> Any:
    """What is computed from arguments in Fortran order lies so where it has no name; totals are those of any order."""
    b, c = a * 2, np.zeros((3, 4))
    c += a - 1
    return (
        a + 1,
        np.exp(a) * a,
        a.T * 2,
        (a - 1).sum(0) + a.max(axis=0),
        ((b - a) ** 2).sum(1) * a.mean(axis=1),
        [a.sum(), a.argmax(), (a * c).sum(), (a - a.mean(0)).std(), (-a).argmax(1).tolist(), a.argmin(0).tolist()],
        a @ a.T,
        c,
    )


def changed(a: Any, b: Any) -> Any:
    a[1:] = (a * a)[:-1]
    a += b
    b[:, 0] = a.sum(axis=(0, 2))[:2, None]
    same = np.asfortranarray(b)
    same[1, 1] = 4
    return a.max(), b


def shared(a: Any) -> Any:
    f = np.asfortranarray(a.T)
    f[0, 0] = -1
    g = np.asfortranarray(a)
    g[0, 1] = -2
    return f, g


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (made, 4),
        (made_like, A),
        (copies, A),
        (conversions, A),
        (of_rank_3, B),
        (turned, A),
        (computed, A),
        (of_columns, np.asfortranarray(A)),
        (shared, A),
    ],
)
def test_the_order_of_memory(program: Callable[..., Any], x: Any) -> None:
    fn = check(program, x)
    assert strides(fn(x)) == strides(program(x))


def strides(result: Any) -> list[Any]:
    """The strides of arrays; of those with one element along an axis they say nothing."""
    return [r.strides for r in result if isinstance(r, np.ndarray)]


def test_arguments_in_fortran_order_are_changed() -> None:
    check(changed, np.asfortranarray(B), np.asfortranarray(B) / 2)


def weighted(a: Any) -> Any:
    f = np.asfortranarray(a * a)
    f[0, 1] *= 3
    return f


def total(a: Any) -> Any:
    return (weighted(a) * np.arange(12.0).reshape(3, 4)).sum()


def test_derivatives_pass_through_the_order() -> None:
    assert tj.check(total, A + 1).ok
    jacobian = tj.jacobian(weighted)(A + 1)
    assert jacobian.shape == (3, 4, 3, 4) and jacobian[0, 1, 0, 1] == 12


@pytest.mark.compiled
def test_exported_programs_give_rows(tmp_path: Path) -> None:
    path = tmp_path / "weighted.tj"
    tj.export(weighted, (A,), str(path))
    assert np.array_equal(tj.load(str(path))(A), weighted(A))


@pytest.mark.parametrize("x", [A, np.asfortranarray(A), A[:1].copy(), np.zeros((0, 3)), np.ones((1, 1))])
def test_flags(x: Any) -> None:
    check(by_its_flags, x)


def test_flags_of_arguments_in_no_order() -> None:
    assert tj.script(by_its_flags)(A[:, ::2]) == by_its_flags(A[:, ::2])


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (lambda x: (x.T + 1).T.flags.owndata, "whose memory"),
        (lambda x: x[1:].flags.f_contiguous, "strides of this argument"),
    ],
)
def test_flags_that_are_not_known_are_refused(program: Callable[..., Any], reason: str) -> None:
    with pytest.raises(tj.ScriptError, match=reason):
        tj.script(program)(A[:, ::2])


def test_flags_that_are_set_are_refused() -> None:
    def locked(x: Any) -> Any:
        x.flags.writeable = False

    def computed(x: Any) -> Any:
        y = x.T + 1
        return y.flags.c_contiguous

    for program in (locked, computed):
        with pytest.raises(tj.ScriptError):
            tj.script(program)(A)


def test_a_wrong_order_is_an_error() -> None:
    check(lambda a: np.zeros_like(a, order="X"), A)


def strided(a: Any) -> Any:
    v = a * 1
    return v.strides, v.T.strides, v[::2, 1:].strides, a[0].strides, v[::-1].strides, np.float64(3).strides


def windows(a: Any, k: int) -> Any:
    row = a.reshape(-1)
    step = row.strides[0]
    w = as_strided(row, shape=(row.size - k + 1, k), strides=(step, step))
    return w.sum(axis=1), w.shape, w[-1, -1], sliding_window_view(a, 2, -1)[0], as_strided(a, strides=(8, 8))[1]


def outside(a: Any) -> Any:
    return as_strided(a, shape=(3, 6), strides=(48, 8))


def at_no_axis(a: Any) -> Any:
    return sliding_window_view(a, 2, 5)


def test_strides_and_windows() -> None:
    check(strided, A)
    check(windows, A, 3)
    check(at_no_axis, A)


@pytest.mark.compiled
def test_a_view_beyond_the_memory_is_an_error() -> None:
    with pytest.raises(ValueError, match="beyond the memory"):
        tj.script(outside)(A)


@pytest.mark.parametrize("kind", [">f8", "<f8", ">i4", ">c16", ">f2"])
def test_arguments_in_either_order_of_bytes(kind: str) -> None:
    """They are read, and changed for the caller; what is computed is in the machine's order, as in NumPy."""

    def changed(x: Any) -> Any:
        x[0] = 5
        return x, x * 2

    for x in (np.arange(4).astype(kind), np.arange(6).astype(kind)[::2]):
        expected = x * 2
        expected[0] = 10
        same, doubled = tj.script(changed)(x)
        assert same is x and x[0] == 5 and doubled.dtype == expected.dtype
        np.testing.assert_array_equal(doubled, expected)


def through_a_shape(x: Any) -> Any:
    y = x + 1
    y.reshape(-1)[1] = 5
    return y


def through_a_turned_shape(x: Any) -> Any:
    y = x.T * 2
    y.ravel()[1] = 5
    return y


def through_a_shape_of_zeros(x: Any) -> Any:
    y = np.zeros_like(x)
    y.reshape(2, -1)[0] = 5
    return y


def in_memory_order(x: Any) -> Any:
    return x.ravel(order="K"), x.T.ravel(order="K"), x.T.ravel("A"), (x + x.T.T.copy()).ravel(order="K")


@pytest.mark.parametrize("program", [through_a_shape, through_a_shape_of_zeros, in_memory_order])
def test_shapes_of_what_lies_by_rows_share_its_memory(program: Callable[..., Any]) -> None:
    check(program, A)


def test_a_result_that_lies_by_rows_again_shares_its_memory_with_its_shapes() -> None:
    check(through_a_turned_shape, np.asfortranarray(A))


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (through_a_turned_shape, A),
        (through_a_shape, np.asfortranarray(A)),
        (through_a_shape, A[:, ::2]),
        (through_a_shape_of_zeros, np.asfortranarray(A)),
        (in_memory_order, np.asfortranarray(A)),
    ],
)
def test_what_a_shape_shares_is_refused_where_numpy_lays_the_array_out_otherwise(
    program: Callable[..., Any], x: Any
) -> None:
    with pytest.raises(tj.ScriptError):
        tj.script(program)(x)
