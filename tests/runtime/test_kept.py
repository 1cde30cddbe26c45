"""What is kept of a compiled function on the disk: found again where all it was made of is the same, and only there.

A module is written to a file and executed anew for every "process": nothing in memory is shared by two of them. What
another process really finds is checked once, with the programs whose time to the first result is measured.
"""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import config, errors
from tracejit.runtime import cache as disk
from tracejit.runtime.dispatch import is_available
from tracejit.scripted import kept
from tracejit.scripted.kept import KeptCompiled, KeptGraph

Load = Callable[..., Any]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Executes a module's text as a new process would: `load(text)`, `load(text, name="other")`."""
    names: set[str] = set()

    def loaded(text: str, name: str = "kept_program") -> Any:
        path = tmp_path / f"{name}.py"
        path.write_text("from __future__ import annotations\nimport numpy as np\nimport tracejit as tj\n" + text)
        module = types.ModuleType(name)
        module.__file__ = str(path)
        names.add(name)
        sys.modules[name] = module
        errors._user_errors.clear()
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
        return module

    with config.override(cache_dir=tmp_path / "cache", verify=False):
        yield loaded
    for name in names:
        sys.modules.pop(name, None)


def was_found(fn: Any) -> bool:
    """Whether the specialisation used last came from the disk."""
    return isinstance(fn.last.lowered.graph, KeptGraph)


def results(load: Load, *texts: str, call: Callable[[Any], Any] = lambda m: m.f(np.arange(3.0))) -> list[Any]:
    """For each text in turn: whether its function `f` was found on the disk, and what a call gives."""
    made: list[Any] = []
    for text in texts:
        module = load(text)
        value = call(module)
        made.append((was_found(module.f), np.asarray(value).tolist()))
    return made


SCALED = "@tj.script\ndef f(x):\n    return x * 2.0 + 1.0\n"


def test_same_program_is_found(load: Load) -> None:
    assert results(load, SCALED, SCALED) == [(False, [1.0, 3.0, 5.0]), (True, [1.0, 3.0, 5.0])]


def test_found_function_shows_its_stages(load: Load) -> None:
    first, second = load(SCALED), None
    first.f(np.arange(3.0))
    second = load(SCALED)
    second.f(np.arange(3.0))
    assert was_found(second.f)
    assert isinstance(second.f.last.compiled, KeptCompiled)
    assert second.f.graph == first.f.graph
    assert second.f.llvm == first.f.llvm
    assert second.f.ir("after:fuse") == first.f.ir("after:fuse")
    assert second.f.explain() == first.f.explain()


GLOBAL = "RATE = {}\n@tj.script\ndef f(x):\n    return x * RATE\n"
HELPER = "def g(x):\n    return x * {}\n@tj.script\ndef f(x):\n    return g(x) + 0.0\n"
DEFAULT = "def g(x, scale={}):\n    return x * scale\n@tj.script\ndef f(x):\n    return g(x) + 0.0\n"
CELL = "def make(scale):\n    @tj.script\n    def f(x):\n        return x * scale\n    return f\nf = make({})\n"
ATTRIBUTE = "class C:\n    scale = {}\n@tj.script\ndef f(x):\n    return x * C.scale\n"
METHOD = (
    "class C:\n    def scaled(self, x):\n        return x * {}\nc = C()\n"
    "@tj.script\ndef f(x):\n    return c.scaled(x)\n"
)
PROPERTY = (
    "class C:\n    @property\n    def scale(self):\n        return {}\nc = C()\n"
    "@tj.script\ndef f(x):\n    return x * c.scale\n"
)
CONTAINER = "SET = {{'scale': [{}]}}\n@tj.script\ndef f(x):\n    return x * SET['scale'][0]\n"
INSTANCE = (
    "class C:\n    def __init__(self, scale):\n        self.scale = scale\nc = C({})\n"
    "@tj.script\ndef f(x):\n    return x * c.scale\n"
)
BASE = "class B:\n    scale = {}\nclass C(B):\n    pass\n@tj.script\ndef f(x):\n    return x * C.scale\n"
SCRIPTED = "@tj.script\ndef g(x):\n    return x * {}\n@tj.script\ndef f(x):\n    return g(x) + 0.0\n"
DATA = (
    "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: float\n    def scaled(self, y):\n"
    "        return self.x * y * {}\n@tj.script\ndef f(x):\n    return P(1.0).scaled(x)\n"
)
REGISTERED = (
    "import abc\nclass A(abc.ABC):\n    pass\nclass C:\n    pass\nif {} == 3.0:\n    A.register(C)\nc = C()\n"
    "@tj.script\ndef f(x):\n    return x * 3.0 if isinstance(c, A) else x * 2.0\n"
)
ENUM = "import enum\nclass E(enum.Enum):\n    A = {}\n    B = 7.0\n@tj.script\ndef f(x):\n    return x * E.A.value\n"
CUSTOM = (
    "@tj.custom_vjp\ndef g(x):\n    return x * {}\ng.defvjp(lambda x: (x * 2.0, x), lambda r, d: (d * 2.0,))\n"
    "@tj.script\ndef f(x):\n    return g(x) + 0.0\n"
)
PARTIAL = "import functools\ndef h(s, x):\n    return x * s\ng = functools.partial(h, {})\n" + (
    "@tj.script\ndef f(x):\n    return g(x) + 0.0\n"
)


