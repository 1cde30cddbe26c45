"""How discrete Fourier transforms of real lines are computed.

Where the number n of elements is even, pairs of them are complex numbers, and the transform of these n / 2 numbers is
taken apart into those of the even and of the odd places, or put together of them. Where n is odd, all are complex.

Van Loan, Computational Frameworks for the Fast Fourier Transform, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.ir.types import I64, DType, real_dtype
from tracejit.ops.fourier_loops import (
    Array,
    Doubled,
    Emitter,
    Expr,
    Line,
    Pair,
    fill,
    load_pair,
    multiplied,
    transform_lines,
    turned,
)
from tracejit.records import record


@record
class _Real:
    """Lines of `count` real numbers, as `length` complex ones; where the count is even, the powers of
    e^(-2 pi i / count) up to half a turn, conjugated for the inverse."""

    count: Expr
    is_even: Expr
    length: Expr
    powers: Sequence[Array]

    def either(self, k: Any, even: Pair, odd: Pair) -> Pair:
        return k.select(self.is_even, even[0], odd[0]), k.select(self.is_even, even[1], odd[1])

    def power(self, e: Emitter, i: Expr) -> Pair:
        """The power to the i where the count is even, else some number."""
        return load_pair(e, self.powers, e.k.let(e.k.select(self.is_even, i, e.k.const(0, I64)), "power"))


def _real(e: Emitter, count: Expr, part: DType, sign: int) -> _Real:
    k = e.k
    is_even = k.let(k.eq(k.bitand(count, 1), 0), "is_even")
    length = k.let(k.select(is_even, k.lsr(count, k.const(1, I64)), count), "length")
    size = k.let(k.select(is_even, k.add(length, 1), k.const(1, I64)), "size")
    powers = tuple(e.work(part, (size,), name) for name in ("cosines", "sines"))
    with e.kernel(), e.loops((size,), vector=True) as (i,):
        fill(e, powers, i, turned(e, i, count), k.const(sign, part))
    return _Real(count, is_even, length, powers)


def rfft(e: Emitter, results: Sequence[Any], _half: Expr, x: Array, *, axis: int) -> Array:
    """The first half of the transform of every line; the rest are its conjugates."""
    out, real = e.new(results[0]), _real(e, x.shape[axis], x.type.dtype, -1)
    doubled = Doubled(real.is_even, real.powers)
    transform_lines(
        e,
        x,
        axis,
        real.length,
        False,
        lambda lines, place: _Forward(lines, place, x, out, real.length, real, out.shape[axis]),
        doubled,
    )
    return out


def irfft(e: Emitter, results: Sequence[Any], count: Expr, x: Array, *, axis: int) -> Array:
    """The lines of `count` real numbers whose transforms begin with those of x, times `count`."""
    out, real = e.new(results[0]), _real(e, count, real_dtype(x.type.dtype), 1)
    doubled = Doubled(real.is_even, real.powers)
    transform_lines(
        e,
        x,
        axis,
        real.length,
        True,
        lambda lines, place: _Inverse(lines, place, x, out, real.length, real),
        doubled,
    )
    return out


@record
class _Forward(Line):
    """A real line, and the first `half` numbers of its transform."""

    real: _Real
    half: Expr

    @property
    def count(self) -> Expr:
        return self.half

    def load(self, i: Expr) -> Pair:
        e, k, is_even = self.lines.e, self.lines.e.k, self.real.is_even
        first = k.let(k.select(is_even, k.mul(i, 2), i), "first")
        second = k.let(k.minimum(k.add(first, 1), k.sub(self.real.count, 1)), "second")
        value = e.load(self.x, self.place(second))
        return e.load(self.x, self.place(first)), k.select(is_even, value, k.const(0, self.x.type.dtype))

    def store(self, last: Expr, i: Expr) -> None:
        """Z of the pairs gives E = (Z[i] + conj Z[-i]) / 2 and O = (Z[i] - conj Z[-i]) / 2i of the even and odd places,
        and the transform is E + w^i O."""
        e, k = self.lines.e, self.lines.e.k
        zero = k.const(0, I64)
        at = k.let(k.select(k.eq(i, self.size), zero, i), "at")
        mirrored = k.let(k.select(k.eq(i, 0), zero, k.sub(self.size, i)), "mirrored")
        (re, im), (other_re, other_im) = self.lines.load(last, at), self.lines.load(last, mirrored)
        even = k.mul(k.add(re, other_re), 0.5), k.mul(k.sub(im, other_im), 0.5)
        odd = k.let(k.mul(k.add(im, other_im), 0.5), "odd"), k.let(k.mul(k.sub(other_re, re), 0.5), "odd")
        shifted = multiplied(k, odd, self.real.power(e, i))
        whole = k.add(even[0], shifted[0]), k.add(even[1], shifted[1])
        e.store(self.out, self.place(i), k.complex(*self.real.either(k, whole, (re, im))))


@record
class _Inverse(Line):
    """The first half of a transform, and the real line."""

    real: _Real

    def load(self, i: Expr) -> Pair:
        """With conj X[n/2 - i] = X[i + n/2], the even places have the transform X[i] + X[i + n/2], the odd ones
        w^i (X[i] - X[i + n/2]), and the pairs the first plus i times the second. Of X[0] and X[n/2] the imaginary parts
        do not count."""
        e, k, real = self.lines.e, self.lines.e.k, self.real
        none = k.const(0, real_dtype(self.x.type.dtype))
        at = k.let(k.minimum(i, k.sub(real.count, i)), "at")
        mirrored = k.let(k.select(real.is_even, k.sub(self.size, i), at), "mirrored")

        def coefficient(place: Expr) -> Pair:
            value = e.load(self.x, self.place(place))
            return k.let(k.real(value), "re"), k.let(k.select(k.eq(i, 0), none, k.imag(value)), "im")

        (re, im), (other_re, other_im) = coefficient(at), coefficient(mirrored)
        apart = k.let(k.sub(re, other_re), "apart"), k.let(k.add(im, other_im), "apart")
        shifted = multiplied(k, apart, real.power(e, i))
        pairs = k.sub(k.add(re, other_re), shifted[1]), k.add(k.sub(im, other_im), shifted[0])
        return real.either(k, pairs, (re, k.select(k.gt(i, at), k.neg(im), im)))

    def store(self, last: Expr, i: Expr) -> None:
        e, k, is_even = self.lines.e, self.lines.e.k, self.real.is_even
        re, im = self.lines.load(last, i)
        first = k.let(k.select(is_even, k.mul(i, 2), i), "first")
        e.store(self.out, self.place(first), re)
        with e.when(is_even):
            e.store(self.out, self.place(k.add(first, 1)), im)
