"""Numbers that scripts set in classes from outside: how many instances there are, what the next one is called."""

import pytest

from tests.programs.compare import check, observe
from tracejit import ScriptError, script


class Widget:
    count = 0
    total = 0.0

    def __init__(self, w):
        if w < 0:
            raise ValueError("below 0")
        Widget.count += 1
        Widget.total += w
        self.id = Widget.count
        self.w = w

    @classmethod
    def made(cls):
        return cls.count

    def rank(self):
        return self.id / self.count


class Gadget(Widget):
    pass


class Sequence:
    next_id = 100

    @classmethod
    def new(cls):
        cls.next_id += 1
        return cls.next_id


def counted(n):
    Widget.count = 0
    made = []
    for i in range(n):
        made.append(Widget(i * 0.5))
    seen = [w.id for w in made]
    g = Gadget(1.0)
    return seen, Widget.count, g.count, Gadget.count, Gadget.made(), g.rank(), [w.rank() for w in made]


def numbered(n):
    Sequence.next_id = 100
    return [Sequence.new() for _ in range(n)], Sequence.next_id


def read_first(n):
    Sequence.next_id = 5
    a = Sequence.next_id
    for i in range(n):
        s = Sequence()
        a += s.next_id
        Sequence.next_id = i
    return a, Sequence().next_id


@pytest.mark.parametrize("fn", [counted, numbered, read_first])
@pytest.mark.parametrize("n", [3, 0])
def test_against_plain_python(fn, n):
    check(fn, n)


def one_more():
    return Widget(1.0).id, Widget.count


def test_what_is_set_stays_for_the_next_call():
    scripted = script(one_more)
    Widget.count = 7
    assert [scripted(), scripted(), one_more(), scripted()] == [(8, 8), (9, 9), (10, 10), (11, 11)]
    Widget.count = 1
    assert scripted() == (2, 2)
    assert Widget.count == 2


def until_below(n):
    Widget.count = 0
    for i in range(n):
        Widget(2 - i)
    return Widget.count


def test_what_is_set_before_an_error():
    for fn in (until_below, script(until_below)):
        assert isinstance(observe(fn, (5,)).error, ValueError)
        assert Widget.count == 3


@pytest.mark.compiled
def test_a_class_that_a_script_makes_is_not_changed():
    def local(n):
        class Own:
            count = 0

            def __init__(self):
                type(self).count += 1

        for _ in range(n):
            Own()
        return Own.count

    with pytest.raises(ScriptError, match="cannot be set"):
        script(local)(3)
