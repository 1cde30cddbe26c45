"""Lists of texts and of members of an Enum, and dicts with keys of text, that are known at run time only."""

from __future__ import annotations

import enum
from collections import defaultdict

import pytest

import tracejit as tj
from tests.programs.cases import Cases, T, run

# The programs are written as users write them.
# ruff: noqa: E701, SIM401

case = Cases()


class Color(enum.Enum):
    GREEN = 2
    RED = 1


@case((5,), (0,), (70,))
def lists_of_texts(n):
    words = ["z"]
    for i in range(n):
        if i == 3:
            words.append("a")
        else:
            words.append("m")
    other = words.copy()
    other.reverse()
    other.insert(0, "q")
    other.extend(["r", "m"])
    other[1] = "tt"
    del other[0]
    last = other.pop()
    print(words, sorted(words), f"{other}")
    count = 0
    for word in words:
        if word == "m":
            count += 1
        elif word != "z":
            count += 100
    found = "m" in words, "nope" in words, words.count("m"), words.index("z"), words == ["z"], words != other
    return words, sorted(words, reverse=True), other, last, count, found, words[1:], words + ["x"]


@case((3,), (0,))
def lists_of_members(n):
    colors = [Color.RED]
    for i in range(n):
        colors.append(Color.RED if i % 2 else Color.GREEN)
    return colors, colors[0], colors[-1] == Color.GREEN, [c.value for c in colors], colors.count(Color.RED)


@case((4,), (0,))
def lists_of_pairs(n):
    pairs = [("odd", 1)]
    for i in range(n):
        pairs.append(("even" if i % 2 == 0 else "odd", i))
    print(pairs)
    return pairs, [name for name, _ in pairs], sorted(pairs), max(pairs, key=lambda p: p[1])


def filled(words, n):
    if n == 0:
        return len(words)
    words.append("r" if n % 2 else "s")
    return filled(words, n - 1)


@case((4,))
def list_in_a_recursion(n):
    words = ["s"]
    return filled(words, n), words


@case((10,), (0,), (70,))
def keys_set_in_a_loop(n):
    d = {}
    for i in range(n):
        if i == 0:
            d["first"] = 1
        elif i % 3 == 1:
            d["one"] = i
        else:
            d["other"] = d.get("one", 7)
    print(d)
    return d, "first" in d, "none" in d, len(d), list(d), d.get("other"), sorted(d), sum(d.values())


@case((3, 2.0), (1, 2.0))
def keys_set_on_a_path(n, x):
    d, numbers = {"x": 1.0}, {}
    if n > 2:
        d["y"] = x
        numbers[1] = 2
    numbers[5] = 4
    total = 0.0
    for key, value in d.items():
        total += 10 * value if key == "y" else value
    d["x"] += 1
    gone = {"a": 1, "b": 2}
    if n > 2:
        del gone["a"]
    return d, numbers, total, gone, gone.setdefault("a", 5), gone.pop("b"), gone


@case((3,), (1,))
def key_missing_on_a_path(n):
    d = {}
    if n > 2:
        d["y"] = 2.0
    return d["y"]


@case((T(2), 3), (T(2), 0))
def tensors_by_text(x, n):
    d = {}
    for i in range(n):
        if i == 1:
            d["p"] = x * i
        d["q"] = x + i
    return d


@case((7,), (0,))
def counted(n):
    words = []
    for i in range(n):
        words.append("odd" if i % 2 else ("three" if i % 3 == 0 else "even"))
    counts, sums = {}, defaultdict(int)
    for i, word in enumerate(words):
        counts[word] = counts.get(word, 0) + 1
        sums[word] += i
    return counts, sums


@case((4,), (2,))
def looked_up(n):
    numbers, arrays = {"a": 1.5, "b": 2.5}, {"a": tj.ones(2), "b": tj.zeros(2)}
    key = "a" if n > 3 else "b"
    return numbers[key], numbers.get(key), key in numbers, arrays[key], numbers.pop(key), len(numbers)


@case((4,), (2,))
def shown_as_asked(n):
    word, color = ("ab", Color.RED) if n > 3 else ("c\u00e9", Color.GREEN)
    print(f"{word!a}{word!r:>7}{word!s:<4}|{word:>5}|{color}{color!r:>20}", [word, color])
    return f"{word!a} {color:>12}", "%r %s" % (word, word)


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@case((T(2), 3))
def members_that_stand_for_several(x, n):
    both = Access.READ | Access.WRITE
    return both, Access.READ in both, bool(both & Access.READ), n if Access.WRITE in ~Access.READ else -n


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn, calls) -> None:
    run(fn, calls)


def test_items_of_several_kinds_are_refused() -> None:
    def mixed(x, n):
        d = {"n": 1}
        if n > 2:
            d["t"] = x
        return d

    with pytest.raises(tj.ScriptError, match="the key 't' exists on one path only"):
        tj.script(mixed)(tj.ones(2), 3)


@pytest.mark.compiled
def test_letters_of_a_chosen_text():
    def letters(n):
        word = "abc" if n > 1 else "hello"
        return word[0], word[n], word[::-1], word[-2:]

    scripted = tj.script(letters)
    assert [scripted(n) for n in (1, 2)] == [letters(n) for n in (1, 2)]
    with pytest.raises(IndexError, match="string index out of range"):
        scripted(3)

    def looped(n):
        total = 0
        for letter in "abc" if n > 1 else "hello":
            total += ord(letter)
        return total

    with pytest.raises(tj.ScriptError, match="no length known"):
        tj.script(looped)(1)


def test_texts_that_double_are_refused_before_they_fill_the_memory():
    def doubled(text, n):
        for _ in range(n):
            text = text * 2
        return text

    with pytest.raises(tj.ScriptError, match="a text must be known when the function is compiled"):
        tj.script(doubled)("a", 3)


PREFIX = "a"


class Named(enum.Enum):
    ONE = 1
    TWO = 2

    def __str__(self) -> str:
        return f"{PREFIX}{self.value}"


def test_the_text_of_a_chosen_object_is_that_of_its_method_now():
    def shown(n):
        named = Named.ONE if n > 1 else Named.TWO
        return f"{named}"

    global PREFIX
    scripted = tj.script(shown)
    assert [scripted(2), scripted(1)] == ["a1", "a2"]
    PREFIX = "b"
    assert [scripted(2), scripted(1)] == ["b1", "b2"]


def caught_in_a_loop(x, n):
    """The texts of errors that meet in a loop are those of the program, not ever more of them."""
    found = "none"
    try:
        for _ in range(n):
            if x == 4.0:
                raise ZeroDivisionError(f"met {x:.1f}")
            x = 1 / (x - 3.0) if x != 2.0 else 4.0
    except ZeroDivisionError as error:
        print(f"[{error}]", repr(f"{error}"))
        found = str(error)
    return found


def of_two_kinds(x, n):
    number = f"{n}" if x > 1 else f"{x}"
    word = "less" if x < 0 else "none" if n == 2 else f"{n}{x}"
    return number, word, f"{number}/{word}"


def carried(x, n):
    status = "at rest"
    for i in range(n):
        if x > i:
            status = f"step {i}: {x}"
        elif x < 0:
            status = "negative"
        x -= 0.5
    return status


@pytest.mark.parametrize("fn", [caught_in_a_loop, of_two_kinds, carried])
def test_texts_that_meet(fn):
    run(fn, ((2.0, 5), (3.0, 2), (2.5, 2), (-1.0, 3), (0.5, 0)))
