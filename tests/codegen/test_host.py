"""The host part of CUDA programs as Python text: expressions give what the reference gives, statements what a walk over
them gives."""

from __future__ import annotations

import random
import types
from typing import Any

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tests.codegen.cuda_graphs import launch_size, place
from tests.codegen.test_cuda_programs import NORMALISE, RELAX, SOFTMAX
from tracejit.codegen.cuda.host import print_host
from tracejit.codegen.cuda.host_expressions import HostExpressions
from tracejit.codegen.cuda.host_numbers import FUNCTIONS, number
from tracejit.codegen.cuda.schedule import CudaProgram, schedule
from tracejit.codegen.loop_ir import (
    Alloc,
    Bitcast,
    Call,
    Carried,
    Cast,
    Const,
    Expr,
    Fail,
    For,
    Free,
    Function,
    If,
    Input,
    InputSpec,
    Let,
    Load,
    Output,
    OutputSpec,
    Pointer,
    Program,
    Rare,
    Scalar,
    Select,
    Stmt,
    Var,
)
from tracejit.codegen.numeric import Evaluation, numpy_dtype
from tracejit.codegen.scalars import SCALARS
from tracejit.codegen.walk import ProgramFailure
from tracejit.ir.types import BOOL, F32, F64, I8, I32, I64, U8, U32, U64, DType, ScalarType, TensorType
from tracejit.runtime.executor import HostFunction

DTYPES = (BOOL, I8, I32, I64, U8, U32, U64, F32, F64)
SPECIAL = {
    "b": (False, True),
    "i": (0, 1, -1, 2, -3, 7),
    "u": (0, 1, 2, 3, 250),
    "f": (0.0, -0.0, 1.0, -1.0, 0.1, 1e300, 1e-300, float("inf"), float("-inf"), float("nan"), 3e38, 1.5),
}


def value_of(rng: random.Random, dtype: DType) -> Any:
    """A value that the dtype holds, often one at an end of its range."""
    kind = numpy_dtype(dtype)
    if dtype.is_integer and rng.random() < 0.4:
        limits = np.iinfo(kind)
        return rng.choice((int(limits.min), int(limits.max), int(limits.max) - 1, int(limits.min) + 1))
    found = rng.choice(SPECIAL[dtype.kind])
    if dtype.is_float:
        with np.errstate(all="ignore"):
            return float(kind.type(found if rng.random() < 0.5 else rng.uniform(-5, 5)))
    return found


