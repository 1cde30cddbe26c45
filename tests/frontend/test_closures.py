"""Functions made inside a script see the names around them as they are when called."""

from __future__ import annotations

import pytest

from tests.programs.compare import check
from tracejit.errors import ScriptError
from tracejit.scripted import script


def name_rebound_in_branch(x, c):
    g = lambda u: u * x  # noqa: E731
    if c > 0:
        x = 5.0
    return g(2.0)


def name_rebound_in_loop(x, n):
    def g(u):
        return u * x

    for _ in range(n):
        x = x + 1.0
    return g(2.0)


def two_levels(x):
    def middle():
        def inner():
            return x

        return inner

    h = middle()
    x = x * 2
    return h()


def made_twice(x, y):
    def make(k):
        def g(v):
            return v * k

        return g

    g = make(x)
    return g(2.0) + make(y)(1.0)


def bound_late(c):
    def g():
        return z

    if c > 0:
        z = 1.0
    return g()


def called_too_early(c):
    def g():
        return z

    r = g()
    z = 1.0
    return r + z


def parameter_of_the_same_name(x):
    y = 3.0

    def g(y):
        y = y + 1
        return y

    return g(x) + y


def local_of_the_same_name(x):
    y = 2.0

    def g():
        if x > 0:
            y = 1.0
        return y

    return g() + y


def in_a_list(x):
    functions = [lambda v: v + x, lambda v: v * x]
    s = x
    for f in functions:
        s = f(s)
    return s


CASES = [
    (name_rebound_in_branch, [(1.5, 1), (1.5, -1)]),
    (name_rebound_in_loop, [(1.5, 3), (1.5, 0)]),
    (two_levels, [(2.0,)]),
    (made_twice, [(2.0, 3.0)]),
    (bound_late, [(1,), (-1,)]),
    (called_too_early, [(1,)]),
    (parameter_of_the_same_name, [(1.0,)]),
    (local_of_the_same_name, [(1.0,), (-1.0,)]),
    (in_a_list, [(2.0,)]),
]


@pytest.mark.parametrize(("fn", "calls"), CASES, ids=[c[0].__name__ for c in CASES])
def test_compiled_is_plain_python(fn, calls):
    scripted = None
    for arguments in calls:
        scripted = check(fn, *arguments, scripted=scripted)


def test_functions_that_differ_by_path_are_refused():
    @script
    def f(x, y, c):
        def make(k):
            return lambda v: v * k

        if c > 0:  # noqa: SIM108
            g = make(x)
        else:
            g = make(y)
        return g(2.0)

    with pytest.raises(ScriptError, match="'g' is a function"):
        f(1.0, 2.0, 1)


def test_default_of_a_redefined_function_is_not_lost():
    @script
    def f(x, n):
        for _ in range(n):

            def g(v, k=x):
                return v + k

            x = x * 2
        return g(1.0)

    with pytest.raises(ScriptError):
        f(1.0, 2)