@pytest.mark.parametrize(
    "template",
    [GLOBAL, HELPER, DEFAULT, CELL, ATTRIBUTE, METHOD, PROPERTY, CONTAINER, INSTANCE, BASE, SCRIPTED, DATA, ENUM]
    + [CUSTOM, PARTIAL, REGISTERED],
)
def test_what_is_read_counts(load: Load, template: str) -> None:
    """Written with another number the program is another; with the first again, the first is found."""
    three, two = [0.0, 3.0, 6.0], [0.0, 2.0, 4.0]
    found = results(load, *(template.format(s) for s in ("3.0", "2.0", "3.0")))
    assert [value for _, value in found] == [three, two, three]
    assert [f for f, _ in found[:2]] == [False, False]


@pytest.mark.parametrize("template", [GLOBAL, HELPER, DEFAULT, CELL, ATTRIBUTE, METHOD, CONTAINER, INSTANCE, SCRIPTED])
def test_usual_programs_are_found(load: Load, template: str) -> None:
    text = template.format("3.0")
    assert [f for f, _ in results(load, text, text)] == [False, True]


def test_what_is_set_after_definition_counts(load: Load) -> None:
    """The text is the same, what it refers to is not."""
    for change, expected in (("m.RATE = 5.0", [0.0, 5.0, 10.0]), ("", [0.0, 3.0, 6.0])):
        module = load(GLOBAL.format("3.0"))
        exec(change, {"m": module})
        assert module.f(np.arange(3.0)).tolist() == expected
    for change, expected in (("m.C.scale = 5.0", [0.0, 5.0, 10.0]), ("", [0.0, 3.0, 6.0])):
        module = load(ATTRIBUTE.format("3.0"))
        exec(change, {"m": module})
        assert module.f(np.arange(3.0)).tolist() == expected
    for change, expected in (("m.g.__defaults__ = (5.0,)", [0.0, 5.0, 10.0]), ("", [0.0, 3.0, 6.0])):
        module = load(DEFAULT.format("3.0"))
        exec(change, {"m": module})
        assert module.f(np.arange(3.0)).tolist() == expected
    for change, expected in (("m.C.scaled = lambda self, x: x * 5.0", [0.0, 5.0, 10.0]), ("", [0.0, 3.0, 6.0])):
        module = load(METHOD.format("3.0"))
        exec(change, {"m": module})
        if not change:
            assert module.f(np.arange(3.0)).tolist() == expected


def test_a_later_declaration_of_a_subclass_counts(load: Load) -> None:
    """The text is the same, and so is every attribute."""
    for declared, expected in ((True, [0.0, 3.0]), (False, [0.0, 2.0])):
        module = load(REGISTERED.format("2.0"))
        if declared:
            module.A.register(module.C)
        assert module.f(np.arange(2.0)).tolist() == expected


def test_found_function_is_guarded(load: Load) -> None:
    """After it was found, a change of what was compiled in compiles again."""
    load(GLOBAL.format("3.0")).f(np.arange(3.0))
    module = load(GLOBAL.format("3.0"))
    module.f(np.arange(3.0))
    assert was_found(module.f)
    module.RATE = 4.0
    assert module.f(np.arange(3.0)).tolist() == [0.0, 4.0, 8.0]
    assert module.f.compiles == 2


