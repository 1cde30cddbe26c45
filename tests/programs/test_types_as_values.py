"""Types as values, and PyTorch's names of `tracejit.jit`, in programs compared with plain Python."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, Program, T, run
from tests.programs.compare import check
from tracejit import Tensor, jit, nn, script

case = Cases()


@case((3,), ("a",), ([1],), (None,))
def classes_of_unions(v):
    number = int | float
    return isinstance(v, Union[int, str]), isinstance(v, number), isinstance(v, Optional[list]), number == int | float


@case(
    (1,), (True,), ([],), (["a"],), ([1, 2],), ({"a": 1},), ({},), (("a", 1),), ((1, 2, 3),), ([[1], [2, 3]],), (None,)
)
def with_what_they_contain(v):
    return (
        jit.isinstance(v, int),
        jit.isinstance(v, List[int]),
        jit.isinstance(v, list[str]),
        jit.isinstance(v, Dict[str, int]),
        jit.isinstance(v, Tuple[str, int]),
        jit.isinstance(v, tuple[int, ...]),
        jit.isinstance(v, Optional[List[List[int]]]),
        jit.isinstance(v, (float, List[Any])),
        jit.isinstance(v, Union[Dict[int, int], None]),
    )


@case((T(2),), ([T(2), T(3)],), ({"x": T(2)},), ((T(2), None),))
def tensors_in_containers(v):
    total = 0.0
    if jit.isinstance(v, List[Tensor]):
        for x in v:
            total += x.sum().item()
    elif jit.isinstance(v, Dict[str, Tensor]):
        total = v["x"].sum().item() * 2
    elif jit.isinstance(v, Tuple[Tensor, Optional[Tensor]]):
        total = -v[0].sum().item()
    return total


@case((5,))
def lists_that_grow(n):
    rows = []
    for i in range(n):
        rows.append((i, i * 0.5))
    arrays, lists = [], []
    for i in range(n):
        arrays.append(tj.ones(i + 1))
        lists.append([i] * i)
    of_arrays = jit.isinstance(arrays, List[Tensor]), jit.isinstance(arrays, Dict[int, Tensor])
    return jit.isinstance(rows, List[Tuple[int, float]]), of_arrays, jit.isinstance(lists, List[List[int]])


@case(([1],), ((1,),))
def without_brackets(v):
    return jit.isinstance(v, List)


@case(([1],))
def generic_for_a_class(v):
    return isinstance(v, List[int])


@case((4,))
def annotated(n):
    found = jit.annotate(List[int], [])
    for i in range(n):
        found.append(i * i)
    nothing = jit.annotate(Optional[Tensor], None)
    return found, nothing, jit.annotate(Dict[int, float], {10: 1.5})


@case((T(3),))
def forks(x):
    def scaled(v, by=2):
        return v * by, by

    futures = []
    for i in range(3):
        futures.append(jit.fork(scaled, x, by=i))
    return [jit.wait(f)[0] for f in futures], futures[2].wait()[1], futures[0].done()


@case((T(3),))
def a_fork_that_raises(x):
    def bad(v):
        raise ValueError(f"no {v.shape[0]}")

    return jit.wait(jit.fork(bad, x))


@jit.ignore
def ignored(x):
    return x + 1


@jit.ignore(drop=True)
def dropped(x):
    return x + 2


@jit.unused
def unused(x):
    raise RuntimeError("not to be called")


@case((T(3),))
def marks(x):
    if x.shape[0] > 10:
        unused(x)
    return ignored(x) + dropped(x)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_program(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


@pytest.mark.compiled
def test_whether_a_list_that_may_be_empty_is_of_a_type_is_refused() -> None:
    def program(n):
        found = []
        for i in range(n):
            found.append(i)
        return jit.isinstance(found, List[str])

    with pytest.raises(tj.ScriptError, match="may be empty"):
        script(program)(3)


@pytest.mark.compiled
def test_scripts_know_that_they_are_scripts() -> None:
    def program():
        return jit.is_scripting(), jit.is_tracing()

    assert program() == (False, False)
    assert script(program)() == (True, False)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(T(3))

    def forward(self, x):
        return x * self.weight + (1.0 if self.training else 0.0)


def test_frozen_modules() -> None:
    module = Scaled()
    with pytest.raises(RuntimeError, match="evaluation mode"):
        jit.freeze(script(module))
    module.eval()
    frozen = jit.freeze(script(module))
    assert frozen(T(3)).tolist() == [1.0, 4.0, 9.0]
    assert not frozen(T(3)).requires_grad
    with tj.no_grad():
        module.weight.zero_()
    assert module(T(3)).tolist() == [0.0, 0.0, 0.0]
    assert frozen(T(3)).tolist() == [1.0, 4.0, 9.0]


def test_methods_and_traces() -> None:
    class Doubled(jit.ScriptModule):
        @jit.script_method
        def forward(self, x):
            return x * 2

    module = Doubled()
    assert isinstance(script(module), jit.ScriptModule)
    assert module(T(2)).tolist() == [2.0, 4.0]

    traced = jit.trace(lambda x, y: x * y, (T(2), T(2)))
    assert traced(T(3), T(3)).tolist() == [1.0, 4.0, 9.0]
    assert jit.trace(module, T(2))(T(3)).tolist() == [2.0, 4.0, 6.0]


def test_containers_are_made_of_nothing() -> None:
    for kind in (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict):
        assert len(kind(None)) == len(kind()) == 0


def asked(x: Any, n: Any) -> Any:
    y = x * 2 if tj.cuda.is_available() and tj.cuda.device_count() < 0 else x
    return y, jit._unwrap_optional(n) + 1, x.shape == tj.Size([2]), jit.Attribute(n, int)


def test_further_names_of_pytorch() -> None:
    check(asked, tj.ones(2), 3)
    check(asked, tj.ones(2), None)
    v = tj.autograd.Variable(tj.ones(2), requires_grad=True)
    (v * 3).sum().backward()
    assert v.grad is not None and v.grad.tolist() == [3, 3] and issubclass(ValueError, jit.Error)
    with pytest.raises(AttributeError, match=r"use trace\(module, example_inputs\)"):
        jit.trace_module  # noqa: B018


def test_the_fans_of_a_weight() -> None:
    assert nn.init._calculate_fan_in_and_fan_out(tj.ones(4, 3, 2)) == (6, 8)


class Chain(jit.ScriptModule):
    def __init__(self, k: int) -> None:
        super().__init__(False)
        self.weight = nn.Parameter(tj.ones(2))
        self.parts = nn.ModuleList([nn.Linear(2, 2) for _ in range(k)])

    @jit.script_method
    def forward(self, x: Any, flag: bool = True) -> Any:
        for part in self.parts:
            x = part(x)
        return {"y": x * self.weight} if flag else {"y": x}


def test_modules_whose_methods_are_scripts() -> None:
    module, x = Chain(2), tj.ones(1, 2)
    expected = pytest.approx(module.parts[1](module.parts[0](x)).detach().numpy(), rel=1e-5)
    for found in (module(x, flag=False)["y"], module(x)["y"] / module.weight):
        assert found.detach().numpy() == expected
    assert isinstance(module, Chain) and isinstance(nn.ReLU(), jit.ScriptModule)
    assert not isinstance(nn.ReLU(), Chain) and isinstance(script(nn.ReLU()), jit.ScriptModule)


def test_traces_with_the_arguments_of_pytorch() -> None:
    x = tj.ones(2)
    traced = jit.trace(lambda a, b: {"k": a + b}, [x, x], strict=False, check_inputs=[(tj.ones(3), tj.ones(3))])
    assert traced(x, x * 2)["k"].tolist() == [3, 3]
    assert jit.trace(lambda a: a + 1, example_kwarg_inputs={"a": x})(a=x).tolist() == [2, 2]
    with pytest.raises(ValueError, match="shape"):
        jit.trace(lambda a, b: a + b, (x, x), check_inputs=[(x, tj.ones(3))])


class Caller:
    def method(self) -> int:
        return 1

    def __call__(self) -> int:
        return 2


def test_what_is_callable_or_iterable() -> None:
    def asked(v: Any) -> Any:
        caller, places = Caller(), {v: 1}
        found = (
            callable(caller),
            callable(caller.method),
            callable(v),
            callable(asked),
            isinstance(caller.method, Callable),
            isinstance(caller.method, types.FunctionType),
            isinstance(zip([v]), list | tuple),
        )
        return found, np.iterable(places), np.iterable([v]), np.iterable(v), isinstance(slice(v), slice)

    check(asked, 3)


@pytest.mark.parametrize("cls", [zip, object, Iterable, (list, Iterator), int | types.GeneratorType])
def test_classes_of_iterators_refused(cls: Any) -> None:
    with pytest.raises(tj.ScriptError, match="of which class iterators"):
        script(lambda x: isinstance(zip(x, x), cls))(tj.ones(2))
