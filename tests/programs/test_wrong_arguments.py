"""Calls with arguments that Python's builtins, methods, operators and formats do not take: Python's errors."""

# ruff: noqa: F501, F505, F509

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, Program, T, run
from tests.programs.compare import check
from tracejit import nn, script

ITEMS, TABLE, PAIR, NUMBER = [3, 1, 2], {"a": 1}, (1, 2), 5

#: Functions of a list, a dict, a tuple and an int.
CALLS: list[Callable[[list[int], dict[str, int], tuple[int, int], int], Any]] = [
    lambda x, d, t, n: len(x, x),
    lambda x, d, t, n: len(),
    lambda x, d, t, n: len(x=x),
    lambda x, d, t, n: abs(n, n),
    lambda x, d, t, n: isinstance(x),
    lambda x, d, t, n: isinstance(x, int, int),
    lambda x, d, t, n: float(n, n),
    lambda x, d, t, n: int(n, 10, 2),
    lambda x, d, t, n: bool(n, n),
    lambda x, d, t, n: list(x, x),
    lambda x, d, t, n: list(x=x),
    lambda x, d, t, n: tuple(1, 2),
    lambda x, d, t, n: set(x, x),
    lambda x, d, t, n: dict(x, x),
    lambda x, d, t, n: dict([1]),
    lambda x, d, t, n: range(),
    lambda x, d, t, n: range(1, 2, 3, 4),
    lambda x, d, t, n: x[slice(1, stop=2)],
    lambda x, d, t, n: list(enumerate()),
    lambda x, d, t, n: list(enumerate(x, start=2)),
    lambda x, d, t, n: sorted(),
    lambda x, d, t, n: sorted(x, 1),
    lambda x, d, t, n: sorted(x, foo=1),
    lambda x, d, t, n: sorted(x, reverse=True, key=lambda v: v % 3),
    lambda x, d, t, n: hasattr(x),
    lambda x, d, t, n: getattr(x),
    lambda x, d, t, n: divmod(n),
    lambda x, d, t, n: pow(n),
    lambda x, d, t, n: pow(n, exp=2),
    lambda x, d, t, n: round(n, 1, 2),
    lambda x, d, t, n: round(2.567, ndigits=n - 3),
    lambda x, d, t, n: sum(),
    lambda x, d, t, n: sum(x, start=n),
    lambda x, d, t, n: min(),
    lambda x, d, t, n: min(x, foo=1),
    lambda x, d, t, n: max(x, key=lambda v: -v, default=3),
    lambda x, d, t, n: all(x, x),
    lambda x, d, t, n: list(filter(abs)),
    lambda x, d, t, n: list(map(abs)),
    lambda x, d, t, n: next(),
    lambda x, d, t, n: next(x),
    lambda x, d, t, n: next(n),
    lambda x, d, t, n: list(n),
    lambda x, d, t, n: list(None),
    lambda x, d, t, n: d.get(),
    lambda x, d, t, n: d.get(1, 2, 3),
    lambda x, d, t, n: d.keys(1),
    lambda x, d, t, n: d.pop(),
    lambda x, d, t, n: d.update(1, 2),
    lambda x, d, t, n: d.update(3),
    lambda x, d, t, n: d.popitem(1),
    lambda x, d, t, n: d.clear(1),
    lambda x, d, t, n: d[[1]],
    lambda x, d, t, n: {x: 1},
    lambda x, d, t, n: x in d,
    lambda x, d, t, n: "a".join(),
    lambda x, d, t, n: n in "abc",
    lambda x, d, t, n: x @ x,
    lambda x, d, t, n: n(),
    lambda x, d, t, n: "%" % n,
    lambda x, d, t, n: "%s in %" % "a",
    lambda x, d, t, n: "%z" % n,
    lambda x, d, t, n: "%5.2q" % n,
    lambda x, d, t, n: "%(a)s" % {},
    lambda x, d, t, n: "%(a)s" % n,
    lambda x, d, t, n: "%(a)s %%" % {"a": n},
    lambda x, d, t, n: {(n, x)},
    lambda x, d, t, n: set([x]),
    lambda x, d, t, n: dict([(x, n)]),
    lambda x, d, t, n: d.get(x),
    lambda x, d, t, n: x in d,
    lambda x, d, t, n: d.setdefault((n, x), 1),
]


@pytest.mark.parametrize("call", CALLS)
def test_call(call: Callable[..., Any]) -> None:
    check(call, list(ITEMS), dict(TABLE), PAIR, NUMBER)


case = Cases()


class Pair(NamedTuple):
    first: int
    second: float


@case((Pair(1, 2.0),))
def parts_of_a_named_tuple(pair):
    pair.first = 3
    return pair


@case((Pair(1, 2.0),))
def no_part_of_a_named_tuple(pair):
    pair.third = 3
    return pair


class Undecided:
    def __bool__(self):
        return (1, 2)


@case(())
def truth_that_is_none():
    return 1 if Undecided() else 2


