"""What a specialisation depends on: how often a function is compiled, and that no call runs stale code."""

from __future__ import annotations

import dataclasses
import types
from typing import NamedTuple

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import config, script
from tracejit.errors import ScriptError
from tracejit.ir.parser import parse
from tracejit.ir.verifier import verify

SCALE = 2.0
TABLE = np.array([1.0, 2.0, 3.0])
WEIGHTS = {"a": 2.0, "b": np.ones(3)}


@script
def doubled(x):
    return x * 2 + 1


# -- sizes -------------------------------------------------------------------------------------------------------


def test_a_thousand_shapes_compile_once():
    @script
    def f(x, y):
        return (x @ y).sum() + x[0, 0]

    rng = np.random.default_rng(0)
    for _ in range(1000):
        n, k, m = rng.integers(2, 12, 3)
        x, y = rng.normal(size=(n, k)), rng.normal(size=(k, m))
        assert np.isclose(f(x, y), (x @ y).sum() + x[0, 0])
    assert f.compiles == 1


def test_sizes_zero_and_one_have_their_own():
    @script
    def f(x):
        return x * 2

    for n in (5, 6, 7):
        f(np.ones(n))
    assert f.compiles == 1
    f(np.ones(1))
    assert f.compiles == 2
    f(np.ones(0))
    assert f.compiles == 3
    f(np.ones(1))
    f(np.ones(0))
    f(np.ones(100))
    assert f.compiles == 3


def test_each_axis_counts():
    @script
    def f(x):
        return x + 1

    for shape in ((3, 4), (1, 4), (3, 1), (1, 1), (0, 4), (7, 2), (1, 9)):
        assert f(np.zeros(shape)).shape == shape
    assert f.compiles == 5


def test_size_one_broadcasts_and_others_do_not():
    @script
    def f(x, y):
        return x + y

    assert f(np.ones(1), np.ones(4)).shape == (4,)
    assert f(np.ones(4), np.ones(4)).shape == (4,)
    with pytest.raises(ValueError, match=r"\(3,\) \(4,\)"):
        f(np.ones(3), np.ones(4))


def by_size(x):
    if x.shape[0] == 1:
        return x * x
    elif len(x) == 0:
        return None
    return "many"


def test_conditions_on_sizes_one_and_zero_are_known():
    for n in (3, 1, 0):
        check(by_size, np.ones(n))


def counted_up_to(x, n):
    rows, found = x.shape[0], []
    for i in range(rows):
        found.append((i < rows, i >= rows, i + 1 <= rows, i == n, i > n, rows > i, 0 <= i, i != -1))
    return rows > 1, rows >= 2, rows != 1, 1 < rows, rows == n, found


def test_conditions_that_loops_and_sizes_decide():
    for rows, n in ((5, 3), (2, 2), (1, 1), (0, 0)):
        check(counted_up_to, np.ones(rows), n)


# -- kinds of arguments ------------------------------------------------------------------------------------------


def test_dtypes_and_ranks():
    @script
    def f(x):
        return x + x

    for x in (
        np.ones(3),
        np.ones(3, np.float32),
        np.ones(3, np.int64),
        np.ones((3, 3)),
        np.ones(4),
        np.ones(5, np.float32),
    ):
        made = f(x)
        assert made.dtype == x.dtype
        assert np.array_equal(made, x + x)
    assert f.compiles == 4


def test_numbers_are_run_time_values():
    @script
    def f(x, n, flag):
        return x * n if flag else x - n

    for x in (1.0, 2.5, -3.0):
        for n in (1, 7, -2):
            assert f(x, n, True) == x * n
    assert f.compiles == 1
    assert f(1.0, 2, False) == -1.0
    assert f.compiles == 2
    assert f(1, 2, False) == -1
    assert type(f(1, 2, False)) is int
    assert f.compiles == 3


def test_numpy_scalars_keep_their_dtype():
    @script
    def f(x):
        return x * 2

    assert f(np.float32(1.5)).dtype == np.float32
    assert f(np.float64(1.5)).dtype == np.float64
    assert f(np.int16(3)).dtype == np.int16
    assert type(f(1.5)) is float
    assert f.compiles == 4


