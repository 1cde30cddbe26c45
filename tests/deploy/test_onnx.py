"""Exported functions as ONNX models: onnxruntime gives what Python gives, for other sizes and numbers too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.errors import ExportError

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

RNG = np.random.default_rng(0)


def normal(*shape: int, dtype: str = "f4") -> Any:
    return RNG.normal(size=shape).astype(dtype)


class Model:
    """An exported function, run by onnxruntime."""

    def __init__(self, fn: Callable[..., Any], args: Sequence[Any], folder: Path) -> None:
        self.path = tj.export(fn, args, folder / "model.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])

    def __call__(self, *args: Any) -> Any:
        inputs = self.session.get_inputs()
        kinds = {"tensor(double)": "f8", "tensor(int64)": "i8", "tensor(float)": "f4", "tensor(bool)": "?"}
        given = {i.name: np.asarray(x, kinds.get(i.type)) for i, x in zip(inputs, args, strict=True)}
        found = self.session.run(None, given)
        return found[0] if len(found) == 1 else tuple(found)

    def ops(self) -> set[str]:
        """The operators at any depth."""
        found: set[str] = set()

        def visit(graph: Any) -> None:
            for node in graph.node:
                found.add(node.op_type)
                for attribute in node.attribute:
                    if attribute.HasField("g"):
                        visit(attribute.g)

        visit(onnx.load(self.path).graph)
        return found


def agree(found: Any, expected: Any, rtol: float = 1e-5) -> None:
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for x, y in zip(found, expected, strict=True):
            agree(x, y, rtol)
        return
    expected = np.asarray(getattr(expected, "_data", expected))
    assert np.shape(found) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)


# -- control flow -----------------------------------------------------------------------------------------------


def settle(x: Any, limit: float) -> Any:
    n = 0
    while abs(x).sum() > limit:
        x = x * 0.5
        n += 1
        if n == 40:
            break
    return x, n


def test_while_is_a_loop_with_a_condition(tmp_path: Path) -> None:
    model = Model(settle, [normal(3), 1.0], tmp_path)
    assert {"Loop"} <= model.ops()
    for size, limit in ((3, 1.0), (7, 0.25), (0, 1.0), (2, 1e9), (5, -1.0)):
        x = normal(size)
        agree(model(x, limit), settle(x, limit))


def first_above(x: Any, limit: float) -> Any:
    for i in range(x.shape[0]):
        if x[i] > limit:
            return i, x[i] * 2
    return -1, limit


def test_early_return(tmp_path: Path) -> None:
    model = Model(first_above, [normal(4, dtype="f8"), 1.0], tmp_path)
    assert {"Loop", "If"} <= model.ops()
    for size in (4, 9, 0):
        x = normal(size, dtype="f8")
        for limit in (-9.0, 0.0, 0.5, 9.0):
            agree(model(x, limit), first_above(x, limit))


def triangle(a: Any) -> Any:
    n = a.shape[0]
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            out[i, j] = a[i] * a[j]
        out[i, i:] += 1.0
    return out


def test_triangular_loops_that_write_elements_and_slices(tmp_path: Path) -> None:
    model = Model(triangle, [normal(4, dtype="f8")], tmp_path)
    for size in (4, 1, 0, 7):
        a = normal(size, dtype="f8")
        agree(model(a), triangle(a))


def smoothed(grid: Any, steps: int) -> None:
    for _ in range(steps):
        grid[1:-1, 1:-1] = 0.25 * (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:])


def test_what_is_changed_in_place_is_an_output(tmp_path: Path) -> None:
    model = Model(smoothed, [normal(5, 6, dtype="f8"), 3], tmp_path)
    assert [o.name for o in model.session.get_outputs()] == ["grid_new"]
    for shape, steps in (((5, 6), 3), ((8, 4), 0), ((2, 2), 5)):
        grid = normal(*shape, dtype="f8")
        found = model(grid, steps)
        smoothed(grid, steps)
        agree(found, grid)


def history(x: Any, n: int) -> Any:
    states = [x]
    for i in range(n):
        states.append(np.tanh(states[-1] + i))
    return np.stack(states).sum(axis=0), len(states)


def test_lists_are_sequences(tmp_path: Path) -> None:
    model = Model(history, [normal(3), 2], tmp_path)
    assert {"SequenceInsert", "SequenceAt"} <= model.ops()
    for size, n in ((3, 2), (5, 0), (1, 7)):
        x = normal(size)
        agree(model(x, n), history(x, n))


def selected(x: Any, index: Any) -> Any:
    y = x[x > 0]
    z = np.zeros_like(x)
    z[index] = y.sum()
    z[x < -1] = -1.0
    return y, z, np.argsort(x), np.cumsum(x), x[index][::-1]


def test_masks_indices_and_sorting(tmp_path: Path) -> None:
    model = Model(selected, [normal(6), np.array([0, 2])], tmp_path)
    for size in (6, 11):
        x, index = normal(size), np.array([5, 1, 5])
        agree(model(x, index), selected(x, index))


def integers(a: int, b: int) -> Any:
    return a // b, a % b, a * b, a << 2, a >> 1, -a, abs(b), (a ^ b) & 255


def test_integers_are_pythons(tmp_path: Path) -> None:
    model = Model(integers, [7, 2], tmp_path)
    for a, b in ((7, 2), (-7, 2), (7, -2), (-8, -3), (0, 5)):
        agree(model(a, b), integers(a, b))


# -- errors -----------------------------------------------------------------------------------------------------


def test_errors_stop_the_run_with_their_message(tmp_path: Path) -> None:
    def guarded(x: Any, n: int) -> Any:
        for i in range(n):
            if x[i] < 0:
                raise ValueError("negative input")
        assert n < 4, "too many"
        return x.sum() / n

    model = Model(guarded, [normal(5), 3], tmp_path)
    x = np.abs(normal(5))
    agree(model(x, 3), guarded(x, 3))
    with pytest.raises(Exception, match="negative input"):
        model(-x, 2)
    with pytest.raises(Exception, match="too many"):
        model(x, 4)
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):  # the runtime's own words where its operator notices first
        model(x[:1], 3)


def test_integer_overflow_and_division_by_zero_stop_the_run(tmp_path: Path) -> None:
    model = Model(integers, [7, 2], tmp_path)
    with pytest.raises(Exception, match="ZeroDivisionError"):
        model(1, 0)
    with pytest.raises(Exception, match="OverflowError"):
        model(1 << 62, 3)


def test_shapes_that_do_not_fit_stop_the_run(tmp_path: Path) -> None:
    model = Model(lambda x, y: x + y, [normal(3), normal(3)], tmp_path)
    agree(model(np.ones(4, "f4"), np.ones(1, "f4")), np.full(4, 2.0))
    with pytest.raises(Exception, match="could not be broadcast"):
        model(normal(3), normal(4))


def test_what_onnx_lacks_is_refused_with_the_line(tmp_path: Path) -> None:
    def speaks(x: Any) -> Any:
        print("hello")
        return x

    def solves(x: Any) -> Any:
        return np.linalg.inv(x)

    for fn, args, reason in (
        (speaks, [normal(2)], r"ONNX has no print \(line \d+, op print\)"),
        (solves, [normal(2, 2)], r"no form in ONNX \(line \d+, op \w+\)"),
        (lambda x: x + 1, [np.ones(2, complex)], "do not take complex128"),
    ):
        with pytest.raises(ExportError, match=reason):
            tj.export(fn, args, tmp_path / "refused.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx.checker", None)
    with pytest.raises(ExportError, match=r"pip install tracejit\[onnx\]"):
        tj.export(lambda x: x + 1, [normal(2)], tmp_path / "model.onnx")


# -- gradients and modules --------------------------------------------------------------------------------------


def test_a_gradient_through_a_loop(tmp_path: Path) -> None:
    def loss(w: Any, x: Any, n: int) -> Any:
        h = x
        for _ in range(n):
            h = np.tanh(h @ w)
        return (h * h).sum()

    step = tj.value_and_grad(loss)
    model = Model(lambda w, x, n: step(w, x, n), [normal(3, 3), normal(2, 3), 2], tmp_path)
    for rows, size, n in ((2, 3, 2), (4, 2, 5), (1, 3, 0)):
        w, x = normal(size, size), normal(rows, size)
        agree(model(w, x, n), step(w, x, n), rtol=1e-4)


def test_a_gradient_through_lists(tmp_path: Path) -> None:
    def loss(x: Any, n: int) -> Any:
        states = [x]
        for i in range(n):
            states.append(np.sin(states[i] * 1.5))
        last = states.pop()
        states[0] = states[0] * 2.0 if len(states) > 0 else last
        total = (last * last).sum()
        for state in states:
            total = total + (state * state).sum()
        return total

    step = tj.value_and_grad(loss)
    model = Model(lambda x, n: step(x, n), [normal(3, dtype="f8"), 2], tmp_path)
    for size, n in ((3, 2), (5, 1), (1, 6)):
        x = normal(size, dtype="f8")
        agree(model(x, n), step(x, n), rtol=1e-9)


def test_a_gradient_through_arrays_in_a_list_that_change_in_place(tmp_path: Path) -> None:
    def loss(x: Any, n: int) -> Any:
        states = [x * 1.0, np.cos(x)]
        for i in range(n):
            states[0] += states[i] * 0.5
            states.append(states[0] * x)
            states[1] *= states[-1]
        return sum([(state * state).sum() for state in states])

    step = tj.value_and_grad(loss)
    model = Model(lambda x, n: step(x, n), [normal(3, dtype="f8"), 2], tmp_path)
    for size, n in ((3, 2), (5, 1)):
        x = normal(size, dtype="f8")
        agree(model(x, n), step(x, n), rtol=1e-9)


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.pool = nn.MaxPool2d(2)
        self.out = nn.Linear(3 * 4 * 4, 5)

    def forward(self, x: Any) -> Any:
        h = self.pool(tj.relu(self.norm(self.conv(x))))
        return tj.softmax(self.out(h.reshape(h.shape[0], -1)), dim=1)


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)

    def forward(self, x: Any) -> Any:
        y = self.norm(x)
        x = x + self.attention(y, y, y)[0]
        return x + self.down(nn.functional.gelu(self.up(x)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(4, 6, batch_first=True)
        self.out = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.cell(x)[0][:, -1])


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (Convolutional, [(2, 1, 8, 8), (5, 1, 8, 8)]),
        (Attending, [(2, 5, 8), (3, 1, 8)]),
        (Recurrent, [(2, 7, 4), (1, 3, 4)]),
    ],
)
def test_modules_carry_their_weights(make: Callable[[], nn.Module], shapes: Any, tmp_path: Path) -> None:
    tj.manual_seed(3)
    module = make().eval()
    model = Model(module, [tj.tensor(normal(*shapes[0]))], tmp_path)
    for shape in shapes:
        x = normal(*shape)
        agree(model(x), module(tj.tensor(x)), rtol=1e-4)


def test_a_training_step_gives_the_weights_it_changes(tmp_path: Path) -> None:
    def step(w: Any, x: Any, y: Any, rate: float) -> Any:
        def loss(w: Any) -> Any:
            return ((x @ w - y) ** 2).mean()

        value, slope = tj.value_and_grad(loss)(w)
        w -= rate * slope
        return value

    args = [normal(3, dtype="f8"), normal(8, 3, dtype="f8"), normal(8, dtype="f8"), 0.1]
    model = Model(step, args, tmp_path)
    w = args[0].copy()
    value = step(w, *args[1:])
    agree(model(*args), (value, w), rtol=1e-9)


def test_names_are_those_of_the_function(tmp_path: Path) -> None:
    model = Model(lambda left, right: {"total": left + right, "parts": (left, right * 2)}, [normal(2), 1.5], tmp_path)
    assert [i.name for i in model.session.get_inputs()] == ["left", "right"]
    assert len(model.session.get_outputs()) == 3
