"""The source of a live function is found by its code, wherever it stands."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import linecache
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tracejit.errors import ScriptError
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.syntax.trees import nodes_in, parts_of
from tracejit.scripted import script


def module(folder: Path, name: str, text: str) -> ModuleType:
    """Import a file with that text."""
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def body(fn) -> str:
    """The found body, as normalised text."""
    node = function_source(fn).node
    return ast.unparse(node.body if isinstance(node, ast.Lambda) else node.body[-1])


if sys.version_info[0] == 3:

    def chosen(x):
        return x + 3

else:

    def chosen(x):
        return x + 2


def test_same_name_on_two_branches():
    assert body(chosen) == "return x + 3"


def outer_one():
    def inner(x):
        return x * 10

    return inner


def outer_two():
    def inner(x):
        return x * 20

    return inner


def test_nested_functions_of_one_name():
    assert body(outer_one()) == "return x * 10"
    assert body(outer_two()) == "return x * 20"


def test_redefinitions_in_one_scope():
    def f(x):
        return x - 1

    first = f

    def f(x):
        return x - 2

    assert body(first) == "return x - 1"
    assert body(f) == "return x - 2"


def test_same_code_under_one_name_is_told_apart_by_line():
    def f(x):
        return x

    first = f

    def f(x):
        return x

    assert function_source(first).node.lineno + 5 == function_source(f).node.lineno


def test_lambdas_on_one_line():
    first, second, third = (lambda x: x + 1), (lambda x: x + 2), (lambda x: x + 1)
    assert body(first) == "x + 1"
    assert body(second) == "x + 2"
    assert function_source(first).node.col_offset < function_source(third).node.col_offset


def test_lambdas_on_one_line_whose_start_is_no_code():
    first, second = (lambda a: a.sum()), (lambda a: a.max() if False else a.prod())
    assert body(first) == "a.sum()"
    assert body(second) == "a.max() if False else a.prod()"


def test_lambda_inside_a_lambda():
    make = lambda k: lambda x: x * k  # noqa: E731
    assert body(make(3)) == "x * k"
    assert body(make) == "lambda x: x * k"
    assert script(make(3))(2.0) == 6.0


def test_lambda_over_several_lines():
    f = (
        lambda x: x
        + 1
    )  # fmt: skip
    assert body(f) == "x + 1"


def test_lambda_as_a_default_and_in_a_call():
    def apply(f=lambda x: x * 7):
        return f

    assert body(apply()) == "x * 7"
    assert body(next(filter(None, [lambda x: x * 8]))) == "x * 8"


class Pair:
    """A class whose methods hold text at the left margin."""

    scale = 2.0

    def described(self, x):
        """Text
        of several
            lines."""
        return x * self.scale

    @staticmethod
    def fixed(x):
        text = """
