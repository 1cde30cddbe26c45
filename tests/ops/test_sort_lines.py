"""Order along an axis of arrays of many lines: short lines beside each other are ordered together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.codegen.support.native import ORDERING
from tracejit.codegen.support.ordering import ordering_module
from tracejit.runtime.engine import engine

SHAPES = (
    (16, 100),
    (5, 7),
    (4, 2),
    (37, 65),
    (3, 9),
    (50, 1),
    (20, 1025),
    (18, 1000),
    (1, 5),
    (0, 5),
    (5, 0),
    (4, 1024),
)
DTYPES = (np.float32, np.float64, np.float16, np.int64, np.int8, np.uint64, np.uint8, bool)


@tj.script
def ordered(x: Any) -> Any:
    return np.argsort(x, axis=1, kind="stable"), np.argsort(x, axis=0, kind="stable"), np.sort(x, axis=-1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_order_of_lines(shape: tuple[int, int], dtype: Any) -> None:
    least = -15 if np.dtype(dtype).kind in "if" else 0
    x = np.random.default_rng(0).integers(least, 15, shape).astype(dtype)
    if x.dtype.kind == "f":
        x.ravel()[::7] = np.nan
        x.ravel()[::5] = -0.0
    for found, expected in zip(ordered(x), ordered.__wrapped__(x), strict=True):
        np.testing.assert_array_equal(found, expected)


@tj.script
def greatest(x: Any) -> Any:
    values, places = tj.topk(x, 3, axis=1)
    return values, places, np.argsort(x[:, ::-1, :2], axis=1, kind="stable")


def test_lines_along_a_middle_axis() -> None:
    x = np.random.default_rng(1).integers(0, 9, (3, 40, 21)).astype(np.float64)
    values, places, turned = greatest(x)
    order = np.argsort(-x, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, axis=1))
    np.testing.assert_array_equal(turned, np.argsort(x[:, ::-1, :2], axis=1, kind="stable"))


def test_threads_share_the_lines() -> None:
    x = np.random.default_rng(2).normal(size=(401, 300))
    found: list[Any] = []
    with each_number_of_threads(1, 3) as counts:
        found.extend(ordered(x) for _ in counts)
    for one, other, expected in zip(*found, ordered.__wrapped__(x), strict=True):
        np.testing.assert_array_equal(one, expected)
        np.testing.assert_array_equal(other, expected)


@pytest.mark.compiled
def test_a_block_of_lines_is_a_trip_of_a_parallel_loop() -> None:
    ordered(np.zeros((20, 20)))
    kernel = next(line for line in ordered.explain(np.zeros((20, 20))).splitlines() if "argsort" in line)
    assert "parallel loop" in kernel


# -- arrays that are one line -----------------------------------------------------------------------------------


@tj.script
def one_line(x: Any) -> Any:
    return np.sort(x), np.argsort(x, kind="stable"), np.sort(x[::-2]), np.unique(x)


@tj.script
def descending(x: Any) -> Any:
    return tj.sort(x, descending=True), tj.argsort(x, descending=True)


@pytest.mark.parametrize("dtype", [*DTYPES, np.int32, np.uint32, np.int16])
def test_order_of_one_line(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    for n in (0, 1, 5, 64, 65, 130, 1000, 30_000):
        for most in (3, 60_000):
            least = -most if np.dtype(dtype).kind in "if" else 0
            x = rng.integers(least, most, n).astype(dtype)
            if x.dtype.kind == "f":
                x[::7] = np.nan
                x[::5] = -0.0
                x[::11] = -np.inf
            # NumPy's own sort of float16 with NaNs leaves some out of order where there is AVX-512 (2.4.6)
            wide = x.astype(np.float32) if x.dtype == np.float16 else x
            for found, expected in zip(one_line(x), one_line.__wrapped__(wide), strict=True):
                np.testing.assert_array_equal(found, expected)
            values, places = descending(x)
            np.testing.assert_array_equal(values, x[places])
            if n and x.dtype.kind != "f" and x.dtype != bool:
                np.testing.assert_array_equal(values, np.sort(x)[::-1])


# -- parts ------------------------------------------------------------------------------------------------------


@tj.script
def parted(x: Any, kth: Any) -> Any:
    return np.partition(x, kth), np.take_along_axis(x, np.argpartition(x, kth), -1)


@tj.script
def parted_columns(x: Any, kth: Any) -> Any:
    return np.partition(x, kth, axis=0), np.take_along_axis(x, np.argpartition(x, kth, axis=0), 0)


def check_parts(x: Any, kth: Any, made: Any, axis: int = -1) -> None:
    order, made = (np.moveaxis(y, axis, -1) for y in (np.sort(x, axis=axis), made))
    np.testing.assert_array_equal(np.sort(made, axis=-1), order)
    for k in np.atleast_1d(kth) % x.shape[axis]:
        at = order[..., k : k + 1]
        np.testing.assert_array_equal(made[..., k : k + 1], at)
        assert (np.isnan(at) | (made[..., :k] <= at)).all()
        assert (np.isnan(made[..., k:]) | (made[..., k:] >= at)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.int8, np.uint32])
@pytest.mark.parametrize("n", [1, 2, 8, 9, 63, 65, 1000])
def test_parts(n: int, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    some = rng.normal(size=n) * 50
    ends = np.minimum(np.arange(n), np.arange(n)[::-1])
    for numbers in (some, np.sort(some), np.sort(some)[::-1], np.full(n, 3.0), ends, np.round(some / 40)):
        x = np.abs(numbers).astype(dtype) if np.dtype(dtype).kind == "u" else numbers.astype(dtype)
        if x.dtype.kind == "f" and numbers is some:
            x[::3], x[1::5], x[2::7], x[4::9], x[5::9] = np.nan, np.inf, -np.inf, -0.0, 0.0
        for kth in (0, n // 2, -1, np.array([n - 1, 0, n // 3, n // 3]), rng.integers(0, n, 20)):
            for made in parted(x, kth):
                check_parts(x, kth, made)


@pytest.mark.parametrize("shape", [(2, 1), (3, 5), (20, 17), (40, 100)])
def test_parts_of_lines(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(4).normal(size=shape)
    for made in parted_columns(x, shape[0] // 2):
        check_parts(x, shape[0] // 2, made, 0)
    for made in parted(x, np.array([-1, shape[1] // 2])):
        check_parts(x, np.array([-1, shape[1] // 2]), made)


def test_parts_of_nothing() -> None:
    for shape in ((0,), (3, 0), (0, 3)):
        for made in parted(np.zeros(shape), 1000 if shape[-1] == 0 else 1):
            assert made.shape == shape


def test_gradient_of_parts() -> None:
    @tj.script
    def least(x: Any) -> Any:
        return np.sum(np.partition(x, 3)[:3] ** 2), np.partition(x, 3)[3]

    x = np.random.default_rng(5).normal(size=100)
    order = np.argsort(x)
    expected = np.zeros(100)
    expected[order[:3]] = 2 * x[order[:3]]
    np.testing.assert_allclose(tj.grad(lambda x: least(x)[0])(x), expected)
    np.testing.assert_array_equal(tj.grad(lambda x: least(x)[1])(x), np.arange(100) == order[3])


# -- machines without such vectors --------------------------------------------------------------------------------


@pytest.fixture
def without_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    for bits, names in ORDERING.items():
        text = ordering_module(bits, replace(engine().options, vector_bits=128))
        made = engine().compiled(text, optimised=False)
        monkeypatch.setitem(engine()._ordering, bits, engine()._linked(f"none.{bits}", [made], names))


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint32])
def test_order_without_vectors(without_vectors: None, dtype: Any) -> None:
    @tj.script
    def all_orders(x: Any) -> Any:
        many = np.sort(x, axis=1), np.argsort(x, axis=1, kind="stable"), np.argsort(x, axis=0, kind="stable")
        line = x.reshape(-1)
        return *many, np.sort(line), np.argsort(line, kind="stable"), np.median(x), np.percentile(line, [5, 50, 90])

    @tj.script
    def some_parts(x: Any, kth: Any) -> Any:
        return np.partition(x, kth), np.take_along_axis(x, np.argpartition(x, kth), -1)

    for shape in ((3, 5), (4, 65), (3, 1500)):
        x = np.random.default_rng(6).integers(0, 90, shape).astype(dtype)
        for made, expected in zip(all_orders(x), all_orders.__wrapped__(x), strict=True):
            np.testing.assert_allclose(made, expected, rtol=1e-6)
        for made in some_parts(x, 2):
            check_parts(x, 2, made)
