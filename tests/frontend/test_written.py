"""Definitions in the language itself are found in the modules that are imported to look for them."""

from __future__ import annotations

from types import FunctionType

from tracejit.frontend import written
from tracejit.frontend.functions.names import elementwise_names, resolve


def modules(names: str) -> set[str]:
    return {f"{written.__name__}.{name}" for name in names.split()}


def test_few_modules_have_what_is_looked_for_there() -> None:
    written._load()
    ops = [fn for key, fn in written._WRITTEN.items() if resolve(key) in elementwise_names()]
    of_math = [fn for key, fn in written._EXTENDED.items() if key.startswith("math.")]
    numbers = [*written._OF_NUMBERS.values(), *of_math]
    assert {fn.__module__ for fn in ops} == modules(written._FOR_OPS)
    assert {fn.__module__ for fn in written._METHODS.values()} == modules(written._FOR_METHODS)
    assert {fn.__module__ for fn in numbers} == modules(written._FOR_NUMBERS)
    functions = [key for key in written._WRITTEN if isinstance(key, FunctionType)]
    assert {key.__module__.split(".")[0] for key in functions} == set(written._PACKAGES)