def test_texts_none_and_dtypes_are_compiled_in():
    @script
    def f(x, mode, dtype=None):
        if mode == "double":
            x = x * 2
        return x if dtype is None else x.astype(dtype)

    assert f(np.ones(2), "double")[0] == 2.0
    assert f(np.ones(2), "same")[0] == 1.0
    assert f(np.ones(2), "same", np.float32).dtype == np.float32
    assert f(np.ones(3), "double")[0] == 2.0
    assert f.compiles == 3


def test_an_int_that_decides_a_type_is_compiled_in():
    @script
    def f(x, axis):
        return x.sum(axis=axis)

    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(f(x, 0), x.sum(axis=0))
    assert np.array_equal(f(x, 1), x.sum(axis=1))
    assert np.array_equal(f(x + 1, 1), (x + 1).sum(axis=1))
    assert f.compiles == 2


def test_static_arguments():
    @script(static=("n",))
    def f(x, n):
        total = x
        for i in range(n):
            total = total + i
        return total

    assert f(1.0, 3) == 4.0
    assert f(2.0, 3) == 5.0
    assert f.compiles == 1
    assert f(2.0, 4) == 8.0
    assert f.compiles == 2


def test_functions_as_arguments():
    def plus(x):
        return x + 1

    def minus(x):
        return x - 1

    @script
    def f(g, x):
        return g(x)

    assert f(plus, 1.0) == 2.0
    assert f(minus, 1.0) == 0.0
    assert f(doubled, 1.0) == 3.0
    assert f(plus, 5.0) == 6.0
    assert f.compiles == 3


class Pair(NamedTuple):
    first: float
    second: float


@dataclasses.dataclass
class Box:
    content: np.ndarray
    scale: float = 2.0


def test_containers_are_arguments_of_their_own():
    @script
    def f(t, d, p, box):
        return t[0] + t[1] + d["k"] + p.first + (box.content * box.scale).sum()

    assert f((1, 2.0), {"k": 3.0}, Pair(4.0, 5.0), Box(np.ones(2))) == 14.0
    assert f((2, 2.0), {"k": 3.0}, Pair(4.0, 5.0), Box(np.ones(3), 1.0)) == 14.0
    assert f.compiles == 1
    assert f((1, 2.0, 9.0), {"k": 3.0, "unused": 1}, Pair(4.0, 5.0), Box(np.ones(2))) == 14.0
    assert f.compiles == 2


def test_keywords_and_defaults():
    @script
    def f(x, y=2.0, *rest, z=3.0, **more):
        total = x + y * z
        for r in rest:
            total = total + r
        return total + more.get("w", 0.0)

    assert f(1.0) == 7.0
    assert f(1.0, 5.0) == 16.0
    assert f(y=5.0, x=1.0) == 16.0
    assert f(1.0, z=1.0) == 3.0
    assert f(1.0, 2.0, 10.0, 20.0) == 37.0
    assert f(1.0, w=0.5) == 7.5
    with pytest.raises(TypeError):
        f()
    with pytest.raises(TypeError):
        f(1.0, x=2.0)


def test_layouts():
    @script
    def f(x):
        x[0] = 5.0
        return x.sum()

    base = np.zeros((4, 6))
    for x in (base[:, ::2], base.T, base, base[::-1], np.asfortranarray(base)):
        x[...] = 1.0
        expected = x.copy()
        expected[0] = 5.0
        assert f(x) == expected.sum()
        assert np.array_equal(x, expected)
    assert f.compiles == 3  # C order, Fortran order, any other


def test_the_same_array_twice():
    @script
    def f(a, b):
        a[0] = 7.0
        return b[0] + a[1]

    assert f(np.zeros(3), np.ones(3)) == 1.0
    x = np.zeros(3)
    assert f(x, x) == 7.0
    assert f(np.zeros(3), np.ones(3)) == 1.0
    y = np.zeros(5)
    assert f(y, y) == 7.0
    assert f.compiles == 2


def test_arguments_that_overlap_in_part_are_refused_when_written():
    @script
    def f(a, b):
        a[0] = 7.0
        return b[0]

    x = np.zeros(6)
    with pytest.raises(ValueError, match="overlap"):
        f(x[:4], x[2:])
    assert f(x[:3], x[3:]) == 0.0
    assert script(f.__wrapped__)(x[2::-1], x[3:]) == 0.0
    assert script(f.__wrapped__)(x[::2], x[1::2]) == 0.0
    for a, b in ((x[4::-1], x[3:]), (x[3:], x[4::-1]), (x, x[2:3]), (x[2:3], x)):
        with pytest.raises(ValueError, match="overlap"):
            script(f.__wrapped__)(a, b)


