"""The native call path: what it accepts, what it hands on, what it gives back."""

from __future__ import annotations

import gc
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from ctypes import c_int64
from types import CellType
from typing import Any

import numpy as np
import pytest

from tracejit.codegen.loop_ir import ErrorSite
from tracejit.errors import Span
from tracejit.ir.types import I64 as I64_TYPE
from tracejit.runtime import dispatch
from tracejit.runtime.dispatch_tables import NativeContext
from tracejit.runtime.engine import engine, link_support
from tracejit.runtime.failure import error_hook
from tracejit.runtime.guards import (
    Argument,
    ArgumentResult,
    ArrayGuard,
    ArrayResult,
    BoolGuard,
    BoxedGuard,
    ConstantResult,
    IntGuard,
    IsGuard,
    NativeEntry,
    NumberResult,
    NumbersGuard,
    Output,
    ResultPlan,
    SameResult,
    TypeGuard,
)
from tracejit.runtime.specialisation import Specialisation

pytestmark = pytest.mark.skipif(not dispatch.is_available(), reason="no native call path on this interpreter")

F32, F64, I64 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")
SLOW = object()

ENTRIES = """
declare ptr @tj_alloc(i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; out[0] = x + 1 for a C-order f64 vector x
define i32 @increment(ptr %in, ptr %out, ptr %ctx) {
  %x = load ptr, ptr %in
  %shape.at = getelementptr i8, ptr %in, i64 16
  %shape = load ptr, ptr %shape.at
  %n = load i64, ptr %shape
  %bytes = shl i64 %n, 3
  %y = call ptr @tj_alloc(i64 %bytes)
  store ptr %y, ptr %out
  %out.shape.at = getelementptr i8, ptr %out, i64 16
  %out.shape = load ptr, ptr %out.shape.at
  store i64 %n, ptr %out.shape
  br label %head
head:
  %i = phi i64 [0, %0], [%next, %body]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %body, label %done
body:
  %from = getelementptr double, ptr %x, i64 %i
  %to = getelementptr double, ptr %y, i64 %i
  %v = load double, ptr %from
  %w = fadd double %v, 1.0
  store double %w, ptr %to
  %next = add i64 %i, 1
  br label %head
done:
  ret i32 0
}

; out[0] = the 16 bytes of the scalar in[0]
define i32 @echo(ptr %in, ptr %out, ptr %ctx) {
  %x = load ptr, ptr %in
  %y = load ptr, ptr %out
  %bits = load i64, ptr %x, align 1
  store i64 %bits, ptr %y
  ret i32 0
}
define i32 @echo16(ptr %in, ptr %out, ptr %ctx) {
  %x = load ptr, ptr %in
  %y = load ptr, ptr %out
  call void @llvm.memcpy.p0.p0.i64(ptr %y, ptr %x, i64 16, i1 false)
  ret i32 0
}

; out[0] = the strides of the matrix in[0], in elements
define i32 @strides(ptr %in, ptr %out, ptr %ctx) {
  %at = getelementptr i8, ptr %in, i64 24
  %strides = load ptr, ptr %at
  %y = call ptr @tj_alloc(i64 16)
  call void @llvm.memcpy.p0.p0.i64(ptr %y, ptr %strides, i64 16, i1 false)
  store ptr %y, ptr %out
  %out.shape.at = getelementptr i8, ptr %out, i64 16
  %out.shape = load ptr, ptr %out.shape.at
  store i64 2, ptr %out.shape
  ret i32 0
}

; in[0][0] = 7, no output
define i32 @write(ptr %in, ptr %out, ptr %ctx) {
  %x = load ptr, ptr %in
  store double 7.0, ptr %x
  ret i32 0
}

; runs out of memory
define i32 @starve(ptr %in, ptr %out, ptr %ctx) {
  ret i32 -1
}

; fails with error 2 and payload 41
define i32 @fail(ptr %in, ptr %out, ptr %ctx) {
  store i64 41, ptr %ctx
  ret i32 3
}
"""
NAMES = ("increment", "echo", "echo16", "strides", "write", "fail", "starve")


@pytest.fixture(scope="module")
def entries() -> dict[str, int]:
    return dict(zip(NAMES, link_support(ENTRIES, NAMES, {}), strict=True))


@pytest.fixture(scope="module", params=["call_path_at_once", "call_path"], autouse=True)
def call_path(request: pytest.FixtureRequest) -> Iterator[None]:
    """The native path as it is made at first, and as it is made again where calls are many."""
    call = dispatch._linked(getattr(engine(), request.param)())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "_native_call", lambda: call)
        yield


