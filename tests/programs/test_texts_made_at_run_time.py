"""Texts that are made of run-time values and kept: in lists, as keys, under names that grow in loops."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, run

# The programs are written as users write them.
# ruff: noqa: E701, SIM102, SIM401

case = Cases()


@case((5,), (0,))
def lines_of_a_report(n):
    lines, words, out, sizes = ["report"], [], "", 0
    for i in range(n):
        lines.append(f"{i}|{i % 2 == 0}|{i - 3:>4}|{'ab'[i % 2]}|{-i}|{i / 3:.3f}|{i * 0.1}")
        out += f"{i / 7} " if i % 2 else "even "
        last = f"{i}"
        words.append(last + "!" if i % 2 else "even")
        sizes += len(words[-1])
    print(lines, lines[-1], out)
    return lines, "\n".join(lines), out, words, sizes


@case((3,), (0,))
def parts_from_the_right(n):
    lists, parts, places = [], [], []
    for i in range(n):
        t = f" a_{i} b_{i * 2}  c "
        lists.append(
            (t.rsplit("_", 1), t.rsplit("_"), t.rsplit(), t.rsplit(None, 1), t.rsplit(None, 0), t.rsplit("_", 0))
        )
        parts.append((t.rpartition("_"), t.rpartition("q")))
        places.append(
            (t.rfind("_"), t.rfind("z"), t.rfind("", 0, 2), t.rfind("_", 0, -8), t.rindex("a"), t.rfind("", 99))
        )
    return lists, parts, places


@case(("12+(34*x5)-1",), ("",), ("a",))
def tokens_of_a_text(text):
    found, word = [], ""
    for letter in text:
        if letter.isdigit() or letter.isalpha():
            word += letter
            continue
        if word:
            found.append(word)
            word = ""
        found.append(letter)
    if word:
        found.append(word)
    total = 0
    for token in found:
        if token.isdigit():
            total += int(token)
    return found, total, [len(token) for token in found]


@case((7,), (1,))
def keys(n):
    d, groups, seen, more = {}, defaultdict(list), {"q"}, {"a": 1}
    for i in range(n):
        more[f"k{i}"] = i
        d[f"{i},{i % 2}"] = i
        groups[f"g{i % 3}"].append(i)
        seen.add(f"s{i % 2}")
    d["0,0"] += 10
    del groups["g0"]
    try:
        found = d[f"{n},{n}"]
    except KeyError:
        found = -1
    return d, more, dict(groups), sorted(seen), "1,1" in d, f"{n}" in seen, d.get("2,0", -1), found


@case((6,), (1,))
def records_and_objects(n):
    rows, people, counts = [], [], Counter()
    for i in range(n):
        rows.append({"name": f"r{i}", "x": i})
        people.append(Person(f"p{i % 4}", i))
        counts[people[-1].name] += 1
    oldest = people[0]
    for person in people:
        if person.age > oldest.age:
            oldest = person
    rows[0]["name"] = "first"
    return (
        rows,
        oldest.name,
        oldest.greeting(),
        f"{oldest:>5}{oldest}",
        "{!s}".format(oldest)[:2],
        counts.most_common(1),
        sorted(p.name for p in people),
    )


class Person:
    def __init__(self, name, age):
        self.name = name
        self.age = age

    def greeting(self):
        return f"I am {self.name}, {self.age}"

    def __str__(self):
        return self.name

    def __format__(self, spec):
        return f"<{self.name:{spec}}>"


@case((37, 2), (5, 3), (0, 2))
def digits_and_parts(n, base):
    digits, rest = "", n
    while rest:
        digits = str(rest % base) + digits
        rest //= base
    text = f"  a{n},b{n},,c "
    bare = text.strip()
    parts = bare.split(","), bare.replace(",", ";"), bare[1:3], bare[-1], digits[::-1], text.rstrip()
    found = bare.find("b"), bare.count(","), bare.startswith("a3"), bare.endswith("c"), "b" in bare, bare < "b"
    order = digits == "100101", digits != bare, sorted([bare, "zz", "a"]), max(bare, digits), bare in ("x", "a0,b0,,c")
    made = bare.upper(), bare * 2, "<" + bare, "".join(reversed(bare)), ",".join([digits, bare]), list(digits)
    numbers = sum(int(d) for d in str(n)), int(f" -{n}_0 "), ord(str(n)[0]), bool(digits), len(text)
    match bare:
        case "a37,b37,,c":
            which = 1
        case _:
            which = 2
    return digits, parts, found, order, made, numbers, which


@case((7,), (12,))
def arguments_of_methods(n):
    s, t = f"a{n},b,{n},ab", f" a{n} b  {n} ab "
    parts = (
        s.split(",", 1),
        s.split(",", 0),
        s.replace(",", "--", 2),
        s.replace("", "-", 2),
        t.split(None, 1),
        t.split(),
    )
    places = s.count("a", 1), s.count("", 1, 3), s.find("", 99), s.find("b", -2), s.find("a", 1, 3), s.partition("b")
    ends = s.startswith(("x", "a")), s.startswith("b", 4, 5), s.endswith(("q", "b"), 0, 4), s[::-2], s[10:], s[2:1]
    return parts, places, ends, s.ljust(12) + "|", s.rjust(14, "*"), s.islower(), f"A{n}".isupper()


@case((3,), (1,))
def calls_that_recur(n):
    moves = []

    def go(k, prefix, a, b):
        if k:
            go(k - 1, prefix + "l", b, a)
            moves.append(f"{prefix}:{a}{b}")

    def path(k):
        return "root" if k == 0 else path(k // 2) + f"/{k}"

    go(n, "", "A", "B")
    return moves, path(5 * n)


@case((3,), (0,), (9,))
def texts_that_meet(n):
    name = f"big{n}" if n > 2 else "small"
    found, names, numeral = None, [name], ""
    for value, sign in ((4, "iv"), (1, "i")):
        while n - 4 * len(numeral) // 2 >= value and len(numeral) < 9:
            numeral += sign
    for i in range(n):
        if i == 1:
            found = f"at {i}"
        names.append(name)
        name = name + "!" if len(name) < 6 else "short"
    return name, found, names, numeral


@case(("This is an example of text.", 10), ("", 5), ("a", 3))
def texts_as_conditions(text, width):
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    shown = f"{len(lines)}"
    return lines, line or "none", bool(shown), not f"{line}"


@case(("<a><b></b></a>",), ("<a>",), ("",))
def found_in_a_loop(text):
    at = 0
    while (at := text.find("<", at)) != -1:
        rest = text[at + 1 :]
        if rest.startswith("/"):
            return f"mismatch: {rest}"
        at += 1
    return text[1:]


class Scanner:
    def __init__(self, text, begun):
        self.text, self.at, self.word = text, 0, begun

    def step(self):
        while self.at < len(self.text):
            letter = self.text[self.at]
            self.at += 1
            if letter == " ":
                if self.word:
                    found = self.word
                    self.word = ""
                    return found
            else:
                self.word += letter
        raise StopIteration


@case(("ab  cd e ", 3), (" x ", 0), ("", 1))
def attributes_of_text_in_loops(text, n):
    scanner, found = Scanner(text, ""), []
    try:
        while True:
            found.append(scanner.step().upper())
    except StopIteration:
        pass
    begun, first = Scanner(text, f"<{n}>"), f"no {n}"
    try:
        first = begun.step()
    except StopIteration:
        first += "!"
    for letter in text:
        begun.word = "q" if letter == " " else begun.word + letter
    return found, first, begun.word


def words(text):
    word = ""
    for letter in text:
        if letter == " ":
            yield word
            word = ""
        else:
            word += letter


@case(("ab  cd e ",), (" x ",), ("",))
def generators_of_text(text):
    made = words(text)
    first = next(made, "none")
    return first, [w for w in made], next(made, "end")


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_texts_made_at_run_time(fn, calls):
    run(fn, calls)


@tj.script
def looked_up(n):
    d = {}
    for i in range(n):
        d[f"k{i}"] = i
    if n == 2:
        raise ValueError(f"of {list(d)[0]} in {list(d)}")
    return d[f"k{n - 1}"] + d["k2"] if n else int(f"{n}x")


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_errors_show_texts(n):
    def outcome(fn):
        try:
            return fn(n)
        except (KeyError, ValueError) as error:
            return type(error), str(error)

    assert outcome(looked_up) == outcome(looked_up.__wrapped__)


@pytest.mark.parametrize("method", ["upper", "casefold"])
def test_letters_of_texts_that_show_floats_or_lie_beyond_ascii_are_refused(method):
    with pytest.raises(tj.ScriptError):
        tj.script(lambda x: getattr(f"é{x}", method)())(2)
    with pytest.raises(tj.ScriptError, match="floats"):
        tj.script(lambda x: f"{x}" == "1.0")(1.0)


def test_gradients_pass_programs_that_keep_texts():
    def f(x, n):
        total, names = x[0], []
        for i in range(n):
            names.append(f"w{i}")
            if names[-1] == "w1":
                total = total * x[1]
        return total

    x = np.array([2.0, 5.0])
    assert np.array_equal(tj.grad(f)(x, 3), [5.0, 2.0])