def test_found_function_is_called_natively(load: Load) -> None:
    """Calls of one that was found need no Python either: numbers from outside are compared by identity there."""
    text = (
        "RATE = 1234.5\nNAME = 'some name'\n@tj.script\ndef f(x):\n    return x * RATE if NAME == 'some name' else x\n"
    )
    for found in (False, True):
        module = load(text)
        for _ in range(3):
            module.f(np.arange(3.0))
        assert sum(s.hits for s in module.f._specialisations) == (2 if is_available() else 0)
        assert was_found(module.f) == found


def test_imported_function_counts(load: Load) -> None:
    user = "import kept_helper\n@tj.script\ndef f(x):\n    return kept_helper.g(x) * kept_helper.RATE\n"
    found: list[Any] = []
    for rate, scale in (("3.0", "1.0"), ("3.0", "2.0"), ("4.0", "1.0"), ("3.0", "1.0")):
        load(f"RATE = {rate}\ndef g(x):\n    return x * {scale}\n", name="kept_helper")
        found += results(load, user)
    assert found == [
        (False, [0.0, 3.0, 6.0]),
        (False, [0.0, 6.0, 12.0]),
        (False, [0.0, 4.0, 8.0]),
        (True, [0.0, 3.0, 6.0]),
    ]


BELOW = "import abc\nclass A(abc.ABC):\n    pass\nclass B(A):\n    pass\nclass C:\n    pass\n"
IS_ONE = "x * 3.0 if isinstance(helper.C(), helper.A) else x * 2.0"


@pytest.mark.parametrize(
    ("name", "two", "three", "expression"),
    [
        ("kept_helper", "", "flag = 1\n", "x * 3.0 if hasattr(helper, 'flag') else x * 2.0"),
        ("kept_helper", "", "flag = 1\n", "x * 3.0 if hasattr(helper, 'fl' + PART) else x * 2.0"),
        ("kept_helper", "", "flag = 3.0\n", "x * getattr(helper, 'flag', 2.0)"),
        ("kept_helper", "", "flag = 1\n", "x * 2.0 if getattr(helper, 'flag', None) is None else x * 3.0"),
        ("kept_helper", "", "flag = 1\n", "x * 3.0 if 'flag' in helper.__dict__ else x * 2.0"),
        ("kept_helper", "", "flag = 1\n", "x * 3.0 if 'flag' in vars(helper) else x * 2.0"),
        ("kept_helper", BELOW, BELOW + "B.register(C)\n", IS_ONE),
        ("kept_helper", BELOW, BELOW + "A.register(B)\nB.register(C)\n", IS_ONE),
        ("trace", "def g(x):\n    return x * 2.0\n", "def g(x):\n    return x * 3.0\n", "g(x)"),
    ],
)
def test_what_another_file_holds_counts(load: Load, name: str, two: str, three: str, expression: str) -> None:
    """Names that come and go, declarations, and a file of the user that has the name of a standard module."""
    imported = "from trace import g\n" if name == "trace" else f"import {name} as helper\n"
    text = f"{imported}PART = 'ag'\n@tj.script\ndef f(x):\n    return {expression}\n"
    for held, factor in ((two, 2.0), (three, 3.0), (two, 2.0)):
        load(held, name=name)
        module = load(text)
        assert module.f(np.arange(3.0)).tolist() == [0.0, factor, 2 * factor]


ONLY_HERE = """
import json, sys
import numpy as np
import tracejit as tj
class C:
    pass
c = C()
def a(x):
    return x * (hash("abc") % 1000)
def b(x):
    return x * (id(c) % 1000003)
def order(x):
    text = ""
    for name in frozenset(("p", "q", "r", "s", "t")):
        text += name
    return x * (ord(text[0]) + 100 * ord(text[1]) + 10000 * ord(text[2]))
def shown(x):
    return x * (hash(str(c)) % 1000003)
def chosen(x):
    return f"{a if x[0] > 0 else b}"
def key(x):
    return f"{ {a: 1} }"
x = np.ones(1)
print(json.dumps([[float(tj.script(f)(x)[0]), float(f(x)[0])] for f in (a, b, order, shown)]))
print(json.dumps([[tj.script(f)(x), f(x)] for f in (chosen, key)]))
"""


