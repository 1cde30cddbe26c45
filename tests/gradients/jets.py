"""Numbers with their derivatives to some order, and arrays of such in NumPy's object arrays: what derivatives of plain
Python programs of one number are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ORDERS = 3


class CloseCall(ArithmeticError):
    """Two numbers were compared that differ by rounding errors only: what is true of them is not known."""


class Jet:
    """A real or complex number as a function of one: its Taylor coefficients up to `ORDERS`."""

    __slots__ = ("terms",)

    def __init__(self, *terms: complex) -> None:
        self.terms: tuple[Any, ...] = (*terms, *(0.0,) * (ORDERS + 1 - len(terms)))

    def derivative(self, order: int) -> Any:
        """The derivative of an order."""
        return self.terms[order] * float(np.prod(range(1, order + 1)))

    # -- arithmetic -------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        found = _jet(other)
        return NotImplemented if found is None else Jet(*(x + y for x, y in zip(self.terms, found.terms, strict=True)))

    def __mul__(self, other: Any) -> Any:
        found = _jet(other)
        return NotImplemented if found is None else Jet(*(_product(self, found, k) for k in range(ORDERS + 1)))

    def __truediv__(self, other: Any) -> Any:
        found = _jet(other)
        if found is None:
            return NotImplemented
        terms: list[Any] = []
        for k in range(ORDERS + 1):
            before = sum(terms[i] * found.terms[k - i] for i in range(k))
            terms.append((self.terms[k] - before) / found.terms[0])
        return Jet(*terms)

    def __neg__(self) -> Jet:
        return Jet(*(-x for x in self.terms))

    def __sub__(self, other: Any) -> Any:
        found = _jet(other)
        return NotImplemented if found is None else self + -found

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __rtruediv__(self, other: Any) -> Any:
        found = _jet(other)
        return NotImplemented if found is None else found / self

    def __pow__(self, power: int) -> Jet:
        made = Jet(1.0)
        for _ in range(power):
            made = made * self
        return made

    __radd__, __rmul__ = __add__, __mul__

    # -- order ------------------------------------------------------------------------------------------------

    def _less(self, other: Any) -> bool:
        found = _jet(other)
        assert found is not None
        x, y = self.terms[0], found.terms[0]
        if abs(x - y) < 1e-9 and not (x == y and not any((*self.terms[1:], *found.terms[1:]))):
            raise CloseCall
        return bool(x < y)

    def __lt__(self, other: Any) -> bool:
        return self._less(other)

    def __gt__(self, other: Any) -> bool:
        return _jet(other)._less(self)  # type: ignore[union-attr]

    def __ge__(self, other: Any) -> bool:
        return not self._less(other)

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __abs__(self) -> Jet:
        if any(isinstance(x, complex) for x in self.terms):
            return (self.real * self.real + self.imag * self.imag).sqrt()
        return -self if self < 0.0 else self

    # -- functions: NumPy calls these for elements of object arrays --------------------------------------------

    @property
    def real(self) -> Jet:
        return Jet(*(x.real for x in self.terms))

    @property
    def imag(self) -> Jet:
        return Jet(*(x.imag for x in self.terms))

    def conjugate(self) -> Jet:
        return Jet(*(x.conjugate() for x in self.terms))

    def exp(self) -> Jet:
        return self._solved(np.exp(self.terms[0]), lambda made: made)

    def tanh(self) -> Jet:
        return self._solved(np.tanh(self.terms[0]), lambda made: 1.0 - made * made)

    def sqrt(self) -> Jet:
        return self._solved(np.sqrt(self.terms[0]), lambda made: 0.5 / made)

    def sin(self) -> Jet:
        turned = (self * 1j).exp()
        back = (self * -1j).exp()
        found = (turned - back) / 2j
        return found if any(isinstance(x, complex) for x in self.terms) else found.real

    def _solved(self, value: Any, slope: Callable[[Jet], Jet]) -> Jet:
        """The function with this value here whose slope is that function of it."""
        made = Jet(value)
        for k in range(1, ORDERS + 1):
            inner = slope(made)
            term = sum(inner.terms[k - 1 - i] * (i + 1) * self.terms[i + 1] for i in range(k)) / k
            made = Jet(*made.terms[:k], term)
        return made


def _jet(x: Any) -> Jet | None:
    if isinstance(x, Jet):
        return x
    return Jet(complex(x) if isinstance(x, complex) else float(x)) if np.isscalar(x) else None


def _product(x: Jet, y: Jet, k: int) -> Any:
    return sum(x.terms[i] * y.terms[k - i] for i in range(k + 1))


class NumPy:
    """NumPy for programs over jets: what makes floats makes jets."""

    float64 = float

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def zeros(shape: Any) -> Any:
        made = np.empty(shape, object)
        made[...] = Jet(0.0)
        return made

    @staticmethod
    def array(items: Any) -> Any:
        return np.array(items, object)

    @staticmethod
    def real(x: Any) -> Any:
        return _each(x, lambda v: _jet(v).real)  # type: ignore[union-attr]

    @staticmethod
    def imag(x: Any) -> Any:
        return _each(x, lambda v: _jet(v).imag)  # type: ignore[union-attr]


def _each(x: Any, fn: Callable[[Any], Any]) -> Any:
    return np.frompyfunc(fn, 1, 1)(x)