class Boom(Exception):
    pass


def make_boom(status: int, context: int) -> Boom:
    return Boom(status, NativeContext.from_address(context).payload[0])


def slow(*args: Any, **kwargs: Any) -> Any:
    return SLOW


def native(address: int, *outputs: Output, **options: Any) -> NativeEntry:
    return NativeEntry(address, outputs, make_boom, **options)


def single(*leaves: Any) -> ResultPlan:
    return ResultPlan(leaves)


@pytest.fixture
def increment(entries: dict[str, int]) -> Callable[..., Any]:
    guard = Argument(ArrayGuard(F64, ("n",)), 0)
    return dispatch.build_entry(native(entries["increment"], Output(F64, 1)), [guard], single(ArrayResult(0)), slow)


def echo(entries: dict[str, int], guard: Any, dtype: Any, boxed: bool = False) -> Callable[..., Any]:
    entry = native(entries["echo16" if np.dtype(dtype).itemsize == 16 else "echo"], Output(np.dtype(dtype), 0, True))
    return dispatch.build_entry(entry, [Argument(guard, 0)], single(NumberResult(0, boxed)), slow)


# -- guards ---------------------------------------------------------------------------------------------------


def test_an_array_that_fits_runs_natively(increment: Any) -> None:
    result = increment(np.arange(5.0))
    np.testing.assert_array_equal(result, np.arange(1.0, 6.0))
    assert result.flags.owndata and result.flags.writeable and result.flags.c_contiguous
    assert increment._specialisations[0].hits == 1


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize(
    "argument",
    [
        np.arange(4.0)[::2],
        np.arange(4, dtype="f4"),
        np.arange(4, dtype=">f8"),
        np.arange(4.0).reshape(2, 2),
        np.ones(1),
        np.ones(0),
        np.float64(3),
        [1.0, 2.0],
        None,
        np.arange(4.0).view(Subclass),
        np.frombuffer(b"\0" * 17, np.uint8)[1:].view("f8"),
    ],
    ids=["strided", "dtype", "swapped", "rank", "one", "empty", "scalar", "list", "none", "subclass", "misaligned"],
)
def test_anything_else_goes_to_slow_call(increment: Any, argument: Any) -> None:
    assert increment(argument) is SLOW


def test_other_numbers_of_arguments_go_to_slow_call(increment: Any) -> None:
    x = np.arange(4.0)
    assert increment() is SLOW
    assert increment(x, x) is SLOW
    assert increment(x, k=1) is SLOW


def test_size_classes(entries: dict[str, int]) -> None:
    def make(dim: Any) -> Callable[..., Any]:
        entry = native(entries["increment"], Output(F64, 1))
        return dispatch.build_entry(entry, [Argument(ArrayGuard(F64, (dim,)), 0)], single(ArrayResult(0)), slow)

    accepted = {dim: [n for n in range(4) if make(dim)(np.zeros(n)) is not SLOW] for dim in (0, 1, 3, "n", None)}
    assert accepted == {0: [0], 1: [1], 3: [3], "n": [2, 3], None: [0, 1, 2, 3]}


def test_dims_of_one_name_must_agree(entries: dict[str, int]) -> None:
    arguments = [Argument(ArrayGuard(F64, ("n",)), 0), Argument(ArrayGuard(F64, ("n", "m")), 1)]
    f = dispatch.build_entry(native(entries["increment"], Output(F64, 1)), arguments, single(ArrayResult(0)), slow)
    assert f(np.zeros(3), np.zeros((3, 5))) is not SLOW
    assert f(np.zeros(3), np.zeros((5, 3))) is SLOW


def test_strides_arrive_in_elements(entries: dict[str, int]) -> None:
    guard = Argument(ArrayGuard(F64, ("n", "m"), order=None), 0)
    f = dispatch.build_entry(native(entries["strides"], Output(I64, 1)), [guard], single(ArrayResult(0)), slow)
    x = np.zeros((6, 8))
    assert f(x).tolist() == [8, 1]
    assert f(x.T[::-2, 1::3]).tolist() == [-2, 24]
    guard = Argument(ArrayGuard(F64, ("n", "m"), order="any"), 0)
    f = dispatch.build_entry(native(entries["strides"], Output(I64, 1)), [guard], single(ArrayResult(0)), slow)
    assert f(x) is SLOW and f(x.T) is SLOW
    assert f(x.T[::2]).tolist() == [2, 8]


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_order_of_memory_is_guarded(order: str, entries: dict[str, int]) -> None:
    guards = [Argument(ArrayGuard(F64, ("n",)), 0), Argument(ArrayGuard(F64, ("n", "m"), order=order), 1)]
    entry = dispatch.build_entry(native(entries["increment"], Output(F64, 1)), guards, single(ArrayResult(0)), slow)
    x = np.zeros((6, 8), order=order)

    def f(x):
        return entry(np.zeros(len(x)), x)

    assert f(x) is not SLOW
    assert all(f(other) is SLOW for other in (x.T, x[::2], x[:, ::2]))


