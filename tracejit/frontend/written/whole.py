"""Functions of Python's numbers: number theory of `math`, powers with a modulus, rounding to digits, digits as text."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tracejit.frontend.written import extended, refuse, written


def _integer(x: Any) -> Any:
    """x as a Python int; what is no integer is the error of the functions of `math`."""
    if not isinstance(x, (int, np.integer)):
        raise TypeError("'float' object cannot be interpreted as an integer")
    return int(x)


@extended("math.gcd")
def gcd(*integers: Any) -> Any:
    """The greatest common divisor."""
    found = 0
    for x in integers:
        a, b = abs(_integer(x)), found
        while b:
            a, b = b, a % b
        found = a
    return found


@extended("math.lcm")
def lcm(*integers: Any) -> Any:
    """The least common multiple."""
    found = 1
    for x in integers:
        n = abs(_integer(x))
        found = 0 if n == 0 or found == 0 else found // gcd(found, n) * n
    return found


@extended("math.factorial")
def factorial(x: Any) -> Any:
    """1 * 2 * ... * x."""
    n = _integer(x)
    if n < 0:
        raise ValueError("factorial() not defined for negative values")
    found = 1
    for k in range(2, n + 1):
        found *= k
    return found


@extended("math.comb")
def comb(n: Any, k: Any) -> Any:
    """The number of ways to choose k of n."""
    n, k = _integer(n), _integer(k)
    if n < 0:
        raise ValueError("n must be a non-negative integer")
    if k < 0:
        raise ValueError("k must be a non-negative integer")
    if k > n:
        return 0
    found = 1
    for i in range(1, min(k, n - k) + 1):
        top = n - i + 1
        common = gcd(top, i)
        found = found // (i // common) * (top // common)
    return found


@extended("math.perm")
def perm(n: Any, k: Any = None) -> Any:
    """The number of ways to choose k of n in order."""
    if k is None:
        return factorial(n)
    n, k = _integer(n), _integer(k)
    if n < 0:
        raise ValueError("n must be a non-negative integer")
    if k < 0:
        raise ValueError("k must be a non-negative integer")
    found = 1
    for i in range(k):
        found *= n - i
    return found


@extended("math.isqrt")
def isqrt(n: Any) -> Any:
    """The whole part of the square root."""
    n = _integer(n)
    if n < 0:
        raise ValueError("isqrt() argument must be nonnegative")
    root = min(int(math.sqrt(n)), 3037000499)  # the root of 2**63 - 1; of large n the float may be one off
    if root * root > n:
        root -= 1
    if root < 3037000499 and (root + 1) * (root + 1) <= n:
        root += 1
    return root


def power_modulo(base: Any, exp: Any, mod: Any) -> Any:
    """base**exp modulo mod, of integers; a negative exponent takes the inverse."""
    if not (isinstance(base, int) and isinstance(exp, int) and isinstance(mod, int)):
        raise TypeError("pow() 3rd argument not allowed unless all arguments are integers")
    if mod == 0:
        raise ValueError("pow() 3rd argument cannot be 0")
    base %= mod
    if exp < 0:
        base, exp = _inverse(base, mod), -exp
    found = 1 % mod
    while exp > 0:
        if exp & 1:
            found = found * base % mod
        exp >>= 1
        if exp:
            base = base * base % mod
    return found


def _inverse(x: Any, mod: Any) -> Any:
    """The inverse of x modulo mod, by Euclid's algorithm."""
    a, b, u, v = x, mod, 1, 0
    while b:
        q = a // b
        a, b = b, a - q * b
        u, v = v, u - q * v
    if abs(a) != 1:
        raise ValueError("base is not invertible for the given modulus")
    return u * a % mod


@written(numbers="bit_length")
def bit_length(x: Any) -> Any:
    """How many bits the absolute value of an int takes."""
    rest, n = abs(x), 0
    while rest:
        rest >>= 1
        n += 1
    return n


@written(numbers="bit_count")
def bit_count(x: Any) -> Any:
    """How many bits of the absolute value of an int are set."""
    if isinstance(x, np.integer):
        return int(np.bitwise_count(x))
    rest, n = abs(x), 0
    while rest:
        n += rest & 1
        rest >>= 1
    return n


@written(numbers="is_integer")
def is_integer(x: Any) -> Any:
    """Whether a number is finite and whole."""
    return bool(x % 1 == 0)


@extended("math.isclose")
def isclose(a: Any, b: Any, *, rel_tol: Any = 1e-09, abs_tol: Any = 0.0) -> Any:
    """Whether two numbers are equal within a relative or an absolute tolerance."""
    a, b, rel_tol, abs_tol = float(a), float(b), float(rel_tol), float(abs_tol)
    if rel_tol < 0 or abs_tol < 0:
        raise ValueError("tolerances must be non-negative")
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    apart = abs(b - a)
    return apart <= abs(rel_tol * b) or apart <= abs(rel_tol * a) or apart <= abs_tol