def test_what_only_a_process_knows_is_not_kept(tmp_path: Path) -> None:
    """Hashes of text, addresses, the order of sets."""
    import json
    import os

    path = tmp_path / "only_here.py"
    path.write_text(ONLY_HERE)
    for seed in "12":
        environment = (
            os.environ
            | {"TRACEJIT_CACHE_DIR": str(tmp_path / "cache"), "PYTHONHASHSEED": seed}
            | {"PYTHONPATH": str(ROOT)}
        )
        done = subprocess.run(
            [sys.executable, str(path)], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
        )
        for line in done.stdout.splitlines():
            for ours, plain in json.loads(line):
                assert ours == plain


def test_attributes_of_values_are_kept(load: Load) -> None:
    """Whether None, a number or an object has an attribute is no reason to lower anew."""
    text = (
        "class C:\n    pass\nc = C()\nW = None\n@tj.script\ndef f(x):\n"
        "    return x * (2.0 if hasattr(W, 'shape') or hasattr('text', 'shape') or hasattr(c, 'shape') else 3.0)\n"
    )
    assert results(load, text, text) == [(False, [0.0, 3.0, 6.0]), (True, [0.0, 3.0, 6.0])]
    module = load(text)
    module.c.shape = 1
    assert module.f(np.arange(3.0)).tolist() == [0.0, 2.0, 4.0]


def test_imports_inside_count(load: Load) -> None:
    """A module that is there or not, a name in it that is there or not, and one that is another number."""
    text = (
        "@tj.script\ndef f(x):\n    try:\n        from kept_helper import RATE\n        r = RATE\n"
        "    except ImportError:\n        r = 2.0\n    return x * r\n"
    )
    for held, factor in ((None, 2.0), ("", 2.0), ("RATE = 3.0\n", 3.0), ("RATE = 5.0\n", 5.0), (None, 2.0)):
        sys.modules.pop("kept_helper", None)
        if held is not None:
            load(held, name="kept_helper")
        module = load(text)
        assert module.f(np.arange(2.0)).tolist() == [0.0, factor]


def test_imports_of_versioned_packages_inside_are_found(load: Load) -> None:
    text = "@tj.script\ndef f(x):\n    import math\n    from math import sqrt\n    return x * math.floor(sqrt(4.0))\n"
    assert results(load, text, text) == [(False, [0.0, 2.0, 4.0]), (True, [0.0, 2.0, 4.0])]


def test_names_that_become_others(load: Load) -> None:
    """A builtin that the module covers, and a name of NumPy's that somebody replaced."""
    text = "@tj.script\ndef f(x):\n    return x * float(max(1, 2))\n"
    covered = text + "def max(a, b):\n    return 5\n"
    assert results(load, text, covered) == [(False, [0.0, 2.0, 4.0]), (False, [0.0, 5.0, 10.0])]