def test_a_stride_that_is_no_multiple_of_the_element_misses(entries: dict[str, int]) -> None:
    guard = Argument(ArrayGuard(np.dtype("c16"), ("n", "m"), order=None), 0)
    f = dispatch.build_entry(native(entries["strides"], Output(I64, 1)), [guard], single(ArrayResult(0)), slow)
    record = np.zeros((4, 4), dtype=[("a", "f8"), ("b", "c16")])
    assert f(record["b"]) is SLOW


def test_python_numbers(entries: dict[str, int]) -> None:
    assert echo(entries, BoxedGuard(float), "f8")(2.5) == 2.5
    assert echo(entries, IntGuard(), "i8")(-(2**63)) == -(2**63)
    assert echo(entries, IntGuard(), "i8")(2**63) is SLOW
    assert echo(entries, IntGuard(), "i8")(True) is SLOW
    assert echo(entries, BoolGuard(), "?")(True) is True
    assert echo(entries, BoolGuard(), "?")(False) is False
    assert echo(entries, BoolGuard(), "?")(1) is SLOW
    assert echo(entries, BoxedGuard(complex), "c16")(1 - 2j) == 1 - 2j
    assert echo(entries, BoxedGuard(float), "f8")(2) is SLOW


def test_lists_of_numbers(entries: dict[str, int]) -> None:
    arguments = [Argument(NumbersGuard(float, 3), 0)]
    f = dispatch.build_entry(native(entries["increment"], Output(F64, 1)), arguments, single(ArrayResult(0)), slow)
    assert f([0.5, 1.5, -2.5]).tolist() == [1.5, 2.5, -1.5]
    for other in ([0.5, 1.5], [0.5, 1.5, 2], (0.5, 1.5, 2.5), [], [1, 2, 3], [None, 0.5, 1.5], np.zeros(3)):
        assert f(other) is SLOW


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16", "?"])
def test_numpy_scalars(entries: dict[str, int], dtype: str) -> None:
    number = np.dtype(dtype).type(1)
    result = echo(entries, BoxedGuard(type(number)), dtype, boxed=True)(number)
    assert result == number and type(result) is type(number)


def test_static_values_are_compared_by_identity(entries: dict[str, int]) -> None:
    arguments = [Argument(ArrayGuard(F64, ("n",)), 0), Argument(IsGuard("mean"), 1), Argument(IsGuard(None), 2)]
    f = dispatch.build_entry(native(entries["increment"], Output(F64, 1)), arguments, single(ArrayResult(0)), slow)
    x = np.zeros(3)
    assert f(x, "mean", None) is not SLOW
    assert f(x, "sum", None) is SLOW
    assert f(x, "mean", 0) is SLOW


def test_containers_and_paths(entries: dict[str, int]) -> None:
    cell = CellType(np.zeros(3))
    namespace = {"scale": 2.0}

    class Layer:
        def __init__(self) -> None:
            self.weight = np.zeros(4)

    array = ArrayGuard(F64, ("n",))
    arguments = [
        Argument(TypeGuard(tuple, 2), 0),
        Argument(array, 0, (("tuple", 1),)),
        Argument(TypeGuard(dict), 1),
        Argument(BoxedGuard(float), 1, (("item", "scale"),)),
        Argument(TypeGuard(Layer), 2),
        Argument(ArrayGuard(F64, (4,)), 2, (("attribute", "weight"),)),
        Argument(array, -1, (("cell", None),), constant=cell),
        Argument(BoxedGuard(float), -1, (("item", "scale"),), constant=namespace),
    ]
    f = dispatch.build_entry(native(entries["increment"], Output(F64, 1)), arguments, single(ArrayResult(0)), slow)
    pair, table, layer = (1, np.zeros(3)), {"scale": 1.0}, Layer()
    assert f(pair, table, layer).tolist() == [1.0, 1.0, 1.0]
    assert f((1, 2, 3), table, layer) is SLOW
    assert f(list(pair), table, layer) is SLOW
    assert f(pair, {}, layer) is SLOW
    namespace["scale"] = 2  # type: ignore[assignment]
    assert f(pair, table, layer) is SLOW
    namespace["scale"] = 3.0
    del layer.weight
    assert f(pair, table, layer) is SLOW


