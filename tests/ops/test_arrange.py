"""Functions that move elements, compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.function_cases import check, eager, interpreted

RNG = np.random.default_rng(3)
M = RNG.normal(size=(3, 4))
V = RNG.normal(size=(5,))
C = RNG.normal(size=(2, 3, 4))


def test_joining() -> None:
    check("numpy column_stack", np.column_stack([V, V]), [V, V])
    check("numpy dstack", np.dstack([M, M]), [M, M])
    check("numpy append", np.append(V, M), V, M)
    check("numpy append", np.append(M, M, axis=0), M, M, 0)


@pytest.mark.parametrize("sections", [1, 2, 3, 5, [1, 3], [2, 9], [-1]])
def test_splitting(sections: Any) -> None:
    if not isinstance(sections, list):
        check("numpy array_split", tuple(np.array_split(V, sections)), V, sections)
        return
    expected = np.split(V, sections)
    found = eager("numpy split", V, sections)
    assert [list(f) for f in found] == [list(w) for w in expected]


def test_equal_splitting_is_checked() -> None:
    check("numpy split", tuple(np.split(C, 2, axis=2)), C, 2, 2)
    check("numpy hsplit", tuple(np.hsplit(M, 2)), M, 2)
    for run in (eager, interpreted):
        with pytest.raises(ValueError, match="array split does not result in an equal division"):
            run("numpy split", V, 2)


@pytest.mark.parametrize("reps", [2, (2,), (2, 3), (1, 2, 3), ()])
def test_tile(reps: Any) -> None:
    for x in (M, V):
        check("numpy tile", np.tile(x, reps), x, reps)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_repeat_and_roll(axis: int | None) -> None:
    check("numpy repeat", np.repeat(M, 3, axis), M, 3, axis)
    for shift in (1, -2, 7):
        check("numpy roll", np.roll(M, shift, axis), M, shift, axis)


def test_roll_along_two_axes() -> None:
    check("numpy roll", np.roll(M, (1, 2), (0, 1)), M, (1, 2), (0, 1))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [1, (1, 2), ((1, 0), (2, 3))])
def test_pad_has_numpy_modes(mode: str, width: Any) -> None:
    check("numpy pad", np.pad(M, width, mode), M, width, mode)


def test_pad_of_pytorch_counts_axes_from_the_last() -> None:
    check("function pad", np.pad(C, ((0, 0), (3, 0), (1, 2)), constant_values=7), C, (1, 2, 3, 0), value=7)


def test_negative_widths_cut() -> None:
    check("function pad", np.pad(C[..., 1:], ((0, 0), (0, 0), (0, 2))), C, (-1, 2))
    check("function pad", C[:, 2:, :-1], C, (0, -1, -2, 0))
    for run in (eager, interpreted):
        with pytest.raises(ValueError, match="cut away more elements than there are"):
            run("function pad", V, (-3, -3))
        with pytest.raises(ValueError, match="can't contain negative values"):
            run("numpy pad", V, -1)


def test_pad_takes_pairs_of_numpy() -> None:
    check("function pad", np.pad(M, ((1, 0), (2, 3))), M, ((1, 0), (2, 3)))
    with pytest.raises(ValueError, match="3 numbers do not make pairs for 2 axes"):
        eager("function pad", M, (1, 2, 3))


def test_places_of_a_split_are_held_within_the_axis() -> None:
    for places in ([9, 2], [4, 1], [-9, 3], [-2]):
        for run in (eager, interpreted):
            found = run("numpy array_split", V, places)
            assert [list(f) for f in found] == [list(w) for w in np.array_split(V, places)]


def test_grids_and_diagonals() -> None:
    for indexing in ("xy", "ij"):
        check("numpy meshgrid", tuple(np.meshgrid(V, M[0], indexing=indexing)), V, M[0], indexing=indexing)
    check("function meshgrid", tuple(np.meshgrid(V, M[0], C[0, 0], indexing="ij")), V, M[0], C[0, 0])
    for k in (-1, 0, 2):
        check("numpy tril", np.tril(M, k), M, k)
        check("numpy triu", np.triu(C, k), C, k)
        check("numpy diagflat", np.diagflat(V, k), V, k)
        check("numpy diag", np.diag(M, k), M, k)
        check("numpy diag", np.diag(V, k), V, k)


def test_differences() -> None:
    check("numpy diff", np.diff(V), V)
    check("numpy diff", np.diff(M, 2, 0), M, 2, 0)
    check("numpy diff", np.diff(V[:0]), V[:0])


def test_take() -> None:
    check("numpy take", np.take(M, np.array([0, -1, 5])), M, np.array([0, -1, 5]))
    check("numpy take", np.take(M, np.array([[2, 0]]), axis=0), M, np.array([[2, 0]]), 0)
    check("numpy take", np.take(M, np.array([], "int64"), axis=1), M, np.array([], "int64"), 1)
    for run in (eager, interpreted):
        with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
            run("numpy take", M, np.array([0, 3]), 0)
        with pytest.raises(IndexError):
            run("numpy take", M, np.array([-4]), 0)


def test_elements_along_an_axis() -> None:
    index = np.array([[0, 2, -1, 1], [1, 1, 0, 2]])
    check("numpy take_along_axis", np.take_along_axis(M, index, 0), M, index, 0)
    expected = M.copy()
    np.put_along_axis(expected, np.array([[1], [0], [3]]), 9.0, 1)
    check("function scatter", expected, M, 1, np.array([[1], [0], [3]]), 9.0)
    total = M.copy()
    np.add.at(total, (np.array([0, 0, 2, 1]), np.arange(4)), M[0])
    check("function scatter_add", total, M, 0, np.array([[0, 0, 2, 1]]), M[:1])


def test_gather_takes_an_index_smaller_than_the_array() -> None:
    index = np.array([[0, 3], [1, 1]])
    check("function gather", np.array([[M[0, 0], M[0, 3]], [M[1, 1], M[1, 1]]]), M, 1, index)


def test_one_hot() -> None:
    places = np.array([0, 3, 1])
    for given in ((5,), (4,), (-1,), ()):
        check("function one_hot", np.eye(max((4, *given)), dtype="int64")[places], places, *given)
    check("function one_hot", np.zeros((0, 0), "int64"), np.array([], "int64"))
    for run in (eager, interpreted):
        with pytest.raises(ValueError, match="the number 3 is not among 3 classes"):
            run("function one_hot", places, 3)
        with pytest.raises(ValueError, match="a negative number has no place"):
            run("function one_hot", -places, 5)
        with pytest.raises(TypeError, match="one_hot takes integers, not float64"):
            run("function one_hot", np.ones(2))


def test_flip() -> None:
    check("numpy flip", np.flip(M), M)
    check("numpy flip", np.flip(C, (0, 2)), C, (0, 2))
