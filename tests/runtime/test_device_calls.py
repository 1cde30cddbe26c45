"""Scripts on arrays of a GPU, called as users call them, on a stand-in for CuPy: what is found again, what is compiled
anew, what is refused."""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.cuda_shim.shim_device import MISSING
from tests.cuda_shim.stand_in import stand_in
from tracejit.frontend.boundary.signature import spec_of
from tracejit.scripted.device_calls import Keys, NoKey

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")

FACTOR = 2.0
TABLE = {"shift": 1.0}


@pytest.fixture
def cupy(tmp_path: Path) -> Iterator[ModuleType]:
    with stand_in(tmp_path) as module:
        yield module


def scaled(x: Any, w: Any = 3.0) -> Any:
    return x * w + 1.0


def on(cupy: Any, *values: float, dtype: str = "float64") -> Any:
    return cupy.asarray(np.array(values, dtype))


def known(fn: Any) -> int:
    """How many kinds of calls are found at once."""
    return len(fn._device_calls.served)


def is_found(fn: Any, *args: Any, **kwargs: Any) -> bool:
    return fn._device_calls.find(args, kwargs) is not None


def test_sizes_from_two_up_and_numbers_are_found_again(cupy: Any) -> None:
    fn = tj.script(scaled)
    for n in (2, 5, 7):
        for w in (2.0, 0.5):
            x = np.arange(n, dtype=float)
            np.testing.assert_array_equal(fn(cupy.asarray(x), w).get(), x * w + 1)
    assert (fn.compiles, known(fn)) == (1, 1)
    assert is_found(fn, on(cupy, 1, 2, 3), 9.0)


def test_defaults_and_keywords_are_found(cupy: Any) -> None:
    fn = tj.script(scaled)
    x = on(cupy, 1, 2)
    np.testing.assert_array_equal(fn(x).get(), [4, 7])
    np.testing.assert_array_equal(fn(x, w=2.0).get(), [3, 5])
    np.testing.assert_array_equal(fn(w=2.0, x=x).get(), [3, 5])
    assert (fn.compiles, known(fn)) == (1, 1)
    with pytest.raises(TypeError, match="argument"):
        fn(x, 1.0, 2.0)
    with pytest.raises(TypeError, match="missing"):
        fn(w=1.0)


@pytest.mark.parametrize("other", ["size 1", "dtype", "rank", "strided", "int", "scalar", "tensor", "grad"])
def test_another_kind_of_argument_is_not_found(cupy: Any, other: str) -> None:
    fn = tj.script(scaled)
    fn(on(cupy, 1, 2, 3, 4), 2.0)
    x, w = on(cupy, 1, 2, 3, 4), 2.0
    changed: dict[str, tuple[Any, Any]] = {
        "size 1": (x[:1], w),
        "dtype": (on(cupy, 1, 2, dtype="float32"), w),
        "rank": (x.reshape(2, 2), w),
        "strided": (x[::2], w),
        "int": (x, 2),
        "scalar": (x, np.float64(2.0)),
        "tensor": (tj.asarray(x), w),
        "grad": (tj.asarray(x).requires_grad_(), w),
    }
    assert is_found(fn, x, w)
    assert not is_found(fn, *changed[other])


def test_results_are_those_of_the_kind_of_call(cupy: Any) -> None:
    fn = tj.script(scaled)
    x = on(cupy, 1, 2, 3, 4)
    for given in (x, x[::2], x.reshape(2, 2), tj.asarray(x), tj.asarray(x).requires_grad_()) * 2:
        found = fn(given, 2.0)
        assert type(found) is type(given)
        raw = found.detach()._data if isinstance(found, tj.Tensor) else found
        base = given.detach()._data if isinstance(given, tj.Tensor) else given
        np.testing.assert_array_equal(raw.get(), base.get() * 2 + 1)
        assert getattr(found, "requires_grad", False) == getattr(given, "requires_grad", False)
    assert fn.compiles == 5


def outer(x: Any) -> Any:
    return x * FACTOR + TABLE["shift"]


