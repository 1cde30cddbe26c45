"""The demonstration, step by step: train, look inside, differentiate control flow, compare times, export."""

from __future__ import annotations

import ast
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table

import tracejit as tj
from tracejit.demo import native, programs
from tracejit.demo.timing import interleaved, pretty

SAMPLES_IN_C = 5


def run(folder: Path, steps: int = programs.STEPS, *, times: bool = True) -> int:
    """Run everything (the comparison of `times` may be left out); files go to `folder`.

    Gives 0, or 1 where results disagree.
    """
    console = Console(highlight=False)
    agreed = [
        _training(console, steps),
        _conditional(console),
        _control_flow(console),
    ]
    if times:
        _times(console)
    agreed.append(_export(console, folder))
    if all(agreed):
        console.print("\n[bold green]Everything agrees.[/]")
        return 0
    console.print("\n[bold red]Some results disagree: see above.[/]")
    return 1


def _table(name: str, *numbers: str) -> Table:
    """A table of a name and numbers."""
    table = Table(name)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _title(console: Console, text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


# -- training -----------------------------------------------------------------------------------------------------


def _training(console: Console, steps: int) -> bool:
    _title(console, f"1. A two-layer network, {steps} steps, three ways")
    scripted = tj.script(programs.train_step)
    ways: dict[str, Callable[[], Iterator[float]]] = {
        "NumPy, gradient by hand": lambda: programs.train_numpy(steps),
        "tracejit, eager": lambda: programs.train_tensors(programs.train_step, steps),
        "tracejit, one compiled step": lambda: programs.train_tensors(scripted, steps),
    }
    losses: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    with _progress(console) as progress:
        for name, losses_of in ways.items():
            task = progress.add_task(name, total=steps)
            start = time.perf_counter()
            losses[name] = []
            for loss in losses_of():
                losses[name].append(loss)
                progress.advance(task)
            seconds[name] = time.perf_counter() - start
    reference = np.array(losses["NumPy, gradient by hand"])
    table = _table("", "first loss", "last loss", "time", "difference")
    worst = 0.0
    for name, values in losses.items():
        difference = float(np.max(np.abs(np.array(values) / reference - 1)))
        worst = max(worst, difference)
        table.add_row(name, f"{values[0]:.6e}", f"{values[-1]:.6e}", pretty(seconds[name]), f"{difference:.1e}")
    console.print(table)
    console.print(f"The step was compiled {scripted.compiles} time(s), compiling is in its time.")
    return worst < 1e-2


def _progress(console: Console) -> Progress:
    columns = TextColumn("{task.description:30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True)


# -- looking inside -------------------------------------------------------------------------------------------------


def _conditional(console: Console) -> bool:
    _title(console, "2. A branch is one node of the graph")
    x, y, w1, w2 = programs.network_data()
    scripted = tj.script(programs.conditional)
    low, high = (scripted(x, y, w1, w2, -w2, previous) for previous in (1.0, 9.0))
    console.print(Syntax(_source(programs.conditional), "python", background_color="default"))
    console.print(scripted.graph, markup=False, soft_wrap=True)
    tensors = [tj.tensor(array) for array in (x, y, w1, w2, -w2)]
    eager = [programs.conditional(*tensors, prev_loss=previous).item() for previous in (1.0, 9.0)]
    console.print(f"loss below 5: {low:.6e}, above: {high:.6e}; eager: {eager[0]:.6e}, {eager[1]:.6e}")
    return bool(np.allclose([low, high], eager, rtol=1e-4))


def _source(fn: Callable[..., Any]) -> str:
    """A function as a user would show it: without types and docstring."""
    tree = ast.parse(inspect.getsource(fn)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.body, tree.returns = tree.body[1:], None
    for argument in tree.args.args:
        argument.annotation = None
    return f"@tracejit.script\n{ast.unparse(tree)}\n"


# -- loops and their gradients ----------------------------------------------------------------------------------------


def _control_flow(console: Console) -> bool:
    _title(console, "3. Gradients through loops whose length is known at run time only")
    table = _table("program", "run", "value", "|gradient|", "by eager", "compiles")
    agreed = [*_recurrent_rows(table), *_fixed_point_rows(table)]
    console.print(table)
    return all(agreed)


def _gradient(fn: Callable[..., Any], constant: list[Any], weights: list[Any], *rest: Any) -> tuple[Any, float]:
    """A program's result, and the norm of its gradient with respect to `weights`."""
    leaves = [tj.tensor(w, requires_grad=True) for w in weights]
    result = fn(*map(tj.tensor, constant), *leaves, *rest)
    (result[0] if isinstance(result, tuple) else result).backward()
    gradients: list[Any] = [leaf.grad for leaf in leaves]
    return result, float(np.sqrt(sum(float((g * g).sum()) for g in gradients)))


def _recurrent_rows(table: Table) -> Iterator[bool]:
    rng = np.random.default_rng(1)
    w_in, w_state = (0.3 * rng.standard_normal(s, dtype=np.float32) for s in ((8, 16), (16, 16)))
    scripted = tj.script(programs.recurrent)
    for length in (3, 20, 100):
        xs = rng.standard_normal((length, 4, 8), dtype=np.float32)
        value, compiled = _gradient(scripted, [xs], [w_in, w_state])
        _, eager = _gradient(programs.recurrent, [xs], [w_in, w_state])
        shown = f"{float(value.detach()):.5f}", f"{compiled:.5f}", f"{eager:.5f}"
        table.add_row("recurrent (for)", f"{length} steps", *shown, str(scripted.compiles))
        yield bool(np.isclose(compiled, eager, rtol=1e-3))


def _fixed_point_rows(table: Table) -> Iterator[bool]:
    rng = np.random.default_rng(2)
    w, b = 0.1 * rng.standard_normal((20, 20)), rng.standard_normal(20)
    scripted = tj.script(programs.fixed_point)
    for tolerance in (1e-1, 1e-4, 1e-12):
        (value, rounds), compiled = _gradient(scripted, [], [w, b], tolerance)
        _, eager = _gradient(programs.fixed_point, [], [w, b], tolerance)
        shown = f"{float(value.detach()):.5f}", f"{compiled:.5f}", f"{eager:.5f}"
        table.add_row("fixed point (while)", f"{int(rounds)} rounds", *shown, str(scripted.compiles))
        yield bool(np.isclose(compiled, eager, rtol=1e-6))


# -- times ------------------------------------------------------------------------------------------------------------


def show_times() -> None:
    """The table of times alone."""
    _times(Console(highlight=False))


def _times(console: Console) -> None:
    _title(console, "4. Eager and compiled")
    table = _table("program", "eager", "compiled", "ratio")
    with _progress(console) as progress:
        cases = _timed_programs()
        task = progress.add_task("measuring", total=len(cases))
        for name, (fn, make_args) in cases.items():
            scripted, eager_args, args = tj.script(fn), make_args(), make_args()
            found = interleaved({"eager": lambda: fn(*eager_args), "compiled": lambda: scripted(*args)})  # noqa: B023
            table.add_row(name, *map(pretty, found.values()), f"{found['eager'] / found['compiled']:.1f}")
            progress.advance(task)
    console.print(table)


def _timed_programs() -> dict[str, tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]]:
    """Functions with makers of their arguments."""
    rng = np.random.default_rng(3)

    def normal(*shape: int) -> Any:
        return tj.tensor(rng.standard_normal(shape, dtype=np.float32))

    def training() -> tuple[Any, ...]:
        x, y, w1, w2 = map(tj.tensor, programs.network_data())
        return x, y, w1.requires_grad_(), w2.requires_grad_(), programs.RATE

    return {
        "training step": (programs.train_step, training),
        "recurrent network, 100 steps": (
            programs.recurrent,
            lambda: (normal(100, 4, 8), 0.3 * normal(8, 16), 0.3 * normal(16, 16)),
        ),
        "fixed point": (programs.fixed_point, lambda: (0.1 * normal(20, 20), normal(20), 1e-6)),
        "pointwise chain, 1,000,000": (programs.chain, lambda: (normal(1000, 1000), normal(1000, 1), normal(1000))),
        "pointwise chain, 16": (programs.chain, lambda: (normal(16), normal(16), normal(16))),
    }


# -- export -----------------------------------------------------------------------------------------------------------


def _export(console: Console, folder: Path) -> bool:
    _title(console, "5. Without Python")
    try:
        path = native.export_network(folder)
    except tj.ExportError as error:
        console.print(f"[yellow]not exported:[/] {error}")
        return True
    console.print(f"{path} ({path.stat().st_size / 1000:.0f} kB) and model.h, model.json, model.tj beside it")
    prefix, total = native.expected_line(SAMPLES_IN_C)
    line = native.run_c_program(folder, SAMPLES_IN_C)
    if line is None:
        line = native.run_through_ctypes(path, SAMPLES_IN_C)
        console.print("There is no C compiler (cc) here: the library was run through ctypes.")
        console.print(f"ctypes:    {line}")
    else:
        console.print(f"C program: {line}   (cc main.c model.so; run with an empty environment)")
    console.print(f"NumPy:     {prefix}{total:.6e}")
    return line.startswith(prefix) and bool(np.isclose(float(line.rsplit(" ", 1)[1]), total, rtol=1e-4))