@dataclass
class Norm:
    x: float
    order: InitVar[int] = 2
    scale: InitVar[float] = 1.0
    norm: float = 0.0

    def __post_init__(self, order, scale):
        self.norm = abs(self.x) ** order * scale


@case((3.0, 3), (-2.0, 1))
def fields_for_the_initialiser_only(x, n):
    a, b, c = Norm(x, n), Norm(x, scale=0.5), Norm(x)
    return a.norm, b.norm, c, a == c


@case((np.arange(6.0).reshape(2, 3),), (T(2, 3),))
def elements_of_arrays(x):
    row = x[0]
    return 3 in x, 9.5 in x, x[1, 0] in x, row in [row], x in [row, x]


@case((np.array([1.0, np.nan, 2.0]),), (tj.tensor([1.0, np.nan, 2.0]),), (tj.tensor([np.nan, 1.0]),))
def extremes_pass_over_nan(x):
    return max(x), min(x)


@case((T(3), 0), (T(3), 2))
def steps_of_arange(x, n):
    return tj.arange(0, 6, n), x


def doubled(fn):
    @functools.wraps(fn)
    def inside(*args, **kwargs):
        return fn(*args, **kwargs) * 2

    return inside


@case((T(2), 3), (T(3), 1))
@doubled
def wrapped(x, n, k=1):
    return x * n + k


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_program(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_keywords_of_what_a_wrapper_wraps() -> None:
    assert script(wrapped)(T(2), 3, k=5).tolist() == wrapped(T(2), 3, k=5).tolist() == [16.0, 22.0]
    assert tj.grad(wrapped)(tj.tensor(1.0), 3).item() == 6.0


@tj.no_grad()
def unrecorded(x):
    y = x * 2
    return y, y.requires_grad


def asked(x):
    y = x * 2
    return x.requires_grad, y.requires_grad, x[0].requires_grad, x.detach().requires_grad, str(y)


def test_what_asks_for_gradients_under_no_grad() -> None:
    x = tj.ones(2, requires_grad=True)
    scripted = script(asked)
    for _ in range(3):
        assert scripted(x) == asked(x)
        with tj.no_grad():
            assert scripted(x) == asked(x)
    assert script(unrecorded)(x)[1] is False
    assert not script(unrecorded)(x)[0].requires_grad


class Adder:
    def __init__(self, by):
        self.by = by

    def __call__(self, x, *more):
        for m in more:
            x = x + m
        return x + self.by


def test_objects_to_call_lists_and_dicts() -> None:
    assert script(Adder(3))(T(2), 1.0, 2.0).tolist() == Adder(3)(T(2), 1.0, 2.0).tolist()
    items, table = [1, 2], {1: 2}
    assert script(items) is items
    assert script(table) is table


def test_modules_that_are_not_initialised() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            self.x = 2

        def forward(self, x):
            return x

    with pytest.raises(RuntimeError, match="Bare is not initialised"):
        script(Bare())

    class Plain:
        def forward(self, x):
            return x

    with pytest.raises(TypeError, match="Plain has a forward but is no tj.nn.Module"):
        script(Plain())
    layer = nn.Linear(2, 2)
    assert set(dir(layer)) <= set(dir(script(layer)))


def test_arguments_of_users_functions() -> None:
    def one(a):
        return a

    def more(a, b, c=1):
        return a

    class Method:
        def of(self, a, *, b=0):
            return a

    @dataclass
    class Three:
        x: float
        y: float
        z: float = 0.0
        w: float = 0.0

    for call in (
        lambda n: one(n, n),
        lambda n: one(),
        lambda n: more(n, n, n, n),
        lambda n: more(n),
        lambda n: Three(n, n, n, n, n).x,
        lambda n: Three().x,
        lambda n: (lambda: n)(n),
        lambda n: Method().of(n, n, b=n),
        lambda n: Method().of(n, n, c=n),
        lambda n: "a" + n,
        lambda n: [n] + (n,),
        lambda n: "a" * n,
        lambda n: len(Method),
        lambda n: isinstance(n, 5),
    ):
        plain, compiled = (_error(f, 2.0) for f in (call, script(call)))
        assert compiled.split(".")[-1] == plain.split(".")[-1]
    for call in (lambda n: more(n), lambda n: Method().of()):
        assert _error(script(call), 2.0) == _error(call, 2.0)


@pytest.mark.compiled
def test_wrong_arguments_of_a_partial_function_are_at_the_line_of_the_call() -> None:
    def more(a, b):
        return a

    with pytest.raises(TypeError, match=r"more\(\) got multiple values for argument 'b'") as caught:
        script(functools.partial(more, b=1))(2.0, 3.0)
    assert str(caught.traceback[-1].path) == __file__


def _error(fn: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(TypeError) as caught:
        fn(*args)
    return str(caught.value)


def test_arguments_that_functions_of_math_and_numpy_do_not_take() -> None:
    for call in (
        lambda x: math.sqrt(x=x),
        lambda x: math.sqrt(x, base=2),
        lambda x: math.floor(x, 1),
        lambda x: np.float32(x, 1),
        lambda x: np.int64(x, dtype="i4"),
        lambda x: np.isscalar(x, 1),
        lambda x: math.log(x, basis=2),
        lambda x: np.iterable(x, where=x),
        lambda x: np.rint(x, None, None),
        lambda x: np.full(2, x, None, "C", None),
    ):
        for fn in (call, script(call)):
            with pytest.raises(TypeError):
                fn(2.0)


def test_arguments_that_functions_and_methods_of_arrays_do_not_take() -> None:
    for call in (
        lambda x: x.fill(1.0, 2.0),
        lambda x: x.item(0, z=1),
        lambda x: x.copy("C", None),
        lambda x: x.dot(x, None, None),
        lambda x: x.conj(where=x),
        lambda x: np.nonzero(x, None),
        lambda x: np.concatenate([x, x], 0, None, None),
        lambda x: np.gcd(x, x, None, None),
        lambda x: np.gradient(x, x, x),
        lambda x: np.sum(x, dim=0),
        lambda x: np.sum(x, axis=0.5),
        lambda x: x.max(0.0),
        lambda x: np.stack([x, x], 0.5),
        lambda x: np.expand_dims(x, 1.0),
        lambda x: np.swapaxes(x, 0.0, 0),
        lambda x: np.std(x, axis="a"),
        lambda x: np.eye(2, k=0.5),
        lambda x: np.tile(x, 2.5),
        lambda x: np.round(x, 1.5),
    ):
        for fn in (call, script(call)):
            with pytest.raises(TypeError):
                fn(np.arange(3))


def test_sizes_of_tensors_that_are_no_integers_or_negative() -> None:
    for call, kind in (
        (lambda x: x.chunk(2.5), TypeError),
        (lambda x: x.split(1.5), TypeError),
        (lambda x: x.topk(1.5), TypeError),
        (lambda x: x.sum(dim=0.5), TypeError),
        (lambda x: tj.linspace(0, 1, 2.5) + x, TypeError),
        (lambda x: x.repeat(-1, 1), ValueError),
    ):
        for fn in (call, script(call)):
            with pytest.raises(kind):
                fn(tj.ones(2))


@pytest.mark.compiled
def test_arrays_of_text_are_refused() -> None:
    for call in (lambda n: np.full(n, "a"), lambda n: np.full(n, None)):
        with pytest.raises(tj.ScriptError, match="an array full of"):
            script(call)(3)


def test_several_sizes_that_are_no_tuple() -> None:
    for call in (lambda n: np.zeros(3, n), lambda n: np.ones(3, 4), lambda n: np.empty(n, n)):
        for fn in (call, script(call)):
            with pytest.raises(TypeError):
                fn(2)


def test_numbers_of_more_than_64_bits_are_refused() -> None:
    number = np.longdouble(2)
    for call, arguments in ((lambda x: x * 2, (number,)), (lambda x: x * number, (1.0,))):
        with pytest.raises(tj.ScriptError, match="tracejit has no dtype (float128|longdouble)"):
            script(call)(*arguments)


def test_parts_of_text_with_run_time_values() -> None:
    for call in (lambda n: str(n)[0], lambda n: f"{n}:"[:2]):
        assert script(call)(35) == call(35)


def test_arguments_of_autograd_are_errors_where_they_are_given() -> None:
    def slope(x, flag):
        y = (x * x).sum()
        return tj.autograd.grad(y, x, inplace=True) if flag else y

    for call in (slope, script(slope)):
        x = tj.ones(2, requires_grad=True)
        assert call(x, False).item() == 2.0
        with pytest.raises(TypeError, match=r"grad\(\) got an unexpected keyword argument 'inplace'"):
            call(x, True)


@pytest.mark.parametrize(
    "args, kwargs", [((1,), {}), ((1, 2, 3, 4), {}), ((1,), {"z": 2}), ((1, 2), {"x": 3}), ((1, 2), {})], ids=str
)
def test_calls_that_do_not_fit_the_parameters_are_told_as_in_python(args: Any, kwargs: Any) -> None:
    def scaled(x, by, *, plus):
        return x * by + plus

    messages = []
    for call in (scaled, script(scaled)):
        with pytest.raises(TypeError) as caught:
            call(*args, **kwargs)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_functions_that_work_on_files_and_functions_are_refused_where_they_are_called() -> None:
    for call in (
        lambda x: tj.check(_square, x),
        lambda x: tj.export(_square, (x,), "square.so"),
        lambda x: tj.load_weights("weights"),
        lambda x: script(_square)(x),
        lambda x: tj.custom_vjp(_square)(x),
    ):
        with pytest.raises(tj.ScriptError, match="is not available in a script") as caught:
            script(call)(2.0)
        assert caught.value.filename == __file__


def _square(x: float) -> float:
    return x * x
