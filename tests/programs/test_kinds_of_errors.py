"""Errors are of the kind that plain Python and NumPy raise, and their messages show sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import A, Cases, run
from tests.programs.compare import check

case = Cases()


@case((A(3), -1.0), (A(3), 0.5))
def real_powers(a, y):
    return math.pow(a[1], y), math.pow(2.0, y), math.pow(math.inf, y)


@case((0.0, -1.0), (-0.0, -3.0), (-1.0, 0.5), (-math.inf, 0.5), (0.0, -math.inf), (-1.0, math.inf), (-2.0, 3.0))
def powers_at_zero_and_below(x, y):
    return math.pow(x, y)


@case((1e200, 2.0), (-1e200, 3.0))
def powers_out_of_range(x, y):
    return math.pow(x, y)


@case((A(3),), (A(1),))
def whole_number_of_an_array(a):
    return int(a)


@case((A(3),), (A(2, 2),))
def float_of_an_array(a):
    return float(a)


@case((A(3), 1.5), (A(2, 3), 0.0))
def real_number_as_index(a, k):
    return a[k]


@case((A(3),))
def constant_as_index(a):
    return a[1.5]


@case((A(3), A(2, 3)), (A(3), A(1, 3)), (A(3), A(4)), (A(3), A(1)), (A(3), A(3)), (A(1), A(2, 1)))
def written_shapes(a, b):
    a[:] = b
    return a


@case((A(3),), (A(0),))
def deleted_after_a_loop(a):
    for y in a:
        y = y + 1
    del y
    return y  # noqa: F821


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_program(fn, calls):
    run(fn, calls)


def test_a_deleted_name_is_missing_where_it_is_read() -> None:
    lines = []
    for size in (3, 0):
        with pytest.raises(UnboundLocalError) as raised:
            tj.script(deleted_after_a_loop)(np.ones(size))
        lines.append(raised.traceback[-1].lineno + 1 - deleted_after_a_loop.__code__.co_firstlineno)
    assert lines == [5, 4]


def reduced(a):
    return a.sum(axis=2)


def joined(a):
    return np.concatenate((a, a), axis=3)


def sorted_(a):
    return np.sort(a, axis=-3)


@pytest.mark.parametrize("fn", [reduced, joined, sorted_])
def test_an_axis_that_is_not_there_is_an_axis_error(fn) -> None:
    a = np.ones((2, 3))
    with pytest.raises(np.exceptions.AxisError) as plain:
        fn(a)
    for kind in (np.exceptions.AxisError, ValueError, IndexError):
        with pytest.raises(kind) as compiled:
            tj.script(fn)(a)
        assert str(compiled.value) == str(plain.value)


def missing_key(d):
    return d["b"]


def missing_number(d):
    return d[10]


def missing_deleted(d):
    del d["b"]


def missing_popped(d):
    return {"a": 1}.pop("x"), d


def index_of_a_tuple(d, n=7):
    return (1, 2)[n]


def index_of_a_list(d, n=7):
    return [1, 2][n]


def text_as_index(d):
    return list((1, 2))["a"]


def deleted_item(d, n=7):
    items = [1, 2]
    del items[n]
    return items


def removed_item(d):
    items = [1, 2]
    items.remove(5)
    return items


@pytest.mark.parametrize(
    "fn",
    [
        missing_key,
        missing_number,
        missing_deleted,
        missing_popped,
        index_of_a_tuple,
        index_of_a_list,
        text_as_index,
        deleted_item,
        removed_item,
    ],
)
def test_errors_of_containers_are_those_of_python(fn):
    with pytest.raises((KeyError, IndexError, TypeError, ValueError)) as plain:
        fn({"a": 1, 2: 3})
    with pytest.raises(plain.type) as compiled:
        tj.script(fn)({"a": 1, 2: 3})
    assert compiled.value.args == plain.value.args


def caught_key(d):
    try:
        return d[10]
    except KeyError as error:
        return error.args, str(error)


def test_a_caught_key_is_the_key() -> None:
    check(caught_key, {1: 2})


def test_shapes_in_messages_are_numbers() -> None:
    def write(a, b):
        a[:] = b

    with pytest.raises(ValueError, match=r"from shape \(2,3\) into shape \(3,\)"):
        tj.script(write)(np.ones(3), np.ones((2, 3)))

    def add(a):
        return a[1:, None] + a[None, :2] + np.eye(3)

    with pytest.raises(ValueError, match=r"with shapes \(3,2\) \(3,3\)"):
        tj.script(add)(np.ones(4))


def test_texts_of_empty_and_masked_reads_are_those_of_numpy() -> None:
    for program in (lambda a: a[a[1:] > 0], lambda a: a[:0].argmin(), lambda a: np.max(a[:0])):
        found = []
        for call in (program, tj.script(program)):
            with pytest.raises((IndexError, ValueError)) as raised:
                call(np.ones(4))
            found.append(str(raised.value))
        assert found[0] == found[1]


class Bare:
    pass


@pytest.mark.compiled  # pytest gives a plain assertion a text of its own
def test_arguments_of_errors_are_those_of_python() -> None:
    thing = Bare()

    def bare(n):
        if n == 0:
            raise ValueError
        if n == 1:
            raise ValueError("")
        if n == 2:
            len(thing)
        return n

    def caught(n):
        try:
            assert n
        except AssertionError as error:
            return len(error.args)
        return 9

    scripted = tj.script(bare)
    for n in (0, 1, 2):
        found = []
        for call in (bare, scripted):
            with pytest.raises((ValueError, TypeError)) as raised:
                call(n)
            found.append((raised.type, raised.value.args))
        assert found[0] == found[1]
    assert [tj.script(caught)(n) for n in (0, 1)] == [0, 9]


def test_least_squares_of_a_vector() -> None:
    def solved(a, c):
        return np.linalg.lstsq(a, c)[0]

    a, c = np.array([[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]]), A(3)
    np.testing.assert_allclose(tj.script(solved)(a, c), solved(a, c), rtol=1e-12)
    np.testing.assert_allclose(tj.script(solved)(a[:2], c[:2]), solved(a[:2], c[:2]), rtol=1e-12)


def test_least_squares_of_other_sizes_is_a_linalg_error() -> None:
    def solved(a, c):
        return np.linalg.lstsq(a, c)[0]

    with pytest.raises(np.linalg.LinAlgError, match="Incompatible dimensions"):
        tj.script(solved)(np.eye(3), np.ones(4))


def _written_there(x: Any, i: Any, j: Any) -> None:
    x[i, j] = 1


@pytest.mark.parametrize("program", [lambda x, i, j: x[i, j], _written_there, lambda x, i, j: x[[0, 1], [0, 1, 2]]])
def test_index_arrays_that_do_not_fit(program: Any) -> None:
    arguments = np.ones((4, 4)), np.array([0, 1]), np.array([0, 1, 0])
    with pytest.raises(IndexError, match="shape mismatch: indexing arrays") as plain:
        program(*arguments)
    with pytest.raises(IndexError) as compiled:
        tj.script(program)(*arguments)
    assert str(compiled.value).strip() == str(plain.value).strip()


@pytest.mark.parametrize("shape", [(), (0,), (3,), (1, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("made", [np.array, tj.asarray], ids=["array", "tensor"])
@pytest.mark.parametrize("builtin", [any, all, sum])
def test_builtins_compare_rows(builtin: Any, made: Any, shape: tuple[int, ...]) -> None:
    check(lambda x: builtin(x), made(np.ones(shape)))


@pytest.mark.parametrize("made", [np.array, tj.asarray], ids=["array", "tensor"])
@pytest.mark.parametrize("builtin", [min, max])
def test_extremes(builtin: Any, made: Any) -> None:
    for x in ([np.nan, 1.0, 2.0], [1.0, np.nan, -np.inf], [0.0, -0.0], [-0.0, 0.0], 1.0):
        program = check(lambda x: builtin(x), made(np.array(x)))
    signs = [np.signbit(float(program(made(np.array(x))))) for x in ([0.0, -0.0], [-0.0, 0.0])]
    assert signs == [False, True]


@pytest.mark.parametrize("builtin", [min, max])
def test_extremes_of_rows_are_refused(builtin: Any) -> None:
    for x in (np.ones((2, 2)), tj.ones(2, 2)):
        with pytest.raises(tj.ScriptError, match="compares its rows"):
            tj.script(lambda x: builtin(x))(x)


@pytest.mark.parametrize("made", [np.array, tj.asarray], ids=["array", "tensor"])
def test_items_of_arrays(made: Any) -> None:
    for x in (3.0, [1.0, 2.0], [[1.0, 2.0], [3.0, 1.0]], np.zeros((0, 2))):
        for item in (3, 2.0, np.array([1.0, 2.0]), np.ones(3)):
            check(lambda x, item: (item in x, item not in x), made(np.array(x)), item)


def test_arrays_are_not_rounded_by_the_builtin() -> None:
    for x in (np.ones(2), np.array(1.5), np.float64(1.5), 1.5):
        check(lambda x: round(x), x)


@pytest.mark.parametrize(
    "change", [lambda x: x.div_(2), lambda x: x.exp_(), lambda x: x.add_(1.5), lambda x: x.sqrt_()]
)
def test_fractions_do_not_go_into_integers_in_place(change: Any) -> None:
    for changed in (change, tj.script(change)):
        with pytest.raises(TypeError, match="same_kind"):
            changed(tj.tensor([1, 2, 3]))


def test_vectors_have_no_matrix_transpose() -> None:
    for x in (tj.ones(()), tj.ones(3)):
        check(lambda x: x.mT, x)


@pytest.mark.parametrize(
    "made",
    [
        lambda u, n: np.array([u[0], n], np.uint8),
        lambda u, n: np.asarray([[1, n]], np.int8),
        lambda u, n: np.array([k for k in range(n)], np.uint8),
        lambda u, n: np.array([(k, float(n)) for k in range(n)], np.uint8),
        lambda u, n: np.array([n * 1.5], np.uint8),
        lambda u, n: np.array([n * math.nan, 1.0], int),
        lambda u, n: np.full(2, n, np.uint8),
        lambda u, n: np.full_like(u, n),
        lambda u, n: np.arange(n, n + 3, dtype=np.uint8),
        lambda u, n: np.insert(u, 0, n),
        lambda u, n: np.gcd(u, n),
        lambda u, n: np.piecewise(u, [u > 1], [1, n]),
        lambda u, n: np.select([u > 1], [n], u),
        lambda u, n: np.max(u, initial=n),
        lambda u, n: np.clip(u, n, None),
        lambda u, n: range(u[0] > 0),
        lambda u, n: round(u[0] > 0),
    ],
)
def test_numbers_that_do_not_fit_are_errors(made: Any) -> None:
    check(made, np.array([1, 2], np.uint8), 300)


def test_lists_of_numbers_that_do_not_fit_are_not_stored() -> None:
    def stored(u: Any, n: int) -> None:
        u[:] = [1, n]

    check(stored, np.array([1, 2], np.uint8), 300)


def test_numbers_beyond_what_a_dtype_holds() -> None:
    def taken(u: Any, n: int) -> Any:
        wrapped = np.pad(u, 1, constant_values=n), np.select([u > 1], [u], n), np.choose([0, 1], [u, n])
        floats = np.modf(u), np.frexp(u), np.average(u.astype(np.float32), weights=u)
        types = np.result_type(u, n).name, np.intersect1d(u, [1, n])
        return wrapped, floats, types, np.clip(u, -1, n), np.clip(u, -n, 1), np.arange(0, 2 * n, n, dtype=np.int16)

    check(taken, np.array([1, 2], np.uint8), 300)


@pytest.mark.parametrize("data", [[1, 300], 300, [math.nan]])
def test_tensors_of_numbers_that_do_not_fit_are_errors(data: Any) -> None:
    with pytest.raises((OverflowError, ValueError), match=r"300 out of bounds for uint8|cannot convert float NaN"):
        tj.tensor(data, dtype=tj.uint8)


def test_truth_values_have_no_sign() -> None:
    with pytest.raises(TypeError, match="positive"):
        tj.script(lambda u: +(u > 1))(np.array([1, 2], np.uint8))


def test_ranges_of_floats_count_on_from_their_first_two() -> None:
    def ranges(a: float, f: Any) -> Any:
        return (
            np.arange(a, 3.0, 0.3),
            np.arange(a, 3.0, dtype=np.float32),
            np.arange(f, f + 2, f),
            np.arange(a, 5, dtype=int),
        )

    check(ranges, 0.1, np.float32(0.3), tolerance=0.0)


def test_grids_and_lines_are_numpys_to_the_bit() -> None:
    def grids(a: float, f: Any) -> Any:
        lines = np.linspace(f, f * 3, 7), np.linspace(f, 0.7, 6, endpoint=False), np.r_[a:1:0.2]
        return lines, np.ogrid[a:1:0.2], np.mgrid[a:1:7j, 0.2:0.7:4j], np.mgrid[a:1:0.2, 0:1:0.3]

    check(grids, 0.1, np.float32(0.3), tolerance=0.0)


def test_trapezoids_of_small_integers_wrap() -> None:
    check(lambda u: (np.trapezoid(u), np.trapezoid(u, u), np.trapezoid(u, dx=2)), np.array([200, 100, 7], np.uint8))


@pytest.mark.parametrize(
    "called",
    [
        lambda x, n: np.quantile(x, n * 1.5),
        lambda x, n: np.quantile(x, [0.5, -0.1]),
        lambda x, n: np.percentile(x, n * 101),
        lambda x, n: np.nanpercentile(x, -n),
        lambda x, n: np.histogram(x, bins=n - 1),
        lambda x, n: np.histogram(x, range=(3, 1)),
        lambda x, n: np.bincount([1, 2], minlength=-n),
        lambda x, n: np.add.reduceat(x, [-n]),
        lambda x, n: np.array_split(x, 0),
        lambda x, n: np.repeat(x, -n),
        lambda x, n: np.place(x, x > n - 1, []),
        lambda x, n: np.place(x, [True], [1.0]),
        lambda x, n: np.select([], []),
    ],
)
def test_arguments_out_of_range_are_errors(called: Any) -> None:
    check(called, np.array([0.3, -1.2, 2.5, 0.7]), 1)


def test_no_values_to_put_change_nothing() -> None:
    def put(x: Any) -> Any:
        np.place(x, x > 9, [])
        np.putmask(x, x > 0, [])
        return np.quantile(x, [0, 1]), np.histogram(x, range=(0, 1))

    check(put, np.array([0.3, -1.2, 2.5, 0.7]))


class Named(dict):
    __getattr__ = dict.__getitem__


class Lasting(list):
    def __len__(self):
        return 50


class Measured(np.ndarray):
    pass


class Settings(dict):
    """Nothing but a name."""


NAMED = Named(a=1)


def test_a_class_that_only_names_a_container() -> None:
    def put(settings, x):
        settings["sum"] = x + settings["rate"]
        return settings

    settings = Settings(rate=2.0)
    assert tj.script(put)(settings, 1.0) is settings
    assert settings == {"rate": 2.0, "sum": 3.0}


def test_containers_of_classes_of_the_user_are_refused() -> None:
    for argument in (NAMED, Lasting([1, 2]), {"a": NAMED}):
        with pytest.raises(tj.ScriptError, match="a script takes plain containers, not (Named|Lasting), a subclass of"):
            tj.script(lambda x: len(x))(argument)
    with pytest.raises(tj.ScriptError, match="a script takes plain containers, not Named, a subclass of dict"):
        tj.script(lambda x: x + NAMED.a)(1)
    with pytest.raises(tj.ScriptError, match="a script computes with plain arrays, not .*Measured"):
        tj.script(lambda x: x + 1)(np.ones(2).view(Measured))


@pytest.mark.compiled
@pytest.mark.parametrize(
    "called",
    [
        lambda u, x: int(u[1]),
        lambda u, x: round(u[1]),
        lambda u, x: range(u[1]),
        lambda u, x: u.tolist(),
        lambda u, x: u.item(1),
        lambda u, x: math.floor(u[1]),
        lambda u, x: x[u[1]],
        lambda u, x: x[: u[1]],
    ],
)
def test_unsigned_numbers_beyond_python_ints_here_are_overflow_errors(called: Any) -> None:
    with pytest.raises(OverflowError, match="too large"):
        tj.script(called)(np.array([1, 2**64 - 1], np.uint64), np.arange(4.0))


def with_other_rows(a, b):
    a += b


def into_an_output(a, b):
    np.multiply(a, b, out=a)


def into_elements(a, b):
    a[[0, 1]] -= b


@pytest.mark.compiled
@pytest.mark.parametrize("program", [with_other_rows, into_an_output, into_elements])
@pytest.mark.parametrize("shapes", [((3, 2), (3,)), ((3,), (1, 3)), ((3, 1), (3, 2)), ((2,), (4, 2, 2)), ((3,), ())])
def test_shapes_that_do_not_fit_in_place_are_told_as_numpy_does(program, shapes):
    def told(fn):
        try:
            fn(*map(np.ones, shapes))
        except ValueError as error:
            return str(error).strip()
        return None

    assert told(tj.script(program)) == told(program)