def test_read_only_arrays():
    @script
    def reads(a):
        return a.sum()

    @script
    def writes(a):
        a[0] = 1.0

    x = np.ones(3)
    x.flags.writeable = False
    assert reads(x) == 3.0
    with pytest.raises(ValueError, match="read-only"):
        writes(x)
    writes(np.ones(3))


def test_tensors_and_arrays_are_told_apart():
    assert isinstance(doubled(np.ones(3)), np.ndarray)
    assert isinstance(doubled(tj.tensor([1.0, 2.0])), tj.Tensor)


# -- the world outside -------------------------------------------------------------------------------------------


def test_a_changed_global_number_is_never_stale(monkeypatch):
    @script
    def f(x):
        return x * SCALE

    assert f(3.0) == 6.0
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert f(3.0) == 15.0
    assert f.compiles == 2
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert f(3.0) == 6.0
    assert f.compiles == 2


def test_a_global_that_goes_away(monkeypatch):
    @script
    def f(x):
        return x * SCALE

    assert f(3.0) == 6.0
    monkeypatch.delitem(globals(), "SCALE")
    with pytest.raises(NameError, match="SCALE"):
        f(3.0)
    monkeypatch.undo()
    assert f(3.0) == 6.0


def test_a_module_level_array_is_a_hidden_input(monkeypatch):
    @script
    def f(x):
        return TABLE * x

    assert np.array_equal(f(2.0), [2.0, 4.0, 6.0])
    monkeypatch.setitem(globals(), "TABLE", np.array([10.0, 20.0]))
    assert np.array_equal(f(2.0), [20.0, 40.0])
    assert f.compiles == 1
    TABLE[0] = 11.0
    assert np.array_equal(f(2.0), [22.0, 40.0])
    monkeypatch.setitem(globals(), "TABLE", np.array([1, 2]))
    assert f(2).dtype == np.int64
    monkeypatch.setitem(globals(), "TABLE", 7.0)
    assert f(2.0) == 14.0


def test_a_module_level_array_is_written_in_place():
    @script
    def f(x):
        TABLE[1] += x

    before = TABLE[1]
    f(0.5)
    f(0.5)
    assert TABLE[1] == before + 1.0
    TABLE[1] = before


def test_a_global_dict_of_numbers_and_arrays():
    @script
    def f(x):
        return x * WEIGHTS["a"] + WEIGHTS["b"].sum()

    assert f(1.0) == 5.0
    WEIGHTS["a"] = 3.0
    WEIGHTS["b"] = np.full(4, 2.0)
    assert f(1.0) == 11.0
    WEIGHTS.update(a=2.0, b=np.ones(3))
    assert f(1.0) == 5.0


def test_a_redefined_helper_is_never_stale(monkeypatch):
    def helper(x):
        return x + 1

    monkeypatch.setitem(globals(), "HELPER", helper)

    @script
    def f(x):
        return HELPER(x)  # noqa: F821

    assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "HELPER", lambda x: x + 10)
    assert f(1.0) == 11.0


def test_what_a_helper_reads_is_guarded_too(monkeypatch):
    def helper(x):
        return x * SCALE

    @script
    def f(x):
        return helper(x)

    assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    assert f(1.0) == 4.0


def test_closures():
    def make(k):
        @script
        def f(x):
            return x * k

        def change(value):
            nonlocal k
            k = value

        return f, change

    f, change = make(2.0)
    g, _ = make(3.0)
    assert (f(5.0), g(5.0)) == (10.0, 15.0)
    change(4.0)
    assert f(5.0) == 20.0
    assert f.compiles == 2
    change(np.ones(3))
    assert np.array_equal(f(5.0), np.full(3, 5.0))


def test_an_unset_closure_cell():
    @script
    def f(x):
        return x + later  # noqa: F821

    with pytest.raises(NameError):
        f(1.0)
    later = 2.0
    assert f(1.0) == 3.0


class Model:
    """An object with numbers and arrays."""

    factor = 2.0

    def __init__(self) -> None:
        self.weights = np.ones(3)
        self.bias = 0.5
        self.calls = 0

    @script
    def forward(self, x):
        return (self.weights * x).sum() * self.factor + self.bias

    @script
    def remember(self, x):
        self.last = x * 2
        return self.last + 1

    @property
    def total(self):
        return self.bias * 10

    @script
    def by_property(self, x):
        return x + self.total


