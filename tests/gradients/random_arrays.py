"""Random programs that write arrays through views, closures, masks and recursion inside loops, with lists that grow
and shrink and complex values on the way. Their derivatives by one number, to third order, in reverse and forward mode
and in the lanes of `vmap`, are those that plain Python gives for numbers which carry their derivatives (`jets.py`).

`python -m tests.gradients.random_arrays --first 0 --count 1000` looks for programs whose derivatives differ; `--native`
compiles them.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

import tracejit as tj
from tests.gradients.jets import ORDERS, CloseCall, Jet, NumPy
from tests.searches import search
from tests.sources import defined
from tracejit.ir.interpreter import run
from tracejit.scripted.compiler import simplify

POINT = 0.7
HEAD = """\
def bound(v):
    return v / (1.0 + v * v)


def walk(r, q, i, left):
    if left == 0:
        return r[i] * 0.5
    r[i] = bound(r[i] + r[q[i]])
    u = walk(r, q, (q[i] + left) % len(r), left - 1)
    if u > 0.1:
        r[q[i]] = u * r[i]
        return u
    r[-1] *= 0.7
    return u * walk(r[::-1], q, q[i], left - 1) + r[0]


def f(t, start, rest, q):
    n = len(start)
    a = start * t + rest
    b = np.sin(rest - start * t)
    m = np.outer(a, b) * 0.5
    z = a + b * 0.5j
    w = a[1:] * 1.0
    p = b[1:]
    l = [t, t * t]
    ls = [a * b]
    s = t * t
    v = 0.3 - t
    i = 0
"""
TAIL = """\
    s = s + v * 0.7 + a.sum() + (b * a).sum() * 0.3 + m.sum() * 0.2 + (w * w).sum() + p.sum() * 0.1
    for u in l:
        s = s * 0.9 + u * 0.3
    for r in ls:
        s = s + (r * a).sum() * 0.4
    return s + np.real(z * np.conj(z)).sum() * 0.2 + np.imag(z).sum() * 0.1
"""
MODES = """\


def forward(t, start, rest, q):
    return tj.jvp(lambda u: f(u, start, rest, q), (t,), (1.0,))[1]


def forward_of_reverse(t, start, rest, q):
    return tj.jvp(lambda u: tj.grad(f)(u, start, rest, q), (t,), (1.0,))[1]


def reverse_of_forward(t, start, rest, q):
    return tj.grad(forward)(t, start, rest, q)


def in_lanes(t, start, rest, q):
    return tj.vmap(lambda u: tj.grad(f)(u, start, rest, q))(np.array([t, t * 0.5, t]))[2]
