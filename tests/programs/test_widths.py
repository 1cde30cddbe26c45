"""Widths that data or arguments decide: of fields of f-strings, and of repeated text; lengths that `__len__` gives."""

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import script


def of_arguments(values, width):
    return [f"{x:>{width}.{2}f}|" for x in values], "{:{w}d}".format(3, w=width)


def gray_codes(n):
    return [f"{i ^ i >> 1:0{n}b}" for i in range(1 << n)]


def of_data(values):
    width = max(len(str(x)) for x in values)
    rows = [f"{x:*<{width}}|{x:0>{width}}|{x:{width}}|{str(x):{width}}|" for x in values]
    return rows, "-" * width, width * "ab"


def table(names, values):
    width = max(len(name) for name in names)
    return "\n".join(f"{n:<{width}} | {v:>{width}.2f} | {n:^{width}}" for n, v in zip(names, values, strict=True))


def binary(n):
    width, joined = len(bin(n)) - 2, ""
    for i in range(n):
        joined += f"{i:0{width}b}"
    return joined, joined.count("1"), [f"{i:>{width}d}" for i in range(n)]


def of_floats(values):
    for k in range(len(values)):
        w = int(values[k])
        print(f"{k:>{w}}|{values[k]:{w}}|{w:{w},}|{w < 0:{w}}")
    return f"{values[0]:.{int(values[0])}f}"


def of_text(values, text):
    w = int(values[0])
    return f"{text:0{w}}", f"{text:-^{w}}", "{:>{}}|{:<{}}".format(text, w, w, w + 1)


def zeros(values):
    w = int(values[0])
    return f"{w:0{w}d}"


def raised(values):
    w = int(values[0])
    raise ValueError(f"bad {w:>{w}} of {values[0]:{w}.1f}")


def numbered(x, w):
    return "{:>{}}|{:<{}}|{}".format(x, w, x, w + 1, x)


def texts_by_format(x, n):
    shown = f"{f'{x:.2f}%':>12}|{str(n):^7}|{[n, 2]!s:>12}|{(x, n)!r:<12}|{'a' + str(n):>6}|"
    return shown, "%10s|%-8s|%.3s|" % (f"{x:.1f}", str(n), "abcdef")  # noqa: UP031 - as people write it


def trimmed(values):
    found = []
    for x in values:
        found.append(f"{x:.4f}".rstrip("0").rstrip("."))
    return (
        ", ".join(found),
        f"{values[0]:e}".upper().replace("E", " e"),
        f"{values[0]}".zfill(8),
        f"{values[0]}".center(9),
    )


def wrong_format(x):
    print("before")
    return f"{x:d}"


def of_list(n):
    print("before")
    return f"{[n]:>10}"


def of_none(n):
    print("before", n)
    return f"{None:>10}"


class Bag:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n


class Window:
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return self.values[0]

    def __getitem__(self, i):
        return self.values[i]


def length(n):
    return len(Bag(n))


def condition(n):
    return 1 if Bag(n) else 2


def of_numpy(values):
    return len(Window(values)), 1 if Window(values) else 2


CASES = [
    (of_arguments, [1.0, 2.5], 8),
    (gray_codes, 3),
    (of_data, [1, 100, 20]),
    (table, ["a", "bcd", "ef"], [1.0, 22.5, 3.25]),
    (binary, 5),
    (of_floats, [4.0, -3.0, 0.0]),
    (of_floats, [-3.0, 1.0]),
    (of_text, [6.0], "abc"),
    (of_text, [0.0], "abc"),
    (of_text, [-5.0], "abc"),
    (zeros, [5.0]),
    (zeros, [-5.0]),
    (raised, [6.0]),
    (numbered, 12, 5),
    (texts_by_format, 2.5, 3),
    (trimmed, [1.25, 2.0]),
    (wrong_format, 1.5),
    (of_list, 1),
    (of_none, 1),
    (length, 3),
    (length, -1),
    (length, 1.5),
    (condition, 3),
    (condition, 0),
    (condition, -1),
    (of_numpy, np.array([3, 4, 5])),
    (of_numpy, np.array([-3, 4, 5])),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:30])
def test_programs(case):
    check(*case)


def test_the_error_of_a_width_below_0():
    with pytest.raises(ValueError) as plain:
        zeros([-5.0])
    with pytest.raises(ValueError) as compiled:
        script(zeros)([-5.0])
    assert str(compiled.value) == str(plain.value) == "Invalid format specifier '0-5d' for object of type 'int'"