left margin
"""
        return x + len(text)

    @classmethod
    def of_class(cls, x):
        return x * cls.scale

    def with_super(self, x):
        return super().__hash__() * 0 + x


def test_methods_with_text_at_the_left_margin():
    assert body(Pair.described) == "return x * self.scale"
    assert body(Pair.fixed) == "return x + len(text)"
    assert body(Pair.of_class.__func__) == "return x * cls.scale"
    assert body(Pair.with_super) == "return super().__hash__() * 0 + x"
    assert script(Pair.fixed)(1) == 1 + len("\nleft margin\n")


def test_decorated_functions_are_found_by_their_own_code():
    def twice(f):
        @functools.wraps(f)
        def wrapper(x):
            return f(x) * 2

        return wrapper

    @twice
    def decorated(x):
        return x + 1

    assert body(decorated) == "return f(x) * 2"
    assert body(decorated.__wrapped__) == "return x + 1"


def test_annotations_and_defaults_do_not_matter():
    def f(x: list[int], y: float = 3.0, *, z: str = "a") -> float:
        return x[0] + y

    assert body(f) == "return x[0] + y"


def test_future_annotations(tmp_path):
    made = module(
        tmp_path, "with_future", "from __future__ import annotations\ndef f(x: Unknown) -> Missing:\n    return x\n"
    )
    assert body(made.f) == "return x"


def test_edited_file_is_told(tmp_path):
    made = module(tmp_path, "edited", "def f(x):\n    return x + 1\n\ndef g(x):\n    return x + 2\n")
    (tmp_path / "edited.py").write_text(
        "# a new first line\n\ndef g(x):\n    return x + 2\n\ndef f(x):\n    return x + 99\n"
    )
    linecache.checkcache()
    assert body(made.g) == "return x + 2"
    with pytest.raises(ScriptError, match="no longer matches") as caught:
        function_source(made.f)
    assert caught.value.instead == "reload the module after editing its file"


def test_moved_function_is_found_with_its_new_lines(tmp_path):
    made = module(tmp_path, "moved", "def f(x):\n    return x + 1\n")
    (tmp_path / "moved.py").write_text("import math\n\n\ndef f(x):\n    return x + 1\n")
    assert function_source(made.f).node.lineno == 4


def test_a_file_that_is_no_longer_python(tmp_path):
    made = module(tmp_path, "broken", "def f(x):\n    return x + 1\n")
    (tmp_path / "broken.py").write_text("def f(x:\n")
    with pytest.raises(ScriptError, match="no longer matches"):
        function_source(made.f)


def test_exec_without_source_is_refused():
    namespace: dict = {}
    exec("def f(x):\n    return x + 1\n", namespace)
    with pytest.raises(ScriptError, match="cannot be read") as caught:
        script(namespace["f"])
    assert caught.value.instead is not None


def test_text_given_to_linecache_is_source():
    text = "def f(x):\n    return x + 1\n"
    name = "<cell of a notebook>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict = {}
    exec(compile(text, name, "exec"), namespace)
    try:
        assert body(namespace["f"]) == "return x + 1"
        assert script(namespace["f"])(1.0) == 2.0
    finally:
        del linecache.cache[name]


@pytest.mark.parametrize("thing", [len, int, "text"])
def test_what_is_no_python_function_is_refused(thing):
    with pytest.raises((ScriptError, TypeError)):
        script(thing)


def test_free_variables_are_cells():
    k = 5.0

    def f(x):
        return x * k

    assert function_source(f).closure["k"].cell_contents == 5.0


def test_spans_point_into_the_file():
    source = function_source(Pair.described)
    span = source.span(source.node.body[-1])
    assert span.text().strip() == "return x * self.scale"
    assert span.filename == __file__
    assert span.function == "described"


def test_many_functions_of_one_name_in_one_file(tmp_path):
    parts = [f"def make{i}():\n    def f(x):\n        return x + {i}\n    return f\n" for i in range(50)]
    made = module(tmp_path, "many", "\n".join(parts))
    for i in range(50):
        assert body(getattr(made, f"make{i}")()) == f"return x + {i}"


def test_functions_of_one_class_are_found_one_after_another_though_the_first_has_a_match(tmp_path: Path) -> None:
    made = module(
        tmp_path,
        "one_class",
        "class Shape:\n"
        "    def sides(self, n):\n"
        "        match n:\n"
        "            case 3:\n"
        "                return 1\n"
        "            case _:\n"
        "                return 2\n"
        "\n"
        "    def area(self, n):\n"
        "        return n * n\n",
    )
    assert function_source(made.Shape.sides).node.name == "sides"
    assert function_source(made.Shape.area).node.name == "area"
    assert function_source(made.Shape.sides).node.name == "sides"


def test_a_file_that_no_longer_compiles_has_no_source(tmp_path: Path) -> None:
    made = module(tmp_path, "uncompilable", "def f(x):\n    return x\n")
    Path(made.__file__).write_text("# changed\nbreak\ndef f(x):\n    return x\n")
    with pytest.raises(ScriptError, match="no longer matches"):
        function_source(made.f)


def test_the_text_of_a_command_is_source() -> None:
    text = textwrap.dedent("""
        import tracejit as tj
        double = tj.script(lambda x: 2 * x)
        @tj.script
        def largest(a, b):
            return a if a > b else b
        names = {}
        exec("f = lambda x: x + 1", names)
        try:
            tj.script(names["f"])(1)
        except tj.ScriptError as error:
            print(double(4), largest(3.0, 5.0), error.reason)
    """)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "8 5.0 the source of '<lambda>' cannot be read (defined in <string>)\n"


def test_lambdas_of_one_line_that_return_constants() -> None:
    one, two = lambda x: 1.0, lambda x: 2.0
    assert [script(f)(3.0) for f in (one, two)] == [1.0, 2.0]


def test_what_python_brings_is_refused_at_the_users_line() -> None:
    programs: list[tuple[Any, str]] = [
        (lambda x: json.loads("1"), r"json\.loads\(\) cannot be compiled"),
        (lambda x: json.dumps(1), r"json\.dumps\(\) cannot be compiled: Encoder objects cannot be made"),
        (lambda x: textwrap.wrap("a b"), r"textwrap\.wrap\(\) cannot be compiled"),
    ]
    for fn, text in programs:
        with pytest.raises(ScriptError, match=text) as caught:
            script(fn)(np.zeros(3))
        assert caught.value.filename == __file__ and caught.value.instead is not None


def test_a_function_is_found_by_its_own_statement_and_the_imports(tmp_path: Path) -> None:
    text = (
        "import math\n"
        "from math import (\n"
        "    exp,\n"
        ")\n\n"
        "def same(f):\n"
        "    return f\n\n"
        "@same\n"
        "@same\n"
        "def f(x):\n"
        "    return math.sin(exp(x))\n\n"
        "class C:\n"
        "    def m(self, x):\n"
        "        return math.cos(x)\n"
    )
    made = module(tmp_path, "statements", text)
    Path(made.__file__).write_text(text + "\nelsewhere it is no Python\n")
    assert body(made.f) == "return math.sin(exp(x))"
    assert body(made.C.m) == "return math.cos(x)"
    assert function_source(made.C.m).node.lineno == 15


def test_assertions_are_left_out_where_python_leaves_them_out(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        "import numpy as np, tracejit as tj\n"
        "@tj.script\n"
        "def f(x):\n"
        "    assert x[0] > 0, 'negative'\n"
        "    return -x if __debug__ else x\n"
        "print(f(-np.ones(1)))\n"
    )
    done = subprocess.run([sys.executable, "-O", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[-1.]\n"), done.stderr[-500:]


def test_what_is_nested_deeper_than_the_compiler_can_go_is_refused(tmp_path: Path) -> None:
    def ladder(rungs: int) -> str:
        text = "".join(f"    elif x[0] > {k}:\n        return {k}.0\n" for k in range(rungs, 0, -1))
        return f"def ladder_{rungs}(x):\n    if x[0] > {rungs + 1}:\n        return 7.0\n{text}    return 0.0\n"

    long_sum = f"def long_sum(x):\n    return {' + '.join(['x'] * 600)}\n"
    made = module(tmp_path, "nested_program", long_sum + ladder(200) + ladder(300))
    for function in (made.long_sum, made.ladder_200, made.ladder_300):
        with pytest.raises(ScriptError, match="nested too deeply to be compiled") as caught:
            script(function, cache=False)(np.ones(2))
        assert caught.value.filename == made.__file__ and caught.value.lineno is not None
    with pytest.warns(RuntimeWarning, match="runs as plain Python"):
        assert script(made.ladder_300, cache=False, fallback=True)(np.full(2, 5.5)) == 5.0


def test_nodes_are_those_of_ast_walk_without_contexts():
    tree = ast.parse(Path(__file__).read_text())
    assert nodes_in(tree) == [n for n in ast.walk(tree) if not isinstance(n, ast.expr_context)]
    for node in nodes_in(tree):
        assert parts_of(node) == [n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.expr_context)]


def test_what_python_warns_of_in_a_text_is_not_said_again(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    text = '''
        def f(x):
            """A text with \\d in it."""
            return x + 1
        g = lambda: 7
        '''
    with pytest.warns(Warning, match="escape"):
        made = module(tmp_path, "warned_of", text)
    assert body(made.f) == "return x + 1"
    assert body(made.g) == "7"
    assert script(made.f)(1.0) == 2.0
    assert not recwarn.list