def test_a_missing_path_leaves_no_error_behind(entries: dict[str, int]) -> None:
    arguments = [Argument(BoxedGuard(float), 0, (("attribute", "missing"),))]
    f = dispatch.build_entry(native(entries["echo"], Output(F64, 0, True)), arguments, single(NumberResult(0)), slow)
    assert f(object()) is SLOW
    f = dispatch.build_entry(
        native(entries["echo"], Output(F64, 0, True)),
        [Argument(BoxedGuard(float), 0, (("item", "x"),))],
        single(NumberResult(0)),
        slow,
    )
    assert f(3) is SLOW


# -- results --------------------------------------------------------------------------------------------------


def test_result_shapes(entries: dict[str, int]) -> None:
    entry = native(entries["increment"], Output(F64, 1))
    arguments = [Argument(ArrayGuard(F64, ("n",)), 0)]
    leaves = (ArrayResult(0), ConstantResult("x"), ArgumentResult(0), SameResult(0))
    x = np.zeros(2)
    result = dispatch.build_entry(entry, arguments, ResultPlan(leaves, "tuple"), slow)(x)
    assert isinstance(result, tuple) and len(result) == 4
    assert result[1] == "x" and result[2] is x and result[3] is result[0]

    plan = ResultPlan(leaves, "finish", lambda *parts: {"parts": parts})
    assert dispatch.build_entry(entry, arguments, plan, slow)(x)["parts"][2] is x


def test_an_error_in_finish_propagates(entries: dict[str, int]) -> None:
    def finish(*parts: Any) -> None:
        raise Boom

    entry = native(entries["increment"], Output(F64, 1))
    plan = ResultPlan((ArrayResult(0),), "finish", finish)
    with pytest.raises(Boom):
        dispatch.build_entry(entry, [Argument(ArrayGuard(F64, ("n",)), 0)], plan, slow)(np.zeros(2))


def test_a_scalar_output_can_become_a_0d_array(entries: dict[str, int]) -> None:
    entry = native(entries["echo"], Output(F64, 0, True))
    result = dispatch.build_entry(entry, [Argument(BoxedGuard(float), 0)], single(ArrayResult(0)), slow)(4.5)
    assert result.shape == () and result[()] == 4.5 and result.flags.owndata


def test_a_large_result_is_owned_by_a_capsule(entries: dict[str, int]) -> None:
    entry = native(entries["increment"], Output(F64, 1))
    increment = dispatch.build_entry(entry, [Argument(ArrayGuard(F64, ("n",)), 0)], single(ArrayResult(0)), slow)
    result = increment(np.zeros(300_000))
    assert result.base is not None and not result.flags.owndata and result[-1] == 1.0
    view = result[5:]
    del result
    gc.collect()
    assert view[0] == 1.0


def test_a_failure_reaches_the_error_hook(entries: dict[str, int]) -> None:
    f = dispatch.build_entry(native(entries["fail"], Output(F64, 1)), [], single(ArrayResult(0)), slow)
    with pytest.raises(Boom) as raised:
        f()
    assert raised.value.args == (3, 41)


def test_running_out_of_memory_is_a_memory_error(entries: dict[str, int]) -> None:
    entry = NativeEntry(entries["starve"], (), error_hook(()))
    with pytest.raises(MemoryError):
        dispatch.build_entry(entry, [], single(), slow)()


def test_the_traceback_of_the_error_is_kept(entries: dict[str, int]) -> None:
    site = ErrorSite("IndexError", "index {0}", (I64_TYPE,), Span("user.py", 12, function="user"))
    entry = NativeEntry(entries["fail"], (), error_hook((site,) * 3))
    f = dispatch.build_entry(entry, [], single(), slow)
    with pytest.raises(IndexError, match="index 41") as raised:
        f()
    names = [frame.name for frame in traceback.extract_tb(raised.tb)]
    assert names == ["test_the_traceback_of_the_error_is_kept", "user"]