"""
INDICES = ("0", "-1", "{j} % n", "{j} % n", "({j} + 1) % n", "q[{j} % n]", "q[-1]", "len(l) % n", "-1 - {j} % n")
WHOLE = ("{j}", "{j}", "i", "len(l)", "len(w)", "q[0]")
#: Numbers; `{f}` is another number, `{v}` a vector, `{i}` an index of one, `{j}` an integer.
NUMBERS = (
    *("t", "s", "v", "s", "v", "l[-1]", "l[{j} % len(l)]", "a[{i}]", "b[{i}]", "m[{i}, {i}]", "ls[-1][{i}]"),
    *("a[{i}]", "b[{i}]", "w.sum()", "p[0]", "p[-1]", "np.real(z[{i}])", "np.imag(z[{i}])", "np.abs(z[{i}] + 2.0)"),
    *("{v}.sum()", "{v}.sum()", "{v}.max()", "np.prod({v})", "{v} @ {v}", "{v}[{i}]", "np.mean({v})"),
    *("bound({f} * {f})", "bound({f} - {f})", "({f} + {f})", "0.5 * {f}", "np.tanh({f})", "np.sin({f} * 2.0)"),
    *("({f} if {c} else {f})", "max({f}, {f})", "min({f}, 0.5)", "abs({f})", "np.exp(-abs({f}))"),
    *("np.sqrt(1.0 + {f} ** 2)", "note({f}, {j})", "note({f}, {j})", "deep(2, {f})", "walk(a, q, {i}, 2)"),
    *("walk(b[1:], q % (n - 1), {j} % (n - 1), 2)", "sum(l)", "walk(m[{i}], q, 0, 1)", "np.trace(m)"),
)
VECTORS = (
    *("a", "b", "a", "b", "a[::-1]", "m[{i}]", "m[:, {i}]", "m.T[{i}]", "m.diagonal()", "np.real(z)", "np.imag(z)"),
    *("a[q]", "b[q]", "ls[-1]", "ls[{j} % len(ls)]", "np.sort(a)", "np.cumsum(b)", "m @ a", "b @ m", "np.zeros(n)"),
    *("({v} * {v})", "({v} + {v})", "({v} - {f})", "({v} * {f})", "bound({v})", "np.sin({v})", "np.maximum({v}, {f})"),
    *("np.where({v} > {f}, {v}, {v})", "np.roll({v}, 1)", "np.concatenate([{v}[1:], {v}[:1]])", "np.abs({v})"),
    *("np.minimum({v}, {v})", "np.real(z * np.conj(z))", "np.abs(z + 2.0)", "m.sum(axis=1)", "np.outer({v}, {v})[{i}]"),
    *("np.take({v}, q)", "np.sqrt(1.0 + {v} ** 2)"),
)
CONDITIONS = (
    *("{j} % 2 == 0", "{f} > {f}", "{f} > 0.3", "{f} < 0.0", "len(l) > 3", "len(w) > 2", "len(ls) > 1", "{j} > 1"),
    *("(a > {f}).any()", "({v} > {f}).all()", "q[{j} % n] > 1", "{f} > 0.1 and {f} < 1.5", "not {f} > 0.2"),
)
#: Statements; lines of one are separated by `|`.
CHANGES = (
    *("s = {f}", "v = {f}", "s += 0.5 * {f}", "s, v = v, {f}", "v = v * 0.5 + s", "i += 1"),
    *("a = bound({v}) + 0.0", "b = {v} + {f}", "a, b = b, a", "b = a.copy()", "a[{i}] = {f}", "b[{i}] = {f}"),
    *("a[{i}] += {f} * 0.3", "b[{i}] *= {f}", "a[:] = bound({v})", "b[1:] = {v}[:-1]", "a[1:] += b[:-1]"),
    *("a[::2] *= 0.5", "b[::-1] = {v}", "a[{j} % n:] = {f}", "b *= 0.6", "a += bound({v})", "a[q] = {v}"),
    *("b[q] += {v} * 0.3", "np.add.at(a, q, {v} * 0.4)", "a[[0, 1]] = a[[1, 0]]", "a[0], b[-1] = b[0], a[-1]"),
    *("a[a > {f}] = {f}", "b[a > {f}] *= 0.5", "k = {v} > {f}|a[k] = bound(b[k])|b[~k] -= a[~k]"),
    *("w = a[a > {f}]", "w = {v}[b > {f}] * 0.5", "w = np.concatenate([w, w[:1]])[-6:]", "w = w[1:]", "w *= 0.7"),
    *("w[w > {f}] = {f}", "w = np.cumsum(w)", "w = bound(w[::-1])", "w[:] = {f}", "w = np.sort(w)", "w = a[q > 1]"),
    *("p = a[1:]", "p = b[::2]", "p = p[::-1]", "p = p[1:] if len(p) > 2 else a", "p[0] = {f}", "p *= 0.6"),
    *("p[:] = bound(p) * 0.8", "p[-1] += {f}", "p[1:] = p[:-1]", "p = m[{i}]", "p = m[:, {i}]", "p = p.copy()"),
    *("c = a[1:]|c = c[::-1]|c[0] = {f}|c[1:] *= 0.5", "c = m[1:, ::2]|c[0] = {f}|d = c.T|d[-1] += {f}"),
    *("c = p[::-1]|d = c[:2]|d *= {f}", "m[{i}] = {v}", "m[:, {i}] *= {f}", "m = bound(m @ m)", "m = m.T"),
    *("m[{i}, {i}] = {f}", "m[1:] = m[:-1] * 0.7", "m *= 0.5", "m = np.outer({v}, {v}) * 0.3", "m += {v} * 0.3"),
    *("m[m > {f}] = {f}", "m[q, {i}] = {v}", "z[{i}] = z[{i}] * (0.5 + 0.3j) + {f}", "z = z * z * 0.3", "z *= 0.8j"),
    *("z = bound({v}) + z * 0.5", "z[1:] += z[:-1] * 0.4j", "z = np.conj(z)", "z[q] = z * 0.9", "z = z * {f} + {v}"),
    *("l.append({f})", "l.append({f})", "if len(l) > 1:|    s = l.pop() * 0.7", "l.insert(0, {f})", "l[-1] = {f}"),
    *("l[{j} % len(l)] = {f}", "if len(l) > 2:|    v = l.pop(0) * 0.6", "l[0] *= 0.5", "l = l[-3:]", "l.reverse()"),
    *("ls.append({v} * 0.5)", "if len(ls) > 1:|    b = ls.pop() * 0.5", "ls[-1] = {v} + 0.0", "ls = ls[-2:]"),
    *("ls[-1] = ls[0] * {f}", "for r in ls:|    s = s * 0.5 + r[{i}]"),
    *("for u in w:|    s = bound(s + u)|    w[0] = s", "for r in m:|    r *= 0.6|    r[1:] += r[:-1] * s"),
    *("for u in a:|    v = bound(v + u)|    b[{i}] += u", "for k in np.nonzero(a > {f})[0]:|    b[k] = a[k] * s"),
    *("for g, u in enumerate(l):|    a[g % n] += u * 0.3", "for x, y in zip(a, b):|    s = s + x * y * 0.2"),
)

#: What nested functions bind anew, their statements, and those of one that calls itself.
REBOUND = ("s", "v", "a", "b", "m", "z", "w", "p", "i")
CLOSED = tuple(c for c in CHANGES if not re.match(r"l = |l\.reverse", c) and "ls" not in c)
DEEP = (
    *("a[left] = bound(a[left - 1] + x)", "b[left % n] *= x", "m[left % n] = m[0] * x", "l.append(x)", "b[b > x] = x"),
    *("l[-1] = bound(l[-1] + x)", "a[1:] += a[:-1] * x", "z[0] = z[left % n] * x"),
)


class Writer:
    """Writes one module."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.counters = 0
        self.may_call = True  #: the functions made inside

    def filled(self, template: str, ints: Sequence[str], depth: int = 2) -> str:
        """The template with what its letters stand for."""
        return re.sub(r"\{([fvcij])\}", lambda found: self.expression(found[1], ints, depth), template)

    def expression(self, kind: str, ints: Sequence[str], depth: int) -> str:
        """An expression of the kind of a letter."""
        if kind == "j":
            return self.random.choice(WHOLE).replace("{j}", self.random.choice(ints))
        options = {"f": NUMBERS, "v": VECTORS, "c": CONDITIONS, "i": INDICES}[kind]
        if depth <= 0 and kind in "fv":
            options = options[:8]
        if not self.may_call:
            options = [o for o in options if "note(" not in o and "deep(" not in o]
        return self.filled(self.random.choice(options), ints, depth - 1)

    def write(self, indent: str, text: str) -> None:
        self.lines += [indent + line for line in text.split("|")]

    def block(self, indent: str, ints: Sequence[str], depth: int, loops: int) -> None:
        """Statements, some of which are branches and loops."""
        for _ in range(self.random.randrange(1, 4)):
            kind = self.random.random()
            if kind < 0.2 and depth < 4:
                self.write(indent, f"if {self.filled('{c}', ints)}:")
                self.block(indent + "    ", ints, depth + 1, loops)
                if self.random.random() < 0.5:
                    self.write(indent, "else:")
                    self.block(indent + "    ", ints, depth + 1, loops)
            elif kind < 0.4 and depth < 3:
                self.loop(indent, ints, depth, loops)
            elif kind < 0.46 and loops:
                jump = self.random.choice(("break", "break", "continue"))
                self.write(indent, self.filled("if {c}:", ints))
                self.write(indent + "    ", self.filled(self.random.choice(CHANGES), ints))
                self.write(indent + "    ", jump)
            elif kind < 0.5:
                self.write(indent, self.filled("if {c} and {f} > 0.6:|    return {f} + a[0] * s", ints))
            else:
                self.write(indent, self.filled(self.random.choice(CHANGES), ints))

    def loop(self, indent: str, ints: Sequence[str], depth: int, loops: int) -> None:
        """A loop of a few trips."""
        self.counters += 1
        name = f"i{self.counters}"
        if self.random.random() < 0.6:
            trips = self.random.choice(("2", "3", "n", "len(l) % 4", f"{self.random.choice(ints)} % 3", "len(w)"))
            self.write(indent, f"for {name} in range({trips}):")
        else:
            self.write(indent, f"{name} = 0")
            self.write(indent, self.filled(f"while {name} < {self.random.randrange(2, 5)} and {{c}}:", [*ints, name]))
            self.write(indent + "    ", f"{name} += 1")
        self.block(indent + "    ", [*ints, name], depth + 1, loops + 1)

    def closures(self) -> None:
        """A function that writes what is around it, and one that does so at every level of a recursion."""
        inside = "        "
        self.may_call = False
        self.write("    ", f"def note(x, j):|    nonlocal {', '.join(REBOUND)}")
        self.changes(inside, CLOSED, self.random.randrange(1, 3))
        if self.random.random() < 0.5:
            self.write(inside, "if x > 0.2:")
            self.changes(inside + "    ", CLOSED, 1)
            self.write(inside, "    return a[j % n] * 0.5")
        self.write(inside, "return bound(x + s)")
        self.write("    ", "def deep(left, x):|    if left == 0:|        return bound(x)")
        self.changes(inside, DEEP, self.random.randrange(1, 3))
        self.write(inside, "if x > 0.4:|    return deep(left - 1, x * 0.5) * a[0]")
        self.write(inside, "return deep(left - 1, a[left % n]) + deep(left - 1, b[0] * x)")
        self.may_call = True

    def changes(self, indent: str, options: Sequence[str], count: int) -> None:
        for _ in range(count):
            self.write(indent, self.filled(self.random.choice(options), ("j",), 1))

    def source(self) -> str:
        self.closures()
        for _ in range(self.random.randrange(1, 3)):
            self.loop("    ", ("i", "n"), 1, 0)
            self.block("    ", ("i", "n"), 3, 0)
        return HEAD + "\n".join(self.lines) + "\n" + TAIL


