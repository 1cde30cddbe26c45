"""Arrays made of parts of others, and which elements are among others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj

X = np.arange(12.0).reshape(3, 4)


@tj.script
def joins(x: Any) -> Any:
    return (
        np.concatenate((x[::2], x[1:] * 1, x.T.reshape(3, 4))),
        np.concatenate((x[:, ::2], x[:, 1:3], x[:, ::-1]), axis=1),
        np.roll(x, 5),
        np.argsort(x[:, ::-1], axis=1),
        np.argsort(-x.T, axis=0),
    )


def test_parts_are_joined_and_ordered_where_they_lie() -> None:
    for found, expected in zip(joins(X), joins.__wrapped__(X), strict=True):
        np.testing.assert_array_equal(found, expected)


@tj.script
def rolled(x: Any, n: int) -> Any:
    return np.roll(x, n)


@pytest.mark.compiled
def test_a_roll_copies_its_parts_into_the_result_only() -> None:
    np.testing.assert_array_equal(rolled(X[0], 3), np.roll(X[0], 3))
    assert "1 array(s) allocated" in rolled.explain(X[0], 3)


@tj.script
def without(x: Any, at: Any) -> Any:
    return np.delete(x, at)


@tj.script
def without_column(x: Any, at: int) -> Any:
    return np.delete(x, at, axis=1)


def test_delete_of_one_place_and_of_several() -> None:
    for at in (0, 3, -1, 11, -12, np.int64(2), np.array(3), np.array([1, 2])):
        np.testing.assert_array_equal(without(X, at), np.delete(X, at))
    for at in (0, 3, -1, -4):
        np.testing.assert_array_equal(without_column(X, at), np.delete(X, at, axis=1))
    for at in (4, -5):
        with pytest.raises(IndexError, match=f"index {at} is out of bounds for axis 1 with size 4"):
            without_column(X, at)


@tj.script
def members(x: Any, values: Any) -> Any:
    return np.isin(x, values), np.isin(x, [1.0, 3.0])


@pytest.mark.parametrize("values", [np.array([7, 3, np.nan, 1]), np.arange(1000.0) * 2, np.zeros(0), np.array([5.0])])
def test_isin_of_few_and_of_many(values: Any) -> None:
    x = X.copy()
    x[0, 0] = np.nan
    for found, expected in zip(members(x, values), members.__wrapped__(x, values), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(tj.isin(tj.tensor(x), tj.tensor(values)).numpy(), np.isin(x, values))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, complex])
def test_isin_of_other_dtypes(dtype: Any) -> None:
    x, values = np.arange(6).astype(dtype), np.array([1, 0, 1]).astype(dtype)
    np.testing.assert_array_equal(tj.script(lambda x, v: np.isin(x, v))(x, values), np.isin(x, values))