# -- writes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def write(entries: dict[str, int]) -> Callable[..., Any]:
    arguments = [
        Argument(ArrayGuard(F64, ("n",), inout=True), 0),
        Argument(ArrayGuard(F64, (None,), order=None), 1),
    ]
    return dispatch.build_entry(native(entries["write"]), arguments, single(ConstantResult(None)), slow)


def test_a_write_reaches_the_argument(write: Any) -> None:
    x = np.zeros(3)
    assert write(x, np.zeros(3)) is None
    assert x.tolist() == [7.0, 0.0, 0.0]


def test_shared_memory_with_a_written_argument_misses(write: Any) -> None:
    x = np.zeros(10)
    assert write(x, x) is SLOW
    assert write(x[2:6], x[5:8]) is SLOW
    assert write(x[2:6], x[7:4:-1]) is SLOW
    assert write(x[2:6], x[6:8]) is None
    assert write(x[2:6], x[1::-1]) is None
    assert write(x[2:6], x[3:3]) is None


def test_a_read_only_array_is_not_written(write: Any) -> None:
    x = np.zeros(3)
    x.flags.writeable = False
    assert write(x, np.zeros(3)) is SLOW


# -- Tensors --------------------------------------------------------------------------------------------------


class Wrapped:
    __slots__ = ("__weakref__", "_data", "_grad_fn", "_owner", "_version", "extra", "_requires_grad")

    def __init__(self, data: Any) -> None:
        self._data, self._requires_grad, self._grad_fn, self._version, self._owner = data, False, None, 0, None


class SubWrapped(Wrapped):
    __slots__ = ()


@pytest.fixture
def wrapped_increment(entries: dict[str, int]) -> Callable[..., Any]:
    guard = Argument(ArrayGuard(F64, ("n",), tensor=Wrapped), 0)
    result = single(ArrayResult(0, Wrapped(None)))
    return dispatch.build_entry(native(entries["increment"], Output(F64, 1)), [guard], result, slow)


def test_a_tensor_in_gives_a_tensor_out(wrapped_increment: Any) -> None:
    result = wrapped_increment(Wrapped(np.zeros(2)))
    assert type(result) is Wrapped and result._data.tolist() == [1.0, 1.0]
    assert result._requires_grad is False and result._version == 0 and result._grad_fn is None
    assert not hasattr(result, "extra")
    assert weakref.ref(result)() is result


def test_only_tensors_that_need_no_gradient_fit(wrapped_increment: Any) -> None:
    x = Wrapped(np.zeros(2))
    x._requires_grad = True
    assert wrapped_increment(x) is SLOW
    assert wrapped_increment(np.zeros(2)) is SLOW
    assert type(wrapped_increment(SubWrapped(np.zeros(2)))) is Wrapped


def test_a_guard_may_ask_for_requires_grad(entries: dict[str, int]) -> None:
    def accepts(wanted: bool | None) -> list[bool]:
        guard = Argument(ArrayGuard(F64, ("n",), tensor=Wrapped, requires_grad=wanted), 0)
        entry = native(entries["increment"], Output(F64, 1))
        f = dispatch.build_entry(entry, [guard], single(ArrayResult(0)), slow)
        x, y = Wrapped(np.zeros(2)), Wrapped(np.zeros(2))
        y._requires_grad = True
        return [f(x) is not SLOW, f(y) is not SLOW]

    assert accepts(False) == [True, False]
    assert accepts(True) == [False, True]
    assert accepts(None) == [True, True]


def test_writing_a_tensor_raises_its_version(entries: dict[str, int]) -> None:
    guard = Argument(ArrayGuard(F64, ("n",), inout=True, tensor=Wrapped), 0)
    f = dispatch.build_entry(native(entries["write"]), [guard], single(ConstantResult(None)), slow)
    x, view = Wrapped(np.zeros(4)), Wrapped(np.zeros(2))
    view._owner = x
    f(x)
    f(view)
    assert x._version == 2 and view._version == 0


# -- the callable ---------------------------------------------------------------------------------------------


class Doubling(dispatch.FastCallable):
    """A callable with state."""

    def slow_call(self, *args: Any, **kwargs: Any) -> Any:
        return "slow", args, kwargs


def test_before_anything_is_installed_calls_are_slow() -> None:
    assert Doubling()(1, k=2) == ("slow", (1,), {"k": 2})


def test_specialisations_are_tried_in_order(entries: dict[str, int]) -> None:
    f = Doubling()
    for dim in (1, "n"):
        entry = native(entries["increment"], Output(F64, 1))
        f.install(Specialisation(entry, [Argument(ArrayGuard(F64, (dim,)), 0)], single(ArrayResult(0)), 1))
    f(np.zeros(1)), f(np.zeros(2)), f(np.zeros(3))
    assert [s.hits for s in f._specialisations] == [1, 2]
    assert f(np.zeros(0))[0] == "slow"