def arguments(seed: int) -> tuple[Any, ...]:
    """The number and the constants."""
    rng = np.random.default_rng(seed)
    return POINT, rng.normal(size=4) * 0.6, rng.normal(size=4) * 0.6, rng.integers(0, 4, 4)


def namespace(text: str, file: str, xp: Any) -> dict[str, Any]:
    """What a module defines."""
    return defined(text, file, np=xp, tj=tj)


def expected(text: str, seed: int) -> Jet:
    """The value and its derivatives."""
    _, *constants = arguments(seed)
    found = namespace(text, f"<jets {seed}>", NumPy())["f"](Jet(POINT, 1.0), *constants)
    return found if isinstance(found, Jet) else Jet(found)


def of(fn: Callable[..., Any], given: Sequence[Any], native: bool) -> Any:
    """What a function gives, by the interpreter or compiled."""
    if native:
        return tj.script(fn)(*given)
    specialised = tj.script(fn).specialise(list(given))
    inputs = [i.access.fetch(given) for i in specialised.lowered.inputs]
    return run(simplify(specialised.lowered.graph)[0], inputs)[0]


Case: TypeAlias = tuple[str, Callable[..., Any], int]

#: What is looked at beside values and slopes, by seed: a name, a function, and the order of its derivative.
FURTHER: tuple[Callable[[dict[str, Any]], Case], ...] = (
    lambda names: ("forward mode", names["forward"], 1),
    lambda names: ("second derivative", tj.grad(tj.grad(names["f"])), 2),
    lambda names: ("lanes", names["in_lanes"], 1),
    lambda names: ("forward of reverse mode", names["forward_of_reverse"], 2),
    lambda names: ("third derivative", tj.grad(tj.grad(tj.grad(names["f"]))), 3),
    lambda names: ("reverse of forward mode", names["reverse_of_forward"], 2),
)


