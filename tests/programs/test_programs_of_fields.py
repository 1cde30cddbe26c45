"""Programs of several fields as their authors write them, against plain Python: optimisation, bytes, rows of lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.programs.compare import check

RNG = np.random.default_rng(31)


def nelder_mead(x0: Any, A: Any) -> Any:
    f = lambda x: x @ A @ x  # noqa: E731
    sim = np.vstack([x0] + [x0 + 0.5 * e for e in np.eye(len(x0))])
    fs = np.array([f(x) for x in sim])
    for _ in range(40):
        order = fs.argsort()
        sim, fs = sim[order], fs[order]
        c = sim[:-1].mean(axis=0)
        xr = c + (c - sim[-1])
        fr = f(xr)
        if fs[0] <= fr < fs[-2]:
            sim[-1], fs[-1] = xr, fr
        elif fr < fs[0]:
            xe = c + 2 * (xr - c)
            fe = f(xe)
            if fe < fr:
                sim[-1], fs[-1] = xe, fe
            else:
                sim[-1], fs[-1] = xr, fr
        else:
            xc = c + 0.5 * (sim[-1] - c)
            fc = f(xc)
            if fc < fs[-1]:
                sim[-1], fs[-1] = xc, fc
            else:
                sim[1:] = sim[0] + 0.5 * (sim[1:] - sim[0])
                fs[1:] = [f(x) for x in sim[1:]]
    return sim[0], fs[0]


def rows_then_products(A: Any) -> Any:
    """Arrays made of lists of rows, whose own rows are then taken."""
    flat = np.hstack([row for row in A])
    return (
        [np.dot(r, r) for r in np.vstack([row for row in A])],
        [np.dot(r, r) for r in np.column_stack([row for row in A])],
        [np.dot(flat, flat) for _ in A],
        [r @ r for r in np.hstack([A[:, :k] for k in range(len(A))])],
        [v * 2 for v in np.concatenate([row for row in A], axis=None)],
    )


def rows_stacked_while_they_grow(A: Any) -> Any:
    found = []
    for row in A:
        found.append(row)
        v, h, c = np.vstack(found), np.hstack(found), np.column_stack(found)
        found[-1] = v[0] + h[0] + c[0, 0]
    return found


def caesar(data: bytes, shift: int) -> Any:
    a = np.frombuffer(data, dtype=np.uint8)
    out = a.copy()
    low = (a >= ord("a")) & (a <= ord("z"))
    out[low] = (a[low] - ord("a") + shift) % 26 + ord("a")
    n = 0
    for v in a:
        if v == ord(" "):
            n += 1
    return out, n, a.sum(), a.view(np.int8), len(a)


def bytes_are_read_only(data: bytes) -> Any:
    a = np.frombuffer(data, dtype=np.uint8)
    a[0] = 1
    return a


def numbers_of_text() -> Any:
    a = np.fromstring("1 2 3", sep=" ")
    a[0] += 5
    return a


CASES = [
    (nelder_mead, (np.array([2.0, 3.0]), np.array([[2.0, 0.5], [0.5, 1.0]]))),
    (rows_then_products, (np.arange(9.0).reshape(3, 3),)),
    (rows_then_products, (np.arange(1.0).reshape(1, 1),)),
    (rows_stacked_while_they_grow, (RNG.random((3, 4)),)),
    (caesar, (b"the quick brown fox", 13)),
    (caesar, (b"", 3)),
    (bytes_are_read_only, (b"abc",)),
    (numbers_of_text, ()),
]


@pytest.mark.parametrize(("program", "arguments"), CASES)
def test_programs(program: Any, arguments: tuple[Any, ...]) -> None:
    check(program, *arguments)