def test_keywords_in_the_order_of_the_specialisation(entries: dict[str, int]) -> None:
    f = Doubling()
    arguments = [Argument(ArrayGuard(F64, ("n",)), 1), Argument(BoxedGuard(float), 2), Argument(IsGuard(None), 0)]
    entry = native(entries["increment"], Output(F64, 1))
    f.install(Specialisation(entry, arguments, single(ArrayResult(0)), 1, ("x", "scale")))
    x = np.zeros(2)
    assert f(None, x=x, scale=1.0).tolist() == [1.0, 1.0]
    assert f(None, scale=1.0, x=x)[0] == "slow"
    assert f(None, x, scale=1.0)[0] == "slow"


def test_it_binds_as_a_method(entries: dict[str, int]) -> None:
    f = Doubling()

    class Model:
        step = f

    model = Model()
    assert Model.step is f
    assert model.step(3) == ("slow", (model, 3), {})
    f.install(
        Specialisation(
            native(entries["increment"], Output(F64, 1)),
            [Argument(TypeGuard(Model), 0), Argument(ArrayGuard(F64, ("n",)), 1)],
            single(ArrayResult(0)),
            2,
        )
    )
    assert model.step(np.zeros(2)).tolist() == [1.0, 1.0]


def test_it_is_an_ordinary_object() -> None:
    f = Doubling()
    f.name = "f"  # type: ignore[attr-defined]
    f.itself = f  # type: ignore[attr-defined]
    alive = weakref.ref(f)
    del f
    gc.collect()
    assert alive() is None


def test_where_the_native_path_is_off_calls_are_slow(monkeypatch: pytest.MonkeyPatch, entries: dict[str, int]) -> None:
    monkeypatch.setattr(dispatch, "_native_call", lambda: None)
    f = Doubling()
    entry = native(entries["increment"], Output(F64, 1))
    f.install(Specialisation(entry, [Argument(ArrayGuard(F64, ("n",)), 0)], single(ArrayResult(0)), 1))
    assert f(np.zeros(2))[0] == "slow"


# -- references -----------------------------------------------------------------------------------------------


def references(*things: Any) -> list[int]:
    return [sys.getrefcount(thing) for thing in things]


def test_calls_keep_reference_counts(increment: Any, wrapped_increment: Any, entries: dict[str, int]) -> None:
    marker = type("Marker", (), {})()
    x, t = np.zeros(3), Wrapped(np.zeros(3))
    pair = (x, marker)
    tupled = dispatch.build_entry(
        native(entries["increment"], Output(F64, 1), release_above=0),
        [Argument(TypeGuard(tuple, 2), 0), Argument(ArrayGuard(F64, ("n",)), 0, (("tuple", 0),))],
        ResultPlan((ArrayResult(0), ConstantResult(marker), ArgumentResult(0)), "tuple"),
        slow,
    )
    failing = dispatch.build_entry(native(entries["fail"]), [Argument(IsGuard(marker), 0)], single(), slow)
    gc.collect()
    watched = (x, t, t._data, marker, pair, F64, make_boom, Wrapped, increment)
    before = references(*watched)
    for _ in range(50):
        increment(x)
        increment(x[::2])
        wrapped_increment(t)
        tupled(pair)
        tupled((x,))
        with pytest.raises(Boom):
            failing(marker)
    assert references(*watched) == before


def test_results_are_freed(increment: Any) -> None:
    """The address of a freed result comes back sooner or later."""
    seen = {increment(np.zeros(100)).ctypes.data for _ in range(200)}
    assert len(seen) < 100


def test_the_lock_can_be_released(entries: dict[str, int]) -> None:
    entry = native(entries["increment"], Output(F64, 1), release_above=2)
    f = dispatch.build_entry(entry, [Argument(ArrayGuard(F64, ("n",)), 0)], single(ArrayResult(0)), slow)
    assert f(np.zeros(2)).tolist() == [1.0, 1.0]
    assert f(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_the_table_is_found_where_objects_are() -> None:
    """The words that native code reads are the ones Python writes."""
    f = Doubling()
    f._chain = 0
    from tracejit.runtime.callable_type import CHAIN_OFFSET

    assert c_int64.from_address(id(f) + CHAIN_OFFSET).value == 0