def test_outer_values_are_read_anew(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = tj.script(outer)
    x = on(cupy, 1, 2)
    for factor, shift in ((2.0, 1.0), (2.0, 1.0), (3.0, 1.0), (3.0, 5.0), (2.0, 1.0)):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        monkeypatch.setitem(TABLE, "shift", shift)
        np.testing.assert_array_equal(fn(x).get(), np.array([1, 2]) * factor + shift)


def reduced(x: Any, axis: int) -> Any:
    return x.sum(axis=axis)


def test_numbers_that_decide_a_type_are_told_apart(cupy: Any) -> None:
    fn = tj.script(reduced)
    x = np.arange(6.0).reshape(2, 3)
    for axis in (0, 1, 0, 1):
        np.testing.assert_array_equal(fn(cupy.asarray(x), axis).get(), x.sum(axis=axis))
    assert fn.compiles == 2


def test_static_parameters_are_found_by_value(cupy: Any) -> None:
    fn = tj.script(scaled, static=("w",))
    x = on(cupy, 1, 2)
    for w in (2.0, 3.0, 2.0, 2):
        found = fn(x, w)
        np.testing.assert_array_equal(found.get(), x.get() * w + 1)
        assert is_found(fn, x, w)
    assert (fn.compiles, known(fn)) == (3, 3)
    assert not is_found(fn, x, 4.0)


def written(x: Any, y: Any) -> Any:
    x[1:] = x[1:] + y[:-1]
    return x.sum()


def test_arrays_that_are_one_memory_are_one_in_the_graph(cupy: Any) -> None:
    fn = tj.script(written)
    x, y = on(cupy, 1, 2, 3), on(cupy, 10, 20, 30)
    assert float(fn(x, y)) == 36.0
    np.testing.assert_array_equal(x.get(), [1, 12, 23])
    for _ in range(2):
        x = on(cupy, 1, 2, 3)
        assert float(fn(x, x)) == 9.0
        np.testing.assert_array_equal(x.get(), [1, 3, 5])


def test_arrays_that_overlap_in_part_are_refused_where_one_is_written(cupy: Any) -> None:
    fn = tj.script(written)
    x = on(cupy, 1, 2, 3, 4)
    fn(on(cupy, 1, 2, 3), on(cupy, 1, 2, 3))
    with pytest.raises(ValueError, match="overlap in memory"):
        fn(x[:3], x[1:])
    np.testing.assert_array_equal(x.get(), [1, 2, 3, 4])
    assert float(fn(x[:2], x[2:])) == 6.0


class Layer(tj.nn.Module):
    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.weight = tj.nn.Parameter(tj.asarray(weight))
        self.scale = 1000

    def forward(self, x: Any) -> Any:
        return x * self.weight * self.scale


def test_modules_are_found_by_identity_and_guarded(cupy: Any) -> None:
    layer = Layer(on(cupy, 1, 2))
    fn = tj.script(layer)
    x = tj.asarray(on(cupy, 1, 1))

    def value() -> list[float]:
        return fn(x).detach()._data.get().tolist()

    assert value() == value() == [1000, 2000]
    layer.scale = 10
    assert value() == value() == [10, 20]
    layer.weight = tj.nn.Parameter(tj.asarray(on(cupy, 3, 4)))
    assert value() == value() == [30, 40]
    loss = fn(x).sum()
    loss.backward()
    np.testing.assert_array_equal(layer.weight.grad._data.get(), [10, 10])


def test_no_grad_is_no_other_specialisation(cupy: Any) -> None:
    fn = tj.script(scaled)
    x = tj.asarray(on(cupy, 1, 2)).requires_grad_()
    assert fn(x).requires_grad
    with tj.no_grad():
        assert not fn(x).requires_grad
    assert fn(x).requires_grad
    assert fn.compiles == 1


def test_gradients_add_up(cupy: Any) -> None:
    fn = tj.script(scaled)
    x = tj.asarray(on(cupy, 1, 2)).requires_grad_()
    for times in (1, 2, 3):
        fn(x, 2.0).sum().backward()
        np.testing.assert_array_equal(x.grad._data.get(), [2.0 * times] * 2)


def element(x: Any, k: int) -> Any:
    total = 0.0
    for i in range(k):
        total = total + x[i]
    return total, k + 1, x


def test_errors_and_results_of_every_kind(cupy: Any) -> None:
    fn = tj.script(element)
    x = on(cupy, 1, 2, 3)
    for _ in range(3):
        total, more, same = fn(x, 3)
        assert (total, more) == (6.0, 4)
        assert type(total) is np.float64
        assert type(more) is int
        assert same is x
        with pytest.raises(IndexError) as error:
            fn(x, 4)
        assert error.traceback[-1].name == "element"
        assert error.value.__cause__ is None
    assert fn.compiles == 1


def pair(x: Any, n: int) -> Any:
    return x + n, n * 2, (x * x).sum()


@pytest.mark.parametrize("tensors", [False, True])
def test_tuples_of_results(cupy: Any, tensors: bool) -> None:
    fn = tj.script(pair)
    x = on(cupy, 1, 2, 3)
    given = tj.asarray(x) if tensors else x
    for n in (1, 2):
        shifted, doubled, total = fn(given, n)
        assert type(shifted) is type(given)
        assert (type(doubled), doubled) == (int, 2 * n)
        assert isinstance(total, tj.Tensor) == tensors
        assert float(total) == 14.0


def settled(x: Any, w: Any) -> Any:
    n = 0
    while (x * x).sum() > 1.0:
        x = x * w
        n += 1
    return x, n


def test_calls_of_several_threads_have_frames_of_their_own(cupy: Any) -> None:
    fn = tj.script(settled)
    given = [np.arange(3.0, 4 + k) for k in range(6)]
    expected = [settled(x, 0.7) for x in given]
    fn(cupy.asarray(given[0]), 0.7)
    with ThreadPoolExecutor(4) as pool:
        calls = [(k, pool.submit(fn, cupy.asarray(given[k]), 0.7)) for _ in range(10) for k in range(len(given))]
        for k, call in calls:
            found, n = call.result()
            np.testing.assert_allclose(found.get(), expected[k][0], rtol=1e-12)
            assert n == expected[k][1]


def mixed(x: Any, z: Any, n: Any, flag: Any) -> Any:
    y = x * z
    if flag:
        y = y + n
    return y, y.real.sum()


def test_scalars_of_every_kind(cupy: Any) -> None:
    fn = tj.script(mixed)
    x = np.array([1.0, 2.0, -3.0])
    for args in (
        (1 + 2j, 3, True),
        (2.5, np.float32(0.5), False),
        (np.int32(7), 2.5, True),
        (np.complex64(2 - 1j), 1, True),
    ):
        for _ in range(2):
            got, wanted = fn(cupy.asarray(x), *args), mixed(x, *args)
            np.testing.assert_allclose(got[0].get(), wanted[0], rtol=1e-6)
            np.testing.assert_allclose(np.asarray(got[1]), wanted[1], rtol=1e-6)


def tail(x: Any) -> Any:
    return x[1:]


def test_a_returned_view_shares_memory(cupy: Any) -> None:
    fn = tj.script(tail)
    x = on(cupy, 1, 2, 3)
    for value in (5.0, 7.0):
        shown = fn(x)
        shown[0] = value
        np.testing.assert_array_equal(x.get(), [1, value, 3])


OUTER: Any = None


def with_outer(x: Any) -> Any:
    return x * OUTER


def test_arrays_from_outside_are_read_anew(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = tj.script(with_outer)
    x = on(cupy, 1, 2)
    for outer in (on(cupy, 3, 4), on(cupy, 5, 6), on(cupy, 7, 8, dtype="float32"), on(cupy, 9), 2.0):
        monkeypatch.setitem(globals(), "OUTER", outer)
        expected = x.get() * (outer if isinstance(outer, float) else outer.get())
        np.testing.assert_array_equal(fn(x).get(), expected)
        np.testing.assert_array_equal(fn(x).get(), expected)
    assert fn.compiles == 4
    held = on(cupy, 1, 1)
    monkeypatch.setitem(globals(), "OUTER", held)
    fn(x)
    held[0] = 10
    np.testing.assert_array_equal(fn(x).get(), [10, 2])


def test_arrays_from_outside_say_where_a_script_runs(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = tj.script(with_outer)
    monkeypatch.setitem(globals(), "OUTER", on(cupy, 1, 2))
    np.testing.assert_array_equal(fn(2.0).get(), [2, 4])
    with pytest.raises(tj.ScriptError, match="the arguments are on the device cpu, this array is on cuda"):
        fn(np.ones(2))
    monkeypatch.setitem(globals(), "OUTER", tj.ones(2))
    with pytest.raises(tj.ScriptError, match="the arguments are on the device cuda, this array is on cpu"):
        fn(on(cupy, 1, 2))


def elsewhere(x: Any, device: str) -> Any:
    return x + tj.zeros(2, device=device)


def on_cpu(x: Any) -> Any:
    return x.cpu()


def on_cuda(x: Any) -> Any:
    return x.cuda()


def made_on(n: int, device: str) -> Any:
    return tj.ones(n, device=device)


def test_a_script_makes_arrays_on_its_device(cupy: Any) -> None:
    here, there = tj.ones(2), tj.asarray(on(cupy, 1, 2))
    fn = tj.script(elsewhere)
    assert fn(here, "cpu").device == "cpu"
    assert fn(there, "cuda").device == "cuda"
    for x, device in ((here, "cuda"), (there, "cpu")):
        with pytest.raises(tj.ScriptError, match="runs on the device of its arguments"):
            fn(x, device)
    assert tj.script(on_cpu)(here).device == "cpu"
    assert tj.script(on_cuda)(there).device == "cuda"
    with pytest.raises(tj.ScriptError, match="runs on the device of its arguments"):
        tj.script(on_cuda)(here)
    with pytest.raises(tj.ScriptError, match="runs on the device of its arguments"):
        tj.script(on_cpu)(there)
    assert tj.script(made_on)(2, "cpu").device == "cpu"
    with pytest.raises(tj.ScriptError, match="runs on the CPU"):
        tj.script(made_on)(2, "cuda")


class Box:
    n = 0
    v: Any = None
    s: Any = None


def filled(x: Any, box: Any, k: int) -> Any:
    box.v = x * 2
    total = 0.0
    for i in range(k):
        box.n = i
        total = total + x[i]
    box.s = x.sum()
    return x[k - 1]


def test_what_was_set_before_an_error_is_set(cupy: Any) -> None:
    fn = tj.script(filled)
    x = on(cupy, 1, 2, 3)
    for k in (2, 5, 3, 4):
        box, plain = Box(), Box()
        if k > 3:
            with pytest.raises(IndexError):
                fn(x, box, k)
            with pytest.raises(IndexError):
                filled(x.get(), plain, k)
        else:
            assert float(fn(x, box, k)) == filled(x.get(), plain, k)
        np.testing.assert_array_equal(box.v.get(), plain.v)
        assert (box.n, box.s) == (plain.n, plain.s)


def left(x: Any, k: int) -> Any:
    (x * x).sum().backward()
    return x[k]


def test_gradients_before_an_error_are_left(cupy: Any) -> None:
    x = tj.asarray(on(cupy, 1, 2, 3)).requires_grad_()
    with pytest.raises(IndexError):
        tj.script(left)(x, 7)
    np.testing.assert_array_equal(x.grad._data.get(), [2, 4, 6])


def shown(x: Any) -> None:
    print(x[0], x.sum(), x.dtype.itemsize)
    if x[0] > 0:
        raise ValueError(f"found {x[0]!s}")


def test_numbers_are_shown_as_their_dtype_shows_them(cupy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"found 0\.1$"):
        tj.script(shown)(on(cupy, 0.1, 0.2, dtype="float32"))
    assert capsys.readouterr().out == f"0.1 {np.float32([0.1, 0.2]).sum()!s} 4\n"


Pair = namedtuple("Pair", "a b")  # noqa: PYI024


@dataclass
class Data:
    a: Any
    n: int


def test_equal_keys_mean_equal_specs(cupy: Any) -> None:
    x = cupy.asarray(np.zeros((4, 6)))
    arrays = [x, x[:1], x[:0], x.T, x[:, ::2], x[0], cupy.asarray(np.zeros((4, 6), np.float32)), x.reshape(2, 2, 6)]
    plain = [1, 2, 2**70, 1.0, -0.0, True, False, None, "a", "b", 1j, np.float32(1), np.float64(1), np.int64(1), b"a"]
    tensors = [tj.asarray(a) for a in arrays[:3]] + [tj.asarray(x).requires_grad_()]
    parts = [*arrays, *plain, *tensors, int, float, np.sin, len, Data, tj.nn.ReLU()]
    nested = [t(p) for p in ((1, x), (x, 1), (1.0, x), (x,)) for t in (tuple, list)]
    more = [{"a": x}, {"b": x}, {"a": 1, "b": x}, {"b": x, "a": 1}, Pair(x, 1), Pair(1, x), Data(x, 1), Data(x[0], 1)]
    others = [{1, 2}, np.zeros(3), np.dtype("f4")]
    for exact in (False, True):
        keys = Keys(exact)
        found: list[tuple[Any, Any, Any]] = []
        for value in [*parts, *nested, *more, *others]:
            try:
                found.append((value, keys(value), spec_of(value)))
            except NoKey:
                assert any(value is o for o in [*others, np.sin, len])
        assert len(found) > 40
        for (a, key, spec), (b, other, its) in itertools.combinations(found, 2):
            if key == other:
                assert spec == its, f"{a!r} and {b!r} have one key"


def test_arrays_without_elements(cupy: Any) -> None:
    def products(x: Any) -> Any:
        return tj.grad(lambda v: tj.cumprod(v, axis=0).sum())(x)

    fn = tj.script(products)
    for values in ((), (2.0,), (2.0, 3.0, 4.0)):
        x = np.array(values)
        np.testing.assert_allclose(fn(cupy.asarray(x)).get(), products(x))