def test_methods():
    model = Model()
    assert model.forward(2.0) == 12.5
    model.bias = 1.0
    assert model.forward(2.0) == 13.0
    model.weights = np.ones(5)
    assert model.forward(2.0) == 21.0
    model.weights[0] = 2.0
    assert model.forward(2.0) == 25.0
    other = Model()
    other.factor = 1.0
    assert other.forward(2.0) == 6.5
    assert model.forward(2.0) == 25.0
    assert Model.forward(model, 2.0) == 25.0


def test_attributes_are_set():
    model = Model()
    assert model.remember(3.0) == 7.0
    assert model.last == 6.0
    assert model.remember(4.0) == 9.0
    assert model.last == 8.0


def test_properties_are_looked_through():
    model = Model()
    assert model.by_property(1.0) == 6.0
    model.bias = 1.0
    assert model.by_property(1.0) == 11.0


def test_constants_of_modules_are_compiled_in():
    @script
    def f(x):
        return x * np.pi + settings.offset

    settings = types.SimpleNamespace(offset=1.0)
    assert f(1.0) == np.pi + 1.0
    settings.offset = 2.0
    assert f(1.0) == np.pi + 2.0


# -- switches ----------------------------------------------------------------------------------------------------


def test_disable_runs_plain_python(monkeypatch):
    seen = []

    @script
    def f(x):
        seen.append(x)
        return x + 1

    with config.override(disable=True):
        assert f(1.0) == 2.0
    assert seen == [1.0]
    assert f.compiles == 0


def test_disable_by_the_environment(monkeypatch):
    monkeypatch.setenv("TRACEJIT_DISABLE", "1")

    @script
    def f(x):
        return f"{x}!"

    assert f(1) == "1!"


def test_fallback_runs_plain_python_with_one_warning():
    @script(fallback=True)
    def f(x):
        return float(str(x).encode())

    with pytest.warns(RuntimeWarning, match="plain Python") as warned:
        assert f(3) == 3.0
        assert f(40) == 40.0
    assert len(warned) == 1


def test_no_silent_fallback():
    @script
    def f(x):
        return float(str(x).encode())

    with pytest.raises(ScriptError):
        f(3)


def test_script_of_a_script_is_itself():
    assert script(doubled) is doubled


def test_errors_keep_what_was_written():
    @script
    def f(a, i):
        a[0] = 9.0
        a[i] = 1.0
        a[1] = 8.0

    x = np.zeros(3)
    with pytest.raises(IndexError):
        f(x, 7)
    assert x.tolist() == [9.0, 0.0, 0.0]


def test_a_refusal_comes_before_any_effect():
    @script
    def f(a):
        a[0] = 9.0
        return len(str(a[0]))

    x = np.zeros(3)
    with pytest.raises(ScriptError):
        f(x)
    assert x[0] == 0.0


def test_options_reach_the_graph():
    scripted = tj.script(lambda x: x + 1, parallel=False, cache=False)
    scripted(np.ones(3))
    assert dict(scripted.last.compiled.graph.policy) == {"parallel": False, "cache": False}


def test_an_index_is_not_checked_without_boundscheck():
    def element(x, i):
        return x[i]

    checked, unchecked = tj.script(element), tj.script(element, boundscheck=False)
    assert checked(np.arange(3.0), -1) == unchecked(np.arange(3.0), -1) == 2.0
    assert "check(" in checked.graph
    assert "check(" not in unchecked.graph


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(TypeError, match="no option 'speed'"):
        tj.script(lambda x: x, speed="high")


def test_what_a_branch_made_to_join_its_sizes_stays_in_the_branch():
    def parts(a):
        x = np.zeros((2, 3)) if a.size == 0 else a[:6].reshape((2, 3))
        y = np.zeros(2) if a.size == 3 else np.ones(2)
        return x, y

    scripted = script(parts)
    x, y = scripted(np.arange(7.0))
    verify(parse(scripted.graph))
    np.testing.assert_array_equal(x, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(y, [1, 1])


def test_a_row_carried_by_a_loop_that_is_lowered_twice():
    def forward(rows, steps):
        score = rows[0]
        path = []
        for t in range(1, len(rows)):
            moved = score[:, None] + steps + rows[t]
            score = moved.max(0)
            path.append(int(moved.argmax()))
        return path, score

    check(forward, np.arange(12.0).reshape(4, 3), np.eye(3))
