"""Programs that read text: parts of texts between places found at run time, and the numbers that they show."""

import math
import struct

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import script

PANGRAM = "The Quick Brown Fox Jumps Over The Lazy Dog; PACK MY BOX WITH FIVE DOZEN LIQUOR JUGS, 0123456789!"


def letters(k):
    upper, digits, i = 0, [], 0
    while i < len(PANGRAM):
        letter = PANGRAM[i]
        if letter.isupper():
            upper += 1
        elif letter.isdigit():
            digits.append(int(letter) * k)
        i += 1
    return upper, digits


def words(text):
    made, start = [], 0
    for i, letter in enumerate(text):
        if letter == " ":
            made.append(text[start:i])
            start = i + 1
    made.append(text[start:])
    return made, max(made, key=len)


def longest_palindrome(text):
    best = ""
    for center in range(len(text)):
        for a, b in ((center, center), (center, center + 1)):
            while a >= 0 and b < len(text) and text[a] == text[b]:
                a -= 1
                b += 1
            if b - a - 1 > len(best):
                best = text[a + 1 : b]
    return best


def up_to(text, counts):
    k = int(counts.sum())
    return text[:k], text[k : k + 2].upper(), text[-k:], text[::k]


class Parser:
    def __init__(self, text):
        self.text = text
        self.at = 0

    def peek(self):
        return self.text[self.at] if self.at < len(self.text) else ""

    def sum(self):
        value = self.product()
        while self.peek() == "+" or self.peek() == "-":
            sign = self.peek()
            self.at += 1
            other = self.product()
            value = value + other if sign == "+" else value - other
        return value

    def product(self):
        value = self.factor()
        while (sign := self.peek()) and sign in "*/":
            self.at += 1
            other = self.factor()
            value = value * other if sign == "*" else value / other
        return value

    def factor(self):
        if self.peek() == "(":
            self.at += 1
            value = self.sum()
            if self.peek() != ")":
                raise SyntaxError(f"expected ')' at {self.at}")
            self.at += 1
            return value
        start = self.at
        while self.peek().isdigit() or self.peek() == ".":
            self.at += 1
        if start == self.at:
            raise SyntaxError(f"a number is missing at {start}")
        return float(self.text[start : self.at])


def calculated(text):
    parser = Parser(text)
    value = parser.sum()
    if parser.at != len(text):
        raise SyntaxError("behind the end: " + text[parser.at :])
    return value


def separated(text):
    total, i = 0.0, 0
    while i < len(text):
        j = i
        while j < len(text) and text[j] != ",":
            j += 1
        total += float(text[i:j])
        i = j + 1
    return total


def skipped(text):
    wrong, start = 0, 0
    for i, letter in enumerate(text + "|"):
        if letter == "|":
            try:
                float(text[start:i])
            except ValueError:
                wrong += 1
            start = i + 1
    return wrong


def in_bases(text, size):
    total = 0
    for i in range(0, len(text), size):
        total += int(text[i : i + size], 16) + int(text[i : i + size], base=36)
    return total, int(text[:size], 2)


def in_base(words, base):
    made = []
    for word in words:
        copied = "".join([letter for letter in word])
        try:
            made.append(str(in_bases_of(copied[: len(word)], base)))
        except ValueError as error:
            made.append(str(error))
    return made


def in_bases_of(word, base):
    match base:
        case 0:
            return int(word, 0)
        case 1:
            return int(word, 1)
        case 2:
            return int(word, 2)
        case 16:
            return int(word, base=16)
        case _:
            return int(word, 37)


def letters_at(letters, places):
    made = [letters[i] for i in places]
    word = "".join(made)
    return made, [word[i % 3] for i in places]


CASES = [
    (letters, 3),
    (words, "the quick brown fox"),
    (words, ""),
    (longest_palindrome, "forgeeksskeegfor"),
    (up_to, "hello world", np.array([1, 2])),
    (calculated, "2*(3+4.5)-10/4"),
    (calculated, "2*(3"),
    (calculated, "2+"),
    (calculated, "2)3"),
    (separated, "1.5,22,3e2"),
    (separated, "1,x"),
    (separated, "1,,2"),
    (skipped, "1|x|.|1.|e|1e+|1e+3| | 5|0x1|1_0|1__0|_1|1_|1_.5|+-1|nano|-inf|1e5_0|infinit|1inf|0nan|_inf|in_f|\x1f1"),
    (in_base, list("0x_f 0b_1 0X_F_f 0x__1 0x_ 0b12 _1 1_1 \x1f1".split(" ")), 16),
    (in_base, list("0x_f 0b_1 -0b101 0o17 0o8 12 017 0_0 00_ 0_1 0x".split(" ")), 0),
    (in_base, list("0x_f 0b_1 0b__1 0o17 12".split(" ")), 2),
    (in_base, ["12"], 1),
    (in_base, ["12"], 37),
    (letters_at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", np.array([0, 51, -1, -52])),
    (letters_at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", np.array([52])),
    (in_bases, "101100", 2),
    (in_bases, "0b11z9", 2),
    (in_bases, "0b110xff", 4),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:40])
def test_programs(case):
    check(*case)


def floats(text):
    made, start = [], 0
    for i in range(len(text)):
        if text[i] == " ":
            made.append(float(text[start:i]))
            start = i + 1
    return np.array(made)


#: Numbers between two floats, at the ends of their range, and with more digits than a float has.
HARD = [
    "123456789012345678901234567890",
    "2.2250738585072011e-308",
    "2.4703282292062327e-324",
    "2.4703282292062328e-324",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "9007199254740993",
    "9007199254740992.99999999999999999999",
    "7.3177701707893310e+15",
    "1e23",
    "8.41e21",
    "1e400",
    "1e-400",
    "0e999999",
    "-0",
    "+.5",
    "5.",
    "1_000.5e-1_0",
    "-Infinity",
    "nan",
    "inf",
]


def test_floats_are_the_nearest_ones():
    drawn = np.random.default_rng(0).integers(0, 1 << 63, 40, dtype=np.uint64)
    some = [struct.unpack("d", struct.pack("Q", int(bits)))[0] for bits in drawn]
    texts = HARD + [repr(x) for x in some if math.isfinite(x)] + [f"{x:.30e}" for x in some[:10]]
    text = " ".join(texts) + " "
    expected, made = np.array([float(t) for t in texts]), script(floats)(text)
    assert made.view(np.int64).tolist() == expected.view(np.int64).tolist()
