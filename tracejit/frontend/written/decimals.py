"""Floats from the letters of text that is made at run time: the nearest one to what the digits say, as in Python."""

from __future__ import annotations

import math
from typing import Any

from tracejit.frontend.containers.tables import entry, growing_ints, outlined

#: A large number is a list of digits of so many bits, the lowest first.
_BITS, _MASK = 30, (1 << 30) - 1


def _number_of(word: str) -> int:
    made = 0
    for letter in word:
        made = made * 27 + ord(letter) - 96
    return made


_INF, _INFINITY, _NAN = map(_number_of, ("inf", "infinity", "nan"))


@outlined
def nearest_float(memory: Any, text: Any) -> Any:
    """Whether a text is a number, and the float next to it."""
    codes = growing_ints()
    start, n = entry(memory.start, text), entry(memory.count, text)
    while n > 0 and is_blank(entry(memory.letters, start)):
        start += 1
        n -= 1
    while n > 0 and is_blank(entry(memory.letters, start + n - 1)):
        n -= 1
    for i in range(n):
        codes.append(entry(memory.letters, start + i))
    has_sign = n > 0 and (codes[0] == 43 or codes[0] == 45)
    digits = growing_ints()
    is_number, exponent = read(codes, 1 if has_sign else 0, digits)
    value = nearest(digits, exponent) if is_number else word(codes, 1 if has_sign else 0)
    return is_number or value != 0.0, -value if has_sign and codes[0] == 45 else value


def is_blank(code: Any) -> Any:
    """Whether a letter is left out at both ends of a number."""
    return 9 <= code <= 13 or code == 32


@outlined
def word(codes: Any, at: Any) -> Any:
    """What a word stands for, from a place on: infinity or NaN; 0 where it is none."""
    made = 0
    for i in range(at, min(len(codes), at + 9)):
        code = codes[i] | 32 if codes[i] >= 65 else 0
        if code < 97 or code > 122:
            return 0.0
        made = made * 27 + code - 96
    if made in (_INF, _INFINITY):
        return math.inf
    return math.nan if made == _NAN else 0.0


@outlined
def read(codes: Any, at: Any, digits: Any) -> Any:
    """Add the digits of a number, without zeros in front; gives whether it is one, and which power of ten the last of
    them counts."""
    n, exponent, is_number, is_behind_point = len(codes), 0, True, False
    has_digit, was_digit, was_mark = False, False, False
    while at < n and is_number and codes[at] != 69 and codes[at] != 101:
        code = codes[at]
        is_digit = 48 <= code <= 57
        if is_digit:
            has_digit = True
            if code > 48 or len(digits) > 0:
                digits.append(code - 48)
            if is_behind_point:
                exponent -= 1
        elif code == 46 and not is_behind_point and not was_mark:
            is_behind_point = True
        else:
            is_number = code == 95 and was_digit
        was_digit, was_mark = is_digit, code == 95
        at += 1
    is_number = is_number and has_digit and not was_mark
    if is_number and at < n:
        at += 1
        sign = 1
        if at < n and (codes[at] == 43 or codes[at] == 45):
            sign = 44 - codes[at]
            at += 1
        power, was_digit = 0, False
        while at < n and is_number:
            code = codes[at]
            is_digit = 48 <= code <= 57
            if is_digit:
                power = min(power * 10 + code - 48, 1000000)
            else:
                is_number = code == 95 and was_digit
            was_digit = is_digit
            at += 1
        is_number = is_number and was_digit
        exponent += sign * power
    return is_number, exponent


@outlined
def nearest(digits: Any, exponent: Any) -> Any:
    """The float next to a number of these digits, the last of which counts 10 to a power."""
    n = len(digits)
    if n == 0 or n + exponent < -326:
        return 0.0
    if n + exponent > 310:
        return math.inf
    if n <= 15 and -22 <= exponent <= 22:  # both are floats, and so there is one rounding
        number, scale = 0.0, 1.0
        for digit in digits:
            number = number * 10.0 + digit
        for _ in range(abs(exponent)):
            scale *= 10.0
        return number * scale if exponent > 0 else number / scale
    top, bottom = growing_ints(), growing_ints()
    bottom.append(1)
    for digit in digits:
        multiply(top, 10, digit)
    for _ in range(exponent):
        multiply(top, 10, 0)
    for _ in range(-exponent):
        multiply(bottom, 10, 0)
    power = 0
    while order(top, bottom) >= 0:
        multiply(bottom, 2, 0)
        power += 1
    while order(top, bottom) < 0:
        multiply(top, 2, 0)
        power -= 1
    bits = min(53, power + 1075)  # a small float has fewer
    if bits < 0:
        return 0.0
    made = 0
    for _ in range(bits):
        made *= 2
        if order(top, bottom) >= 0:
            subtract(top, bottom)
            made += 1
        multiply(top, 2, 0)
    rest = order(top, bottom)
    if rest > 0 or (rest == 0 and made % 2 == 1):
        made += 1
    if power > 1023 or (power == 1023 and made == 1 << 53):
        return math.inf
    return math.ldexp(float(made), power - bits + 1)


@outlined
def multiply(number: Any, factor: Any, more: Any) -> Any:
    """Multiply a large number by a small one and add another."""
    for i in range(len(number)):
        more += number[i] * factor
        number[i] = more & _MASK
        more >>= _BITS
    if more > 0:
        number.append(more)


@outlined
def order(a: Any, b: Any) -> Any:
    """1, 0 or -1: whether a large number is more than another, the same, or less."""
    if len(a) != len(b):
        return 1 if len(a) > len(b) else -1
    i = len(a) - 1
    while i > 0 and a[i] == b[i]:
        i -= 1
    if i < 0 or a[i] == b[i]:
        return 0
    return 1 if a[i] > b[i] else -1


@outlined
def subtract(a: Any, b: Any) -> Any:
    """Take a large number from one that is at least as large."""
    borrowed = 0
    for i in range(len(a)):
        left = a[i] - borrowed - (b[i] if i < len(b) else 0)
        a[i] = left & _MASK
        borrowed = 1 if left < 0 else 0
    while len(a) > 0 and a[len(a) - 1] == 0:
        a.pop()
