"""Arrays, tensors, complex numbers and growing lists in prints, texts and messages, against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, Program, T, run
from tests.programs.compare import check
from tracejit.errors import ExportError

case = Cases()


@case((np.arange(6.0).reshape(2, 3) + 0.5,), (np.zeros((0, 3)),), (np.zeros((2, 0)),))
def printed(a):
    print(a)
    print("a =", a, a.shape, a.T, a > 2)
    print(f"{a} {a!r}", (a, 1), [a[:, :1]])
    for row in a:
        print(row)
    return str(a), repr(a), "%s" % a, "v: " + str(a)


@case((np.arange(2000.0),), (np.arange(24.0).reshape(2, 3, 4),))
def summarised(a):
    print(a)


@case((np.array([True, False]), np.arange(3, dtype=np.uint8), np.array([1.1, 2.2], dtype=np.float32)))
def dtypes(a, b, c):
    print(a, b, c, c * 1j)
    print([a, b], c[0], c.sum())
    return f"{a} {b} {c}"


@case((np.arange(5.0),))
def as_it_was_then(a):
    text = f"{a}"
    a[0] = 9
    print(text, a)
    for i in range(2):
        print(i, a[:i], a[::2])
    return text + "!"


@case((np.arange(5.0), 9))
def with_many_numbers(a, n):
    print(n, n + 1, n + 2, n + 3, n + 4, a, n + 5, n + 6, n + 7, n + 8, a * 2, n + 9)


@case((np.arange(3.0),), (np.arange(6.0),))
def asserted(a):
    assert a.sum() < 4, f"too much: {a} with {a.sum()}"
    return 1


@case((np.arange(3.0), 1), (np.arange(6.0), 2))
def raised(a, n):
    if n > 1:
        raise ValueError(f"bad values {a[a > 2]} at {n}")
    return n


@case((np.arange(5.0),))
def format_that_arrays_lack(a):
    return f"{a:.2f}"


@case((4, 2.5))
def growing_lists(n, x):
    pairs = [(i, i * x) for i in range(n)]
    numbers = [i * x for i in range(n)]
    scalars = []
    for i in range(n):
        scalars.append(np.float64(i))
    print(pairs, numbers)
    print([np.arange(3) + i for i in range(n)])
    print(scalars, [[i, 2 * i] for i in range(n)])
    return str(numbers), f"{numbers}"


@case((1 + 2j, np.complex64(1 + 2j)), (complex(-0.0, float("-inf")), np.complex64(0)))
def complex_numbers(z, w):
    print(z, w, f"{z:.1f} {w}", [z, w], abs(z))
    print(repr(z), repr(w), z * 2, w * w, -z)
    raise ValueError(z)


@case((T(3) * 1.5,))
def tensors(x):
    print(x, x * 2, x.shape)
    print(x.sum(), f"{x.sum()}", x > 1)
    return str(x)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_print_options_of_the_call_count() -> None:
    def f(a: Any) -> str:
        print(a)
        return str(a)

    scripted = check(f, np.arange(4.0) / 3)
    with np.printoptions(precision=2, threshold=3):
        check(f, np.arange(4.0) / 3, scripted=scripted)


def test_exported_programs_show_numbers_only(tmp_path: Any) -> None:
    def f(a: Any) -> Any:
        print(a)
        return a

    with pytest.raises(ExportError, match="for Python to show"):
        tj.export(f, (np.arange(3.0),), tmp_path / "f.so")


def tells_of_gradients(w, x, c):
    loss = (w * x).sum()
    y = w if c > 0 else x
    print(loss, w, w * 2, x, y, [w, x], (loss, 1), w.detach(), str(loss), repr(w), w[0], x[0])
    print(f"{loss} {w} {x[0]} {w[0]} {loss:.3f}", "%s and %.2f" % (loss, loss))
    with tj.no_grad():
        print(w * 2, w[0], w, loss, (w * x).sum())
    if c > 5:
        raise ValueError(loss)


def test_the_text_of_a_tensor_says_whether_it_asks_for_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    compiled = tj.script(tells_of_gradients)
    for c in (1, 0, 7):
        shown: list[str] = []
        for fn in (tells_of_gradients, compiled):
            w, x = tj.tensor([1.0, 2.0], requires_grad=True), tj.tensor([3.0, 4.0])
            try:
                fn(w, x, c)
            except ValueError as error:
                print(error)
            shown.append(capsys.readouterr().out)
        assert shown[0] == shown[1]
        assert "requires_grad=True" in shown[0]


def test_texts_of_narrow_numbers_have_their_digits() -> None:
    def shown(x, h, c):
        print(c[0])
        return str(x[0]), repr(x[1]), f"{x[0]!r} {x[0]}", "%s" % h[0], str([x[0], h[0]]), str(c[0])  # noqa: UP031

    check(shown, np.float32([0.1, 1 / 3]), np.float16([0.1]), np.complex64([0.1 + 0.2j]))