class Expressions:
    """Random expressions over variables of every dtype."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.variables = [Var(f"x{i}", dtype) for i, dtype in enumerate(DTYPES * 2)]
        self.made: list[Expr] = []

    def of(self, dtype: DType, depth: int) -> Expr:
        rng = self.rng
        known = [e for e in self.made if e.type == dtype]
        if known and rng.random() < 0.15:
            return rng.choice(known)
        if depth == 0:
            leaves = [v for v in self.variables if v.type == dtype]
            return rng.choice(leaves) if rng.random() < 0.7 else Const(value_of(rng, dtype), dtype)
        made = self.node(dtype, depth)
        self.made.append(made)
        return made

    def node(self, dtype: DType, depth: int) -> Expr:
        rng, choice = self.rng, self.rng.random()
        if choice < 0.1:
            return Select(self.of(BOOL, depth - 1), self.of(dtype, depth - 1), self.of(dtype, depth - 1), dtype)
        if choice < 0.3:
            source = rng.choice(DTYPES)
            if not (source.is_float and dtype.is_integer):  # out of range it depends on the machine
                return Cast(self.of(source, depth - 1), dtype)
        if choice < 0.33 and dtype in (I32, U32, F32, I64, U64, F64):
            source = rng.choice([d for d in DTYPES if d.bits == dtype.bits])
            return Bitcast(self.of(source, depth - 1), dtype)
        if choice < 0.35 and dtype == F64:
            x = self.of(F64, depth - 1)
            return Rare(self.of(BOOL, depth - 1), x, "fmod", (x, self.of(F64, depth - 1)), F64)
        rows = [
            r for r in SCALARS.values() if r.name not in SHIFTS and r.result == ("bool" if dtype == BOOL else "same")
        ]
        if dtype == BOOL:
            row = rng.choice(rows + [r for r in SCALARS.values() if r.kinds == "b"])
            operands = rng.choice([d for d in DTYPES if d.kind in row.kinds])
        else:
            row, operands = rng.choice([r for r in rows if dtype.kind in r.kinds]), dtype
        return Scalar(row.name, tuple(self.of(operands, depth - 1) for _ in range(row.arity)), dtype)


#: Operations that are defined for some amounts only.
SHIFTS = ("lsl", "asr", "lsr", "shl", "shr", "ldexp", "pow")


def spelt(e: Expr, variables: list[Var]) -> Any:
    """The expression as a Python function of the variables."""
    lines: list[str] = []

    def temporary(text: str, _: Expr) -> str:
        lines.append(f"    t{len(lines)} = {text}")
        return f"t{len(lines) - 1}"

    def leaf(e: Expr, spell: Any) -> str:
        raise AssertionError(e)

    names = {v: v.name for v in variables}
    printer = HostExpressions(names, temporary, leaf)
    text = printer(e)
    source = f"def f({', '.join(names.values())}):\n" + "\n".join([*lines, f"    return {text}"])
    made: dict[str, Any] = {**FUNCTIONS, **printer.constants}
    exec(source, made)
    return made["f"]


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or (a != a and b != b)) and (a != 0 or str(a) == str(b))


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_expressions_give_what_the_reference_gives(first: int) -> None:
    for seed in range(first, first + 100):
        made = Expressions(seed)
        e = made.of(made.rng.choice(DTYPES), made.rng.choice((1, 2, 4)))
        function = spelt(e, made.variables)
        for _ in range(8):
            given = {v: value_of(made.rng, v.type) for v in made.variables if isinstance(v.type, DType)}
            bound: dict[Var, Any] = {v: np.asarray(x, numpy_dtype(v.type)) for v, x in given.items()}
            expected = number(np.asarray(Evaluation(bound)(e)))
            found = function(*given.values())
            assert same(found, expected), f"seed {seed}: {found!r} instead of {expected!r} for {e}"


def test_every_operation_gives_what_the_reference_gives() -> None:
    rng = random.Random(0)
    for row in SCALARS.values():
        for dtype in DTYPES:
            if dtype.kind not in row.kinds or row.name in SHIFTS:
                continue
            variables = [Var("abc"[i], dtype) for i in range(row.arity)]
            function = spelt(Scalar(row.name, tuple(variables), BOOL if row.result == "bool" else dtype), variables)
            for _ in range(40):
                given = [value_of(rng, dtype) for _ in variables]
                with np.errstate(all="ignore"):
                    expected = number(np.asarray(row.evaluate(*(np.asarray(x, numpy_dtype(dtype)) for x in given))))
                assert same(function(*given), expected), f"{row.name} of {dtype}: {given}"


def test_deep_expressions_are_cut_into_pieces() -> None:
    x = Var("x0", I64)
    e: Expr = x
    for _ in range(80):
        e = Scalar("add", (Scalar("mul", (e, Const(3, I64)), I64), Const(1, I64)), I64)
    expected = int(Evaluation({x: np.asarray(5)})(e))
    assert spelt(e, [x])(5) == expected


# -- statements -------------------------------------------------------------------------------------------------------


def scheduled(*body: Stmt, inputs: int = 0, outputs: int = 1) -> CudaProgram:
    specs = tuple(InputSpec(f"a{i}", ScalarType(I64)) for i in range(inputs))
    results = tuple(OutputSpec(ScalarType(I64)) for _ in range(outputs))
    return schedule(Program("p", Function("p", body), (), specs, results))


def outputs_of(program: CudaProgram, *inputs: Any) -> list[Any]:
    class Nothing:
        read = data = None

    device: Any = Nothing()
    return HostFunction(program).on(lambda kernel: lambda *_: None)(device, inputs)


def test_loops_carry_values_together_and_stop_early() -> None:
    n, i, a, b = Var("n", I64), Var("i", I64), Var("a", I64), Var("b", I64)
    a1, b1, go = Var("a", I64), Var("b", I64), Var("go", BOOL)
    one = Const(1, I64)
    total = Scalar("add", (a, b), I64)
    loop = For(
        i,
        n,
        (),
        "serial",
        (Carried(a, Const(0, I64), b, a1), Carried(b, one, total, b1)),
        (go, Const(True, BOOL), Scalar("lt", (total, Const(100, I64)), BOOL)),
    )
    program = scheduled(Let(n, Input("scalar", 0, I64)), loop, Output(0, a1), Output(1, b1), inputs=1, outputs=2)
    assert outputs_of(program, 5) == [5, 8]
    assert outputs_of(program, 50) == [89, 144], "it ends with the first sum from 100 up"
    assert outputs_of(program, 0) == [0, 1]
    assert [type(x) for x in outputs_of(program, 5)] == [np.int64, np.int64]


def test_a_branch_fails_with_its_payload() -> None:
    n, r = Var("n", I64), Var("r", I64)
    branch = If(Scalar("gt", (n, Const(3, I64)), BOOL), (Fail(2, (n,)),), (), (r,), (n,), (Scalar("mul", (n, n), I64),))
    program = scheduled(Let(n, Input("scalar", 0, I64)), branch, Output(0, r), inputs=1)
    assert outputs_of(program, 3) == [9]
    with pytest.raises(ProgramFailure) as failure:
        outputs_of(program, 4)
    assert (failure.value.error, failure.value.payload) == (2, (4,))


def test_what_loops_in_branches_need_is_computed_before_the_branch() -> None:
    n, r, i = Var("n", I64), Var("r", I64), Var("i", I64)
    size = Scalar("add", (Scalar("mul", (n, n), I64), Const(1, I64)), I64)
    cells = [Var(name, Pointer(I64)) for name in "ab"]
    loops = [For(i, n, (Alloc(cell, size), Free(cell)), "serial") for cell in cells]
    branch = If(Scalar("gt", (n, Const(3, I64)), BOOL), (loops[0],), (loops[1],), (r,), (n,), (size,))
    program = scheduled(Let(n, Input("scalar", 0, I64)), branch, Output(0, r), inputs=1)
    asked: list[int] = []

    class Device:
        read = data = None

        def allocate(self, size: int) -> Any:
            asked.append(size)
            return types.SimpleNamespace(ptr=id(size))

        def free(self, memory: Any) -> None: ...

    device: Any = Device()
    function = HostFunction(program).on(lambda kernel: lambda *_: None)
    assert (function(device, [2]), asked) == ([5], [40, 40])
    asked.clear()
    assert (function(device, [4]), asked) == ([4], [136] * 4)


def test_a_number_that_does_not_fit_is_an_overflow() -> None:
    n = Var("n", I64)
    program = scheduled(Let(n, Input("scalar", 0, I64)), Output(0, n), inputs=1)
    with pytest.raises(OverflowError):
        outputs_of(program, 1 << 70)


@pytest.mark.parametrize("text", [SOFTMAX, NORMALISE, RELAX])
def test_launch_sizes_are_those_of_the_geometry(text: str) -> None:
    program = place(text)
    source = print_host(program).source
    shapes = {"softmax": [(7, 300), (1, 1), (100_000, 3), (3, 100_000)]}.get(
        program.program.name, [(1,), (255,), (4097,), (10_000_000,)]
    )
    for shape in shapes:
        launched = record_launches(program, shape)
        assert launched, source
        for kernel, sizes, numbers in launched:
            geometry = program.geometries[kernel]
            bound = [None if isinstance(p.type, Pointer) else np.asarray(x) for p, x in zip(geometry.params, numbers)]
            blocks, (threads, rows) = launch_size(geometry, bound)
            assert sizes == (blocks, threads, rows)


def record_launches(program: CudaProgram, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...], list[Any]]]:
    """What is launched for arrays of that shape, by a device that does nothing."""
    launched: list[tuple[str, tuple[int, ...], list[Any]]] = []

    class Memory:
        def __init__(self) -> None:
            self.ptr = id(self)

    class Device:
        def allocate(self, size: int) -> Memory:
            return Memory()

        def free(self, memory: Memory) -> None: ...

        def read(self, *_: Any) -> float:
            return 0.0

        def copy(self, *_: Any) -> None: ...

        zero = copy

        def data(self, _: Any) -> Memory:
            return Memory()

        def array(self, *_: Any) -> None: ...

    def launcher(kernel: Any) -> Any:
        return lambda run, blocks, threads, rows, *numbers: launched.append(
            (kernel.name, (blocks, threads, rows), list(numbers))
        )

    class Given:
        pass

    given: list[Any] = []
    for spec in program.program.inputs:
        if isinstance(spec.type, TensorType):
            array: Any = Given()
            array.shape = shape
            given.append(array)
        else:
            given.append(0.5)
    device: Any = Device()
    HostFunction(program).on(launcher)(device, given)
    return launched


def test_launch_sizes_of_a_loop_are_computed_before_it() -> None:
    source = print_host(place(RELAX)).source
    _, loop = source.split("while ")
    assert "launch_" in loop
    assert "quotient" not in loop


def test_reads_wait_until_their_value_is_needed() -> None:
    cell, x, other = Var("cell", Pointer(I64)), Var("x", I64), Var("other", Pointer(I64))
    one = Const(1, I64)
    body = (
        Alloc(cell, one),
        Call("zero", (cell, one)),
        Let(x, Load(cell, Const(0, I64), I64)),
        Free(cell),
        Alloc(other, one),
        Call("zero", (other, one)),
        Free(other),
        Output(0, x),
    )
    lines = [line.strip() for line in print_host(scheduled(*body)).source.splitlines()]
    reads = [i for i, line in enumerate(lines) if "run.read" in line]
    assert len(reads) == 1
    assert lines[reads[0] + 1].startswith("run.free")
    assert lines[reads[0] + 2].startswith("outputs[0]")


def test_a_read_comes_before_what_writes_the_cell_again() -> None:
    cell, x = Var("cell", Pointer(I64)), Var("x", I64)
    one = Const(1, I64)
    body = (
        Alloc(cell, one),
        Let(x, Load(cell, Const(0, I64), I64)),
        Call("zero", (cell, one)),
        Free(cell),
        Output(0, x),
    )
    source = print_host(scheduled(*body)).source
    assert source.index("run.read") < source.index("call_zero")
