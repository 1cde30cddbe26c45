"""Exported WebAssembly modules, run by Node.js: what Python gives, from JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.deploy.wasm.module import Reader, number, sections

RNG = np.random.default_rng(0)

node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")

#: Reads calls as JSON lines, answers each with its results (or error) and what it left in the arguments.
DRIVER = """
import { createInterface } from "node:readline";
import load from "./MODULE";
const call = await load();
const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const read = (x) => (x in special ? special[x] : x);
const given = (x) => {
  if (!x || !x.kind) return read(x);
  const kind = globalThis[x.kind], big = x.kind.startsWith("Big");
  return { data: kind.from(x.data.map((v) => (big ? BigInt(v) : read(v)))), shape: x.shape };
};
const told = (x) => {
  if (typeof x === "bigint") return { big: String(x) };
  if (typeof x === "number" && !Number.isFinite(x)) return { special: String(x) };
  const element = (v) => (typeof v === "bigint" ? String(v) : told(v));
  if (x && x.data) return { data: Array.from(x.data, element), shape: x.shape };
  return Array.isArray(x) ? x.map(told) : x;
};
for await (const line of createInterface({ input: process.stdin })) {
  const inputs = JSON.parse(line).map(given);
  let answer;
  try { answer = { result: told(call(...inputs)) }; } catch (error) { answer = { error: error.message }; }
  console.log("answer " + JSON.stringify({ ...answer, inputs: inputs.map(told) }));
}
"""
KINDS = {
    "float32": "Float32Array", "float64": "Float64Array", "int64": "BigInt64Array", "int32": "Int32Array",
    "uint8": "Uint8Array", "bool": "Uint8Array", "complex128": "Float64Array", "uint64": "BigUint64Array",
    "int8": "Int8Array",
}  # fmt: skip


def sent(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        is_text = abs(x) >= 1 << 53 if isinstance(x, int) else not np.isfinite(x)
        return str(x) if is_text else x
    flat = np.ascontiguousarray(x).reshape(-1)
    flat = flat.view("float64") if x.dtype.kind == "c" else flat
    texts = {np.inf: "inf", -np.inf: "-inf"}
    data = [
        str(v) if KINDS[x.dtype.name].startswith("Big") else "nan" if v != v else texts.get(v, v) for v in flat.tolist()
    ]
    return {"kind": KINDS[x.dtype.name], "data": data, "shape": list(x.shape)}


def received(x: Any) -> Any:
    if isinstance(x, list):
        return [received(v) for v in x]
    if isinstance(x, dict) and "data" in x:
        return np.array([received(v) if isinstance(v, dict) else float(v) for v in x["data"]])
    if isinstance(x, dict):
        return int(x["big"]) if "big" in x else float(x["special"].replace("Infinity", "inf"))
    return x


class Module:
    """An exported function that is called in Node.js."""

    def __init__(self, fn: Callable[..., Any], args: Sequence[Any], folder: Path) -> None:
        self.path = tj.export(fn, args, folder / "model.wasm")
        (folder / "driver.mjs").write_text(DRIVER.replace("MODULE", "model.mjs"))
        self.printed = ""

    def calls(self, *calls: Sequence[Any]) -> list[Any]:
        """The answers of calls in one process."""
        lines = "\n".join(json.dumps([sent(x) for x in call]) for call in calls)
        command = ["node", str(self.path.with_name("driver.mjs"))]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        answers = [json.loads(t.removeprefix("answer ")) for t in done.stdout.splitlines() if t.startswith("answer ")]
        self.printed = "".join(t for t in done.stdout.splitlines(keepends=True) if not t.startswith("answer "))
        assert len(answers) == len(calls)
        return answers


def parts(x: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(getattr(x, "_data", x))
    flat = np.ascontiguousarray(array).reshape(-1)
    return (flat.view("float64") if array.dtype.kind == "c" else flat).astype("float64")


def check(fn: Callable[..., Any], folder: Path, *calls: Sequence[Any], rtol: float = 1e-12) -> Module:
    """A function exported with the arguments of the first call agrees with Python in all calls."""
    module = Module(fn, calls[0], folder)
    for answer, call in zip(module.calls(*calls), calls, strict=True):
        own = [x.copy() if isinstance(x, np.ndarray) else x for x in call]
        expected = fn(*own)
        found = received(answer.get("result", answer))
        several = isinstance(expected, tuple) and len(expected) != 1
        for x, y in zip(found if several else [found], expected if several else [expected], strict=True):
            np.testing.assert_allclose(parts(x), parts(y), rtol=rtol, atol=1e-12)
        for x, y in zip(answer["inputs"], own, strict=True):
            if isinstance(y, np.ndarray):
                np.testing.assert_allclose(parts(received(x)), parts(y), rtol=rtol, atol=1e-12)
    return module


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape)


# -- the file ---------------------------------------------------------------------------------------------------


def test_numbers_of_the_format_read_back() -> None:
    for value in (0, 1, 63, 64, 127, 128, 300, 1 << 20, (1 << 32) - 1):
        assert Reader(number(value)).number() == value
        for signed in (value, -value, -value - 1):
            assert Reader(number(signed, signed=True)).number(signed=True) == signed


def names_in(content: bytes, after: Callable[[Reader], None]) -> list[str]:
    reader, found = Reader(content), []
    for _ in range(reader.number()):
        found.append(reader.name())
        after(reader)
    return found


def test_a_module_stands_alone(tmp_path: Path) -> None:
    path = tj.export(lambda x: np.tanh(x * 2.0), [normal(3)], tmp_path / "model.wasm")
    content = dict(sections(path.read_bytes()))
    assert content[2] == b"\0"  # no imports
    exported = names_in(content[7], lambda r: (r.byte(), r.number()) and None)
    assert exported == ["memory", "model", "model_message", "model_free", "model_arena_size", "malloc", "free"]
    assert path.stat().st_size < 40_000
    assert {p.suffix for p in tmp_path.iterdir()} == {".wasm", ".mjs", ".json", ".tj"}


# -- programs ---------------------------------------------------------------------------------------------------


@node
def test_control_flow_and_products(tmp_path: Path) -> None:
    def settle(x: Any, w: Any, limit: float) -> Any:
        n = 0
        while (x * x).sum() > limit and n < 50:
            x = np.tanh(x @ w) * 0.9
            n += 1
        return x, n

    calls = [
        (normal(rows, size), normal(size, size) / size, limit)
        for rows, size, limit in ((3, 4, 0.5), (1, 1, 9.0), (40, 33, 3.0))
    ]
    check(settle, tmp_path, *calls, (normal(0, 2), normal(2, 2), 1.0), rtol=1e-9)


@node
def test_elementary_functions(tmp_path: Path) -> None:
    def functions(x: Any) -> Any:
        y = np.abs(x) + 0.5
        return np.exp(x), np.log(y), np.sin(x), np.cos(x * 100), np.tanh(x), np.sqrt(y), np.arctan(x), y**x, np.expm1(x)

    check(functions, tmp_path, (np.linspace(-5, 5, 37),), (np.array([0.0, 1e-9, 30.0, -30.0]),), rtol=1e-14)
    check(lambda x: (np.sin(x), np.cos(x)), tmp_path, (np.array([1e15, -1e300, 3.0]),), rtol=1e-14)


@node
def test_remainders_and_powers(tmp_path: Path) -> None:
    def numbers(x: float, y: float, a: Any, b: Any) -> Any:
        return x % y, x // y, a % b, np.fmod(a, b), np.abs(x) ** y, a**b

    def powers(x: float, y: float) -> float:
        return x**y

    a, b = np.meshgrid([5.5, -5.5, 0.0, 1e300, np.inf, np.nan], [2.0, -0.7, 3e-300, np.inf])
    with np.errstate(all="ignore"):
        check(numbers, tmp_path, (-7.5, 2.0, a, b), (7.5, -0.3, a[:1], b[:1]))
        check(numbers, tmp_path, (1.0, 3.0, a.astype("f4"), b.astype("f4")), rtol=1e-6)
    inf, nan = float("inf"), float("nan")
    pairs = [(1.0, nan), (1.0, -inf), (-1.0, inf), (nan, 0.0), (2.0, 0.5), (-inf, 3.0), (-2.0, 3.0), (0.5, -inf)]
    check(powers, tmp_path, *pairs)


@node
def test_addresses_above_2_gib(tmp_path: Path) -> None:
    module = Module(lambda x: x + 1.0, [normal(3)], tmp_path)
    loader = module.path.with_suffix(".mjs")
    start = "memory = module.memory;"
    assert start in loader.read_text()
    loader.write_text(loader.read_text().replace(start, f"{start} memory.grow(33000);"))  # the heap begins behind it
    (answer,) = module.calls((np.ones(3),))
    assert set(received(answer["result"])) == {2.0}


@node
def test_lists_of_arrays_and_lists_of_lists(tmp_path: Path) -> None:
    def history(x: Any, n: int) -> Any:
        states, sizes = [x], [[0]]
        for i in range(n):
            states.append(states[-1] * 0.5 + i)
            sizes.append([])
            for k in range(i):
                sizes[-1].append(k)
        states[0] = x * 3.0
        last = states.pop()
        total = 0
        for inner in sizes:
            for k in inner:
                total += k
        return np.stack(states).sum(axis=0), last, total, len(states)

    check(history, tmp_path, (normal(4), 5), (normal(1), 40), (normal(2), 1))


@node
def test_arguments_are_changed(tmp_path: Path) -> None:
    def sweep(grid: Any, marks: Any, steps: int) -> None:
        for _ in range(steps):
            grid[1:-1, 1:-1] = 0.25 * (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:])
        marks[grid[:, 0] > 0] += 7

    def program(grid: Any, marks: Any, steps: int) -> int:
        sweep(grid, marks, steps)
        return steps

    check(program, tmp_path, (normal(5, 6), np.arange(5), 3), (normal(9, 4), np.arange(9), 0))


@node
def test_whole_numbers_of_64_bits_and_of_8(tmp_path: Path) -> None:
    def numbers(a: int, b: int, small: Any, wide: Any) -> Any:
        return a // b, a % b, a * b, small * 3, wide + 1, (a ^ b) & 1023

    small, wide = np.array([100, -100, 5], np.int8), np.array([1 << 60, -5])
    module = check(numbers, tmp_path, (7, -2, small, wide), (-(1 << 40), 12345, small, wide))
    errors = module.calls((1 << 62, 3, small, wide), (1, 0, small, wide))
    assert [e["error"].split(":")[0] for e in errors] == ["OverflowError", "ZeroDivisionError"]


@node
def test_sorting_solving_and_transforming(tmp_path: Path) -> None:
    def library(a: Any, b: Any) -> Any:
        spectrum = np.abs(np.fft.fft(b))
        return np.linalg.solve(a, b), np.sort(b), np.argsort(b), np.cumsum(b), spectrum, np.linalg.det(a)

    check(library, tmp_path, (normal(5, 5), normal(5)), (normal(7, 7), normal(7)), rtol=1e-8)


@node
def test_complex_numbers(tmp_path: Path) -> None:
    z = normal(4) + 1j * normal(4)
    check(lambda z: (z * z + 1j, np.exp(z), np.abs(z)), tmp_path, (z,), (z[:1],))


@node
def test_messages_are_pythons(tmp_path: Path) -> None:
    def check_it(x: float, n: int) -> float:
        if n > 0:
            raise ValueError(
                f"x is {x}, n is {n}, {x:.3f} {x:.0f} {n:5d}|{n:<5d}|{n:05d}|{x:10.2e}|{x:.3g}|{x:g}|{n:+d}|{n:x}"
            )
        assert x < 0, "not below 0"
        return x * 2

    module = Module(check_it, [1.0, 1], tmp_path)
    numbers = [0.1, 1e16, 1e-5, 123456.789, 1 / 3, 5e-324, 1e22, 100.0, float("inf"), float("nan"), 2.5, 0.0625, 1.125]
    answers = module.calls(*[(x, 42) for x in numbers], (1.0, 0), (-1.5, 0))
    for x, answer in zip(numbers, answers, strict=False):
        with pytest.raises(ValueError) as caught:
            check_it(x, 42)
        assert answer["error"].startswith(f"ValueError: {caught.value} (line "), x
    assert answers[-2]["error"].startswith("AssertionError: not below 0")
    assert answers[-1]["result"] == -3.0


@node
def test_what_is_printed(tmp_path: Path) -> None:
    def speaks(x: Any, n: int) -> Any:
        for i in range(n):
            print("step", i, x[i], x[i] > 0)
        return x.sum()

    module = Module(speaks, [np.ones(3), 2], tmp_path)
    module.calls((np.array([0.5, -1e-7, 1e17]), 3))
    assert module.printed == "step 0 0.5 True\nstep 1 -1e-07 False\nstep 2 1e+17 True\n"


@node
def test_memory_grows_and_is_used_again(tmp_path: Path) -> None:
    def large(n: int) -> float:
        total = 0.0
        for i in range(30):
            x = np.arange(n) * 0.5 + i
            y = x[::-1].copy()
            total += y[0] + x[n // 2]
        return total

    check(large, tmp_path, (1000,), (1_000_000,), (10,), (3_000_000,))


@node
def test_functions_that_call_themselves(tmp_path: Path) -> None:
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    check(lambda n: fib(n), tmp_path, (20,), (1,), (0,))


@node
def test_a_training_step(tmp_path: Path) -> None:
    def step(w: Any, x: Any, y: Any, rate: float) -> Any:
        def loss(w: Any) -> Any:
            return ((np.tanh(x @ w) - y) ** 2).mean()

        value, slope = tj.value_and_grad(loss)(w)
        w -= rate * slope
        return value

    check(
        step, tmp_path, (normal(3, 2), normal(8, 3), normal(8, 2), 0.1), (normal(5, 1), normal(4, 5), normal(4, 1), 1.0)
    )


@node
def test_a_module_with_its_weights(tmp_path: Path) -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)
            self.pool = nn.MaxPool2d(2)
            self.cell = nn.GRU(8, 4, batch_first=True)

        def forward(self, x: Any) -> Any:
            h = self.pool(tj.relu(self.conv(x)))
            return tj.softmax(self.cell(h.reshape(h.shape[0], 2, 8))[0][:, -1], dim=1)

    tj.manual_seed(1)
    small = Small().eval()
    x = normal(3, 1, 4, 8).astype("float32")
    module = Module(small, [tj.tensor(x)], tmp_path)
    (answer,) = module.calls((x,))
    np.testing.assert_allclose(received(answer["result"]), parts(small(tj.tensor(x))), rtol=1e-5)


@pytest.mark.parametrize("suffix", [".wasm", ".onnx", ".tj", ".cu"])
def test_another_machine_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(tj.ExportError, match=f"a {suffix} file is for no machine in particular"):
        tj.export(lambda x: x, [normal(2)], tmp_path / f"model{suffix}", target="aarch64-linux")


@node
def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    module = Module(lambda x, n: x * n, [normal(3), 2], tmp_path)
    answers = module.calls((normal(2, 2), 1), (normal(2).astype("float32"), 1), (normal(2),))
    assert "x has 2 axes, expected 1" in answers[0]["error"]
    assert "x must be a Float64Array" in answers[1]["error"]
    assert "takes 2 arguments" in answers[2]["error"]
