"""Methods of builtin types as functions (`str.lower`, `list.append`), and the names of functions."""

import pytest

from tests.programs.cases import Cases, run
from tracejit import ScriptError, script

case = Cases()


@case((["b", "A", "c"], "a, b ,c"), ([], ""))
def methods_of_text(words, text):
    return (
        sorted(words, key=str.lower),
        list(map(str.upper, words)),
        [p for p in map(str.strip, text.split(","))],
        list(filter(str.isdigit, words)),
        max(words, key=str.lower, default=""),
        all(map(str.isalpha, words)),
    )


@case(([3, 1],), ([],))
def methods_of_lists(xs):
    ys = []
    for x in xs:
        list.append(ys, x)
    return ys, list(map(list.copy, [[1], [x for x in xs]]))


@case((3,))
def names_of_functions(n):
    def helper(x):
        return x

    def log(fn):
        def inner(*args):
            made = fn(*args)
            print(f"{fn.__name__}{args} -> {made}")
            return made

        return inner

    shown = log(helper)
    return helper.__name__, (lambda x: x).__name__, shown(n), shown.__name__, len.__name__


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_methods_as_functions(fn, calls):
    run(fn, calls)


class Suppress:
    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, kind, error, where):
        return kind is not None and issubclass(kind, self.kind)


@pytest.mark.compiled
def test_an_exit_that_may_suppress_is_refused():
    def divided(n):
        found = 0
        with Suppress(ZeroDivisionError):
            found = 10 // n
        return found

    with pytest.raises(ScriptError, match="may suppress"):
        script(divided)(0)