@extended("math.prod")
def prod(iterable: Any, /, *, start: Any = 1) -> Any:
    """The product of the items."""
    found = start
    for x in iterable:
        found = found * x
    return found


@extended("math.fsum")
def fsum(seq: Any, /) -> Any:
    """The sum of the items, rounded once (Shewchuk 1997): partial sums that do not overlap, the smallest first."""
    partials = []
    special, infinite = 0.0, 0.0
    for item in seq:
        x = float(item)
        if not math.isfinite(x):
            special += x
            infinite += x if math.isinf(x) else 0.0
            partials.clear()
            continue
        kept = 0
        for k in range(len(partials)):
            y = partials[k]
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                partials[kept] = low
                kept += 1
            x = high
        while len(partials) > kept:
            partials.pop()
        if not math.isfinite(x):
            raise OverflowError("intermediate overflow in fsum")
        partials.append(x)
    if special != 0.0:
        if infinite != infinite:
            raise ValueError("-inf + inf in fsum")
        return special
    n = len(partials)
    high, low = 0.0, 0.0
    while n > 0 and low == 0.0:
        n -= 1
        x, y = high, partials[n]
        high = x + y
        low = y - (high - x)
    if n > 0 and low * partials[n - 1] > 0.0:  # half way for the last sum alone: the next partial decides
        twice = low * 2.0
        rounded = high + twice
        if twice == rounded - high:
            high = rounded
    return high


@extended("math.dist")
def dist(p: Any, q: Any, /) -> Any:
    """The distance of two points."""
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions")
    return _length([float(x) - float(y) for x, y in zip(p, q)])


@extended("math.hypot")
def hypot(*coordinates: Any) -> Any:
    """The length of a vector."""
    return _length([float(x) for x in coordinates])


def _length(parts: Any) -> Any:
    largest = 0.0
    for x in parts:
        if math.isinf(x):
            return math.inf
        largest = max(largest, abs(x)) if x == x else x
    if largest == 0.0 or largest != largest:
        return largest
    total, rest = 0.0, 0.0
    for x in parts:
        square = (x / largest) * (x / largest)
        raised = total + square
        rest += (total - raised) + square if total >= square else (square - raised) + total
        total = raised
    return largest * math.sqrt(total + rest)


@extended("math.modf")
def modf(x: Any) -> Any:
    """The fraction and the whole part, both with the sign of x."""
    x = float(x)
    if math.isinf(x):
        return math.copysign(0.0, x), x
    whole = float(np.trunc(x))
    return math.copysign(x - whole, x), whole


@extended("math.frexp")
def frexp(x: Any) -> Any:
    """The mantissa, from 1/2 to 1, and the exponent."""
    x = float(x)
    if math.isinf(x) or x != x or x == 0.0:
        return x, 0
    mantissa, exponent = x, 0
    while abs(mantissa) >= 1.0:
        mantissa, exponent = mantissa * 0.5, exponent + 1
    while abs(mantissa) < 0.5:
        mantissa, exponent = mantissa * 2.0, exponent - 1
    return mantissa, exponent


@extended("math.ldexp")
def ldexp(x: Any, i: Any) -> Any:
    """x * 2**i."""
    made, left = float(x), _integer(i)
    if math.isinf(made) or made != made or made == 0.0:
        return made
    while left > 0 and not math.isinf(made):
        made, left = made * 2.0, left - 1
    while left < 0 and made != 0.0:
        step = min(-left, 1000)
        made, left = made / 2.0**step, left + step
    if math.isinf(made):
        raise OverflowError("math range error")
    return made


@extended("math.cbrt")
def cbrt(x: Any) -> Any:
    """The cube root."""
    return float(np.cbrt(float(x)))


@extended("math.remainder")
def remainder(x: Any, y: Any) -> Any:
    """x - n * y for the whole n nearest to x / y, the even one of two."""
    x, y = float(x), float(y)
    if x != x or y != y:
        return x + y
    if math.isinf(x) or y == 0:
        raise ValueError("math domain error")
    if math.isinf(y):
        return x
    size = abs(y)
    rest = math.fmod(abs(x), size)
    other = size - rest
    if rest < other:
        found = rest
    elif rest > other:
        found = -other
    else:  # half way: the multiple below is even where twice the divisor leaves the rest
        found = rest - 2.0 * math.fmod(0.5 * (abs(x) - rest), size)
    return math.copysign(1.0, x) * found