def test_versions_count(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results(load, SCALED, SCALED)[1][0]
    monkeypatch.setattr(np, "__version__", "0.0")
    disk.stamp.cache_clear()
    try:
        assert not results(load, SCALED)[0][0]
    finally:
        monkeypatch.undo()
        disk.stamp.cache_clear()
    assert results(load, SCALED)[0][0]


def test_options_and_arguments_count(load: Load) -> None:
    results(load, SCALED)
    assert not results(load, SCALED.replace("@tj.script", "@tj.script(fastmath=True)"))[0][0]
    assert not results(load, SCALED, call=lambda m: m.f(np.arange(3, dtype=np.float32)))[0][0]
    assert not results(load, SCALED, call=lambda m: m.f(np.arange(6.0)[::2]))[0][0]
    assert not results(load, SCALED, call=lambda m: m.f(np.arange(1.0)))[0][0]
    assert results(load, SCALED, call=lambda m: m.f(np.arange(4.0)))[0][0]
    assert not results(load, SCALED.replace("@tj.script", "@tj.script(cache=False)"))[0][0]


def test_same_arrays_count(load: Load) -> None:
    text = "@tj.script\ndef f(x, y):\n    y[0] = 7.0\n    return x + 0.0\n"
    a, b = np.arange(3.0), np.arange(3.0)
    assert results(load, text, call=lambda m: m.f(a, b)) == [(False, [0.0, 1.0, 2.0])]
    assert results(load, text, call=lambda m: m.f(a, a)) == [(False, [7.0, 1.0, 2.0])]


def test_sizes_of_outer_arrays_count(load: Load) -> None:
    """An array from outside is an input: its elements may be others, its rank may not."""
    text = "W = np.array({})\n@tj.script\ndef f(x):\n    return x * W\n"
    found = results(load, *(text.format(w) for w in ("[1.0, 2.0, 3.0]", "[1.0, 2.0, 3.0]", "[[2.0]]")))
    assert found == [(False, [0.0, 2.0, 6.0]), (True, [0.0, 2.0, 6.0]), (False, [[0.0, 2.0, 4.0]])]
    module = load(text.format("[1.0, 2.0, 3.0]"))
    module.W[:] = 4.0
    assert module.f(np.arange(3.0)).tolist() == [0.0, 4.0, 8.0]
    assert was_found(module.f)


def test_number_that_must_be_known(load: Load) -> None:
    """That an axis is compiled in is kept too."""
    text = "@tj.script\ndef f(x, axis):\n    return x.sum(axis=axis)\n"
    x = np.arange(6.0).reshape(2, 3)
    for axis, expected, found in ((0, [3.0, 5.0, 7.0], False), (1, [3.0, 12.0], False), (0, [3.0, 5.0, 7.0], True)):
        assert results(load, text, call=lambda m, a=axis: m.f(x, a)) == [(found, expected)]


def test_errors_keep_their_place_and_kind(load: Load) -> None:
    text = (
        "class Odd(Exception):\n    pass\n@tj.script\ndef f(x, n):\n    if n > 3:\n        raise Odd('too many')\n"
        "    return x[n]\n"
    )
    for found in (False, True):
        module = load(text)
        assert module.f(np.arange(3.0), 1) == 1.0
        assert was_found(module.f) == found
        with pytest.raises(module.Odd, match="too many") as raised:
            module.f(np.arange(3.0), 5)
        assert raised.traceback[-1].lineno + 1 == 9
        with pytest.raises(IndexError) as outside:
            module.f(np.arange(3.0), 3)
        assert outside.traceback[-1].lineno + 1 == 10


def test_gradients_are_found(load: Load) -> None:
    text = "def loss(x, w):\n    return (x * w).sum()\nf = tj.value_and_grad(loss, argnums=1)\n"
    for found in (False, True):
        module = load(text)
        value, slope = module.f(np.arange(3.0), np.ones(3))
        assert (value, slope.tolist()) == (3.0, [0.0, 1.0, 2.0])
        assert was_found(module.f) == found
    module = load(text.replace("argnums=1", "argnums=0"))
    assert module.f(np.arange(3.0), np.ones(3))[1].tolist() == [1.0, 1.0, 1.0]
    assert not was_found(module.f)


def test_recorded_calls_are_found(load: Load) -> None:
    text = "@tj.script\ndef f(x, w):\n    return (x * w * w).sum()\n"
    for found in (False, True):
        module = load(text)
        x, w = tj.tensor([1.0, 2.0]), tj.tensor([3.0, 4.0], requires_grad=True)
        module.f(x, w).backward()
        assert w.grad is not None
        assert w.grad.tolist() == [6.0, 16.0]
        assert was_found(module.f) == found
        function = module.f.last.with_gradients((1,))
        assert isinstance(function.forward, KeptCompiled) == found
        assert isinstance(function.backward, KeptCompiled) == found
        (slope,) = tj.autograd.grad(module.f(x, w), [w], create_graph=True)
        assert slope is not None
        (second,) = tj.autograd.grad(slope.sum(), [w])
        assert second is not None
        assert second.tolist() == [2.0, 4.0]


def test_recursive_functions_are_found(load: Load) -> None:
    text = "@tj.script\ndef f(x, n):\n    if n < 1.0:\n        return x\n    return f(x * x, n - 1.0) * 3.0\n"
    shown: list[str] = []
    for found in (False, True):
        module = load(text)
        x = tj.tensor([2.0, 3.0], requires_grad=True)
        module.f(x, 2.0).sum().backward()
        assert was_found(module.f) == found
        assert x.grad is not None
        assert x.grad.tolist() == [9 * 4 * 8.0, 9 * 4 * 27.0]
        shown.append(module.f.graph)
    assert shown[0] == shown[1]


def test_what_grad_holds_counts(load: Load) -> None:
    """The arguments' specs are the same whether `.grad` holds something or not: both lowerings are kept."""
    text = "@tj.script\ndef f(w):\n    (w * w).sum().backward()\n    return w.grad + 0.0\n"
    for found in (False, True):
        for held in (None, [10.0, 20.0]):
            module = load(text)
            w = tj.tensor([1.0, 2.0], requires_grad=True)
            w.grad = None if held is None else tj.tensor(held)
            assert module.f(w).tolist() == ([2.0, 4.0] if held is None else [12.0, 24.0])
            assert was_found(module.f) == found


def test_modules_are_found(load: Load) -> None:
    text = (
        "tj.manual_seed(0)\nmodel = tj.nn.Sequential(tj.nn.Linear(4, 3), {}(), tj.nn.Linear(3, 2))\n"
        "@tj.script\ndef f(x):\n    return model(x).sum()\n"
    )
    for activation, found in (("tj.nn.ReLU", False), ("tj.nn.ReLU", True), ("tj.nn.Tanh", False)):
        module = load(text.format(activation))
        x = tj.ones((2, 4))
        module.f(x).backward()
        assert was_found(module.f) == found
        weight: Any = module.model[0].weight
        slope = np.asarray(weight.grad)
        weight.grad = None
        module.model(x).sum().backward()
        np.testing.assert_allclose(slope, np.asarray(weight.grad), rtol=1e-5)


def test_changed_objects(load: Load) -> None:
    """What a function sets in an object of the caller is set by one that was found too."""
    text = (
        "class C:\n    def __init__(self):\n        self.n = 1\nc = C()\n"
        "@tj.script\ndef f(x):\n    c.n = c.n + 1\n    return x * c.n\n"
    )
    for _ in range(3):
        module = load(text)
        assert module.f(np.arange(2.0)).tolist() == [0.0, 2.0]
        assert module.f(np.arange(2.0)).tolist() == [0.0, 3.0]
        assert module.c.n == 3


def test_what_cannot_be_described_is_not_kept(load: Load) -> None:
    text = (
        "import types\nRATES = types.MappingProxyType({{'a': {}}})\n@tj.script\ndef f(x):\n    return x * RATES['a']\n"
    )
    assert results(load, *(text.format(s) for s in ("2.0", "3.0"))) == [(False, [0, 2, 4]), (False, [0, 3, 6])]


def test_more_than_is_worth_describing_is_not_kept(load: Load) -> None:
    text = "WORDS = list(range(100000))\n@tj.script\ndef f(x):\n    return x + WORDS[7]\n"
    assert [f for f, _ in results(load, text, text)] == [False, False]


def test_code_that_has_no_spelling_is_compiled(load: Load) -> None:
    """A constant that nobody wrote: nothing is kept, nothing fails."""
    module = load("def f(x):\n    return x + 1.0\n")
    module.f.__code__ = module.f.__code__.replace(co_consts=(*module.f.__code__.co_consts, object()))
    with pytest.raises(tj.ScriptError, match="source"):
        tj.script(module.f)
    assert kept.checked_place(module.f) is None


def test_damaged_entries_are_absent(load: Load, tmp_path: Path) -> None:
    results(load, SCALED)
    disk.flush()
    for path in (tmp_path / "cache").rglob("*.tjo"):
        data = path.read_bytes()
        path.write_bytes(data[:-7])
    assert results(load, SCALED, SCALED) == [(False, [1.0, 3.0, 5.0]), (True, [1.0, 3.0, 5.0])]


def test_entries_of_another_making_are_absent(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole entry that cannot be unpacked here: its names are refused, nothing is called."""
    results(load, SCALED)
    monkeypatch.setattr(kept.disk, "load", lambda key: b"cos\nsystem\n(S'exit 1'\ntR.")
    assert kept.Kept(kept.Reachable(()), "key")._load("lowered") is None


PROGRAMS = """
import json, sys
from benchmarks.compile_programs import PROGRAMS
from tracejit.scripted.function import ScriptedFunction
from tracejit.scripted.kept import KeptGraph
found = []
made = ScriptedFunction._lowered
def counted(self, *of):
    found.append(self.__name__)
    return made(self, *of)
ScriptedFunction._lowered = counted
for name in ("pointwise_forward", "network", "lstm_gradient"):
    PROGRAMS[name]()()
print(json.dumps(found))
"""


def test_another_process_finds_them(tmp_path: Path) -> None:
    import json
    import os

    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    lowered: list[Any] = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAMS], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
        )
        lowered.append(json.loads(done.stdout.splitlines()[-1]))
    assert len(lowered[0]) == 3
    assert lowered[1] == []