def check(seed: int, native: bool = False) -> bool:
    """Compare the derivatives of a program; False where plain Python raises or nothing is known. Raises where one
    differs."""
    text = Writer(seed).source()
    with np.errstate(all="ignore"):
        try:
            jet = expected(text, seed)
        except (CloseCall, ValueError, IndexError, ZeroDivisionError, OverflowError, TypeError):
            return False
        wanted = [jet.derivative(k) for k in range(ORDERS + 1)]
        if not all(np.isfinite(wanted)) or max(map(abs, wanted)) > 1e6:
            return False
        names = namespace(text + MODES, f"<random arrays {seed}>", np)
        fn = names["f"]
        cases = [("value", fn, 0), ("reverse mode", tj.grad(fn), 1), FURTHER[seed % len(FURTHER)](names)]
        given = arguments(seed)
        for what, derived, order in cases:
            found = of(derived, given, native)
            if not np.isclose(found, wanted[order], rtol=1e-7, atol=1e-8 * max(1.0, *map(abs, wanted))):
                raise AssertionError(f"{what}: {found!r}, expected {wanted[order]!r}")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--native", action="store_true", help="compile them")
    return search(
        parser,
        "random programs",
        lambda seed, options: check(seed, options.native),
        lambda seed: Writer(seed).source(),
    )


if __name__ == "__main__":
    sys.exit(main())