def round_digits(number: Any, ndigits: Any) -> Any:
    """A Python number rounded to decimal digits: the float nearest to the rounded decimal, ties to even."""
    if isinstance(number, int):
        return _round_int(number, ndigits)
    if ndigits > 22 or ndigits < -22:
        raise ValueError("round() to more than 22 digits")
    if math.isnan(number) or math.isinf(number):
        return number
    scale = 1.0
    for _ in range(abs(ndigits)):
        scale *= 10.0
    scaled = number * scale if ndigits >= 0 else number / scale
    if abs(scaled) >= 4503599627370496.0:  # 2**52: all floats are whole from there on
        return number
    found = float(np.rint(scaled))
    if abs(scaled - float(np.trunc(scaled))) == 0.5:  # the exact value may lie beside the half
        error = _product_error(number, scale, scaled) if ndigits >= 0 else -_product_error(scaled, scale, number)
        if error != 0:
            found = float(np.floor(scaled)) if error < 0 else float(np.ceil(scaled))
    return found / scale if ndigits >= 0 else found * scale


def _product_error(x: Any, y: Any, near: Any) -> Any:
    """x * y - near without rounding, for a `near` close to the product (Dekker 1971)."""
    x_high, y_high = 134217729.0 * x, 134217729.0 * y
    x_high, y_high = x_high - (x_high - x), y_high - (y_high - y)
    x_low, y_low = x - x_high, y - y_high
    return ((x_high * y_high - near) + x_high * y_low + x_low * y_high) + x_low * y_low


def _round_int(x: Any, digits: Any) -> Any:
    if digits >= 0:
        return x
    if digits < -18:
        return 0
    scale = 1
    for _ in range(-digits):
        scale *= 10
    quotient, rest = divmod(x, scale)
    if rest > scale - rest or (rest == scale - rest and quotient % 2 == 1):
        quotient += 1
    return quotient * scale


# -- hash ---------------------------------------------------------------------------------------------------------

#: Numbers are hashed modulo the prime 2**61 - 1, so that equal ones of any type have one hash (CPython's `pyhash.c`).
_PRIME = 2305843009213693951


@written(hash)
def hash_of(x: Any) -> Any:
    """hash() of a number, or of a tuple of such; that of nan is 0, where Python's is another each time."""
    if isinstance(x, tuple):
        total, count = np.uint64(2870177450012600261), 0
        for item in x:
            count += 1
            lane = np.uint64(np.int64(hash_of(item)))
            total = total + lane * np.uint64(14029467366897019727)
            total = (total << np.uint64(31)) | (total >> np.uint64(33))
            total = total * np.uint64(11400714785074694791)
        total = total + np.uint64(count ^ (2870177450012600261 ^ 3527539))
        found = int(np.int64(total))
        return 1546275796 if found == -1 else found
    if isinstance(x, (float, np.floating)):
        return _hash_of_float(float(x))
    if not isinstance(x, (int, np.integer, np.bool_)):
        refuse("hash() of what is no number and no tuple of numbers", "a number that tells such values apart")
    made = int(x) % _PRIME if x >= 0 else -(-int(x) % _PRIME)
    return -2 if made == -1 else made


def _hash_of_float(x: Any) -> Any:
    """The fraction, 28 bits at a time, and the power of 2, which returns to 1 after 61."""
    if math.isinf(x):
        return 314159 if x > 0 else -314159
    if math.isnan(x):
        return 0
    fraction, power = math.frexp(abs(x))
    made = 0
    while fraction != 0:
        made = _turned(made, 28)
        fraction *= 268435456.0
        power -= 28
        whole = int(fraction)
        fraction -= whole
        made += whole
        if made >= _PRIME:
            made -= _PRIME
    made = _turned(made, power % 61)
    made = -made if x < 0 else made
    return -2 if made == -1 else made


def _turned(x: Any, by: Any) -> Any:
    """x times 2**by modulo the prime: its 61 bits turned left."""
    low = x & ((1 << (61 - by)) - 1)
    return (low << by) | (x >> (61 - by))


@written(np.binary_repr)
def binary_repr(num: Any, width: Any = None) -> Any:
    """The binary digits of an integer; with a width, a negative one has those of its two's complement."""
    n = operator.index(num)
    if width is None:
        return f"{n:b}"
    needed = n.bit_length() if n >= 0 else (-1 - n).bit_length() + 1
    if needed > width:
        raise ValueError(f"Insufficient bit width={width} provided for binwidth={needed}")
    return "".join([str(n >> (width - 1 - i) & 1) for i in range(max(width, 1))])


@written(np.base_repr)
def base_repr(number: Any, base: Any = 2, padding: Any = 0) -> Any:
    """The digits of an integer in a base up to 36, behind so many zeros."""
    if base > 36:
        raise ValueError("Bases greater than 36 not handled in base_repr.")
    if base < 2:
        raise ValueError("Bases less than 2 not handled in base_repr.")
    left, digits = abs(int(number)), [""]
    while left > 0:
        digit = left % base
        digits.append(str(digit) if digit < 10 else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[digit - 10])
        left //= base
    if len(digits) == 1 and padding == 0:
        return "0"
    for _ in range(padding):
        digits.append("0")
    if number < 0:
        digits.append("-")
    return "".join(digits[::-1])
