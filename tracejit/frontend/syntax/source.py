"""The syntax tree of a live function, found by matching code objects.

`inspect.getsource` goes by line numbers and silently returns another function after the file was edited; here
the file is parsed and compiled anew, and the function is the node whose code equals the live function's.
Nothing is executed.
"""

from __future__ import annotations
import __future__

import ast
import functools
import linecache
import operator
import os
import re
import sys
import sysconfig
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import chain, islice
from typing import Any

from tracejit.eager.traceable import is_public
from tracejit.errors import ScriptError, Span
from tracejit.frontend.instances.cells import rewritten
from tracejit.frontend.instances.local_classes import with_classes
from tracejit.frontend.syntax.patterns import Rewriter
from tracejit.frontend.syntax.private_names import with_private_names
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.records import record

FunctionNode = ast.FunctionDef | ast.Lambda
_Node = FunctionNode | ast.AsyncFunctionDef

_FUTURE_FLAGS = functools.reduce(
    operator.or_, (getattr(__future__, feature).compiler_flag for feature in __future__.all_feature_names), 0
)


#: What modules of this package are called.
PACKAGE = "tracejit."

#: The package of NumPy functions written in the language; an error in one belongs to the user's call of it.
LIBRARY = PACKAGE + "frontend.written"


#: Where Python's standard library lies, and inside it what others installed.
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = tuple(_STANDARD + name + os.sep for name in ("site-packages", "dist-packages"))


@record
class FunctionSource:
    """A function's node and where its names come from."""

    node: FunctionNode
    filename: str
    name: str
    globals: dict[str, Any]
    closure: dict[str, types.CellType]
    function: Callable[..., Any]
    outer: str | None = None  #: of a nested function: how Python calls the one around it
    place: Span | None = None  #: that of all nodes, where the text is not the user's

    @property
    def qualname(self) -> str:
        """How Python's messages call it."""
        own = getattr(self.function, "__qualname__", self.name)
        return own if self.outer is None else f"{self.outer}.<locals>.{self.name}"

    @property
    def is_library(self) -> bool:
        """Whether this is one of the library functions that are written in the language itself."""
        return str(self.globals.get("__name__")).startswith(LIBRARY)

    @property
    def is_standard(self) -> bool:
        """Whether this is a function of Python's standard library."""
        return self.filename.startswith(_STANDARD) and not self.filename.startswith(_INSTALLED)

    @property
    def is_users(self) -> bool:
        """Whether errors in it belong there; those in functions of this package and of Python belong to the call."""
        return not (self.is_standard or str(self.globals.get("__name__")).startswith(PACKAGE))

    def __deepcopy__(self, memo: object) -> FunctionSource:
        return self  # what remembers it on a tree may be copied with that

    def span(self, node: ast.AST) -> Span:
        """The place of a node inside this function."""
        return self.place or Span(
            self.filename,
            getattr(node, "lineno", self.node.lineno),
            getattr(node, "col_offset", 0),
            getattr(node, "end_lineno", None),
            getattr(node, "end_col_offset", None),
            self.name,
        )


_READ: ContextVar[dict[int, object] | None] = ContextVar("read", default=None)


#: Stands for what only this process knows: an address, the hash of a text, the order of a set.
PROCESS = object()


@contextmanager
def things_read() -> Iterator[dict[int, object]]:
    """What a lowering inside is made of beside values that it guards, by id: functions, whose code is lowered, modules
    that are imported, and why others could not be."""
    read: dict[int, object] = {}
    token = _READ.set(read)
    try:
        yield read
    finally:
        _READ.reset(token)


def note_read(thing: object) -> None:
    """A lowering is made of this."""
    read = _READ.get()
    if read is not None:
        read[id(thing)] = thing


class _Part:
    """Statements of a file: code objects by name, function nodes by name and first line."""

    def __init__(self, tree: ast.Module, module: types.CodeType) -> None:
        self.tree = tree
        self.codes = _by_name(module)
        self._without_matches: dict[_Node, _Node] = {}

    def codes_at_its_line(self, code: types.CodeType) -> list[types.CodeType]:
        """The code objects that do what this one does, at the same line."""
        same_name = self.codes.get(code.co_name, [])
        return [c for c in same_name if c.co_firstlineno == code.co_firstlineno and _same_code(c, code)]

    def nodes(self, name: str, line: int) -> list[_Node]:
        """The functions of that name that begin at a line (their decorators included). Lambdas stand anywhere in
        expressions: they are looked for when one is wanted."""
        return (self._lambdas if name == _LAMBDA else self._named).get((name, line), [])

    def without_matches(self, node: _Node) -> _Node:
        """A function of this part, its `match` statements as `if`s: they are replaced when it is first asked for."""
        if node not in self._without_matches:
            has_matches = any(isinstance(inner, ast.Match) for inner in nodes_in(node))
            self._without_matches[node] = Rewriter().visit(node) if has_matches else node
        return self._without_matches[node]

    @functools.cached_property
    def _named(self) -> dict[tuple[str, int], list[_Node]]:
        return _by_place(_definitions(self.tree))

    @functools.cached_property
    def _lambdas(self) -> dict[tuple[str, int], list[_Node]]:
        return _by_place(n for n in ast.walk(self.tree) if isinstance(n, ast.Lambda))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """What Python has to say about a user's text it said when it compiled it: not again, and never as an error.

    (Filters belong to all threads: no more is silenced than what parsing gives.)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.filterwarnings("ignore", "invalid ", DeprecationWarning)  # escapes and numbers, before Python 3.12
        yield


class _File:
    """A file, of which no more is parsed than is asked for."""

    def __init__(self, text: str, filename: str, flags: int) -> None:
        self.text = text
        self._parse = functools.partial(ast.parse, filename=filename)
        self._compile = functools.partial(compile, filename=filename, mode="exec", flags=flags, dont_inherit=True)
        self._statements: dict[int, _Part | None] = {}  #: by first line
        self._at_line: dict[int, _Part | None] = {}

    @functools.cached_property
    def whole(self) -> _Part:
        """All of it. Raises SyntaxError."""
        with _without_warnings():
            return _Part(self._parse(self.text), self._compile(self.text))

    def statement(self, line: int) -> _Part | None:
        """The statement of the module that a line is in, judging by what begins at the left margin: whoever asks
        compares code, and looks in `whole` if it is another. None where that is no statement."""
        if line not in self._at_line:
            self._at_line[line] = self._statement(line)
        return self._at_line[line]

    def _statement(self, line: int) -> _Part | None:
        first, ends = _extent_of(self._lines, line)
        if first not in self._statements:
            self._statements[first] = None
            with suppress(SyntaxError), _without_warnings():
                tree = self._parsed(first, ends)
                module = ast.Module([*self._imports, *tree.body], [])
                self._statements[first] = _Part(tree, self._compile(module))
        return self._statements[first]

    def _parsed(self, first: int, ends: Sequence[int]) -> ast.Module:
        """The lines from one on to the first of `ends` where a statement ends."""
        for end in ends:
            with suppress(SyntaxError):
                return self._parse("\n" * first + "\n".join(self._lines[first:end]))
        raise SyntaxError("no statement")

    @functools.cached_property
    def _imports(self) -> list[ast.stmt]:
        """The imports of the module. Attributes of what they bind are called by other code than methods are."""
        found: list[ast.stmt] = []
        for i, text in enumerate(self._lines):
            if text.startswith(("import ", "from ")) and not text.startswith("from __future__"):
                found += self._parsed(*_extent_of(self._lines, i + 1)).body
        return found

    @functools.cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")


#: What stands at the left margin and begins no statement.
_INSIDE = re.compile(r"[\s#)\]}]|(?:elif|else|except|finally)\b|$")


def _extent_of(lines: Sequence[str], line: int) -> tuple[int, list[int]]:
    """Where the statement with a line begins, and where it may end: decorators end before what they decorate."""
    first = next((i for i in range(min(line, len(lines)) - 1, -1, -1) if not _INSIDE.match(lines[i])), 0)
    starts = (i for i in range(max(line, first + 1), len(lines)) if not _INSIDE.match(lines[i]))
    return first, list(islice(chain(starts, (len(lines),)), _ENDS))


#: So many places where a statement may end are tried.
_ENDS = 4

_LAMBDA = "<lambda>"

_files: dict[tuple[str, int], _File] = {}


#: What `exec` calls its text. It is nowhere to be read, but Python 3.13 keeps the text of `python -c` by the same name.
_EXECUTED = "<string>"


def function_source(fn: Callable[..., Any]) -> FunctionSource:
    """Find the source of a Python function or lambda; raises `ScriptError` where there is none."""
    code = getattr(fn, "__code__", None)
    if not isinstance(fn, types.FunctionType) or code is None or is_public(fn):
        raise ScriptError(
            f"{_describe(fn)} is not a Python function with a source to compile",
            instead="script a Python function that calls it",
        )
    filename = code.co_filename
    text = _text(filename, fn.__globals__) or (_command() if filename == _EXECUTED else "")
    node = _find(text, filename, code) if text else None
    if node is None and filename.startswith("<frozen"):
        raise ScriptError(
            f"the function {fn.__qualname__!r} of Python's library has no source to compile",
            instead="call it outside, and pass the result",
        )
    if node is None and (not text or filename == _EXECUTED):
        raise ScriptError(
            f"the source of {fn.__name__!r} cannot be read (defined in {filename})",
            instead="put the function in a file or a notebook cell",
        )
    if node is None:
        raise ScriptError(
            f"the source of {fn.__name__!r} in {filename} no longer matches the running function",
            instead="reload the module after editing its file",
        )
    if isinstance(node, ast.AsyncFunctionDef):
        span = Span(filename, node.lineno, node.col_offset, node.lineno, None, code.co_name)
        raise ScriptError("an async function is outside the language", span, instead="define a plain function")
    cells = dict(zip(code.co_freevars, fn.__closure__ or (), strict=True))
    place = getattr(fn, "__tracejit_place__", None)
    return FunctionSource(
        rewritten(with_classes(with_private_names(node, code))),
        filename,
        code.co_name,
        fn.__globals__,
        cells,
        fn,
        place=place,
    )


def _text(filename: str, names: dict[str, Any]) -> str:
    """The text of a file, empty where there is none; the same object while the file stays as it is."""
    linecache.checkcache(filename)
    lines = linecache.getlines(filename, names)
    known = _texts.get(filename)
    if known is None or known[0] is not lines:
        known = _texts[filename] = (lines, "".join(lines))
    return known[1]


#: By file name: the lines that were read last, and the text of these.
_texts: dict[str, tuple[list[str], str]] = {}


def _command() -> str:
    """The text of `python -c`, empty where there is none."""
    words = iter(sys.orig_argv)
    return next(words, "") if "-c" in words else ""


def _describe(fn: object) -> str:
    return repr(getattr(fn, "__name__", type(fn).__name__))


def _find(text: str, filename: str, code: types.CodeType) -> _Node | None:
    flags = code.co_flags & _FUTURE_FLAGS
    file = _files.get((filename, flags))
    try:
        if file is None or file.text != text:
            file = _files[filename, flags] = _File(text, filename, flags)
        part = file.statement(code.co_firstlineno)
        chosen = [] if part is None else part.codes_at_its_line(code)
        if part is None or not chosen:
            part = file.whole
            chosen = part.codes_at_its_line(code) or _elsewhere(part.codes.get(code.co_name, []), code)
    except SyntaxError:
        return None
    nodes = [n for c in chosen for n in part.nodes(c.co_name, c.co_firstlineno)]
    if code.co_name == _LAMBDA and len(nodes) > 1:
        place = _lambda_position(code)
        if place == (None, None):
            return next((n for n in nodes if _gives(n, code)), None)
        nodes = [n for n in nodes if _is_at(n, place)] or sorted((n for n in nodes if _holds(n, place)), key=_extent)
    return part.without_matches(nodes[0]) if nodes else None


def _elsewhere(same_name: list[types.CodeType], code: types.CodeType) -> list[types.CodeType]:
    """The code objects that are a function's after its file changed above it, or that an import hook replaced."""
    matches = [c for c in same_name if _same_code(c, code)]
    exact = [c for c in matches if c.co_firstlineno == code.co_firstlineno]
    if matches or not _is_rewritten(code):
        return exact or matches
    return [c for c in same_name if c.co_firstlineno == code.co_firstlineno]


def _definitions(tree: ast.Module) -> Iterator[_Node]:
    """The `def`s of a module; expressions are not looked at."""
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, part, ())


def _by_place(nodes: Iterable[_Node]) -> dict[tuple[str, int], list[_Node]]:
    found: dict[tuple[str, int], list[_Node]] = {}
    for node in nodes:
        name = _LAMBDA if isinstance(node, ast.Lambda) else node.name
        found.setdefault((name, _first_line(node)), []).append(node)
    return found


def _first_line(node: ast.stmt | ast.Lambda) -> int:
    """The line a statement begins at, with its decorators."""
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def _by_name(module: types.CodeType) -> dict[str, list[types.CodeType]]:
    found: dict[str, list[types.CodeType]] = {}
    for code in _nested_codes(module):
        found.setdefault(code.co_name, []).append(code)
    return found


def _nested_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield const
            yield from _nested_codes(const)


def _same_code(a: types.CodeType, b: types.CodeType) -> bool:
    """Whether two code objects do the same, wherever they stand."""
    return (
        a.co_code == b.co_code
        and a.co_names == b.co_names
        and a.co_varnames == b.co_varnames
        and a.co_freevars == b.co_freevars
        and a.co_cellvars == b.co_cellvars
        and len(a.co_consts) == len(b.co_consts)
        and all(map(_same_const, a.co_consts, b.co_consts))
    )


def _same_const(a: Any, b: Any) -> bool:
    if isinstance(a, types.CodeType) and isinstance(b, types.CodeType):
        return _same_code(a, b)
    return type(a) is type(b) and repr(a) == repr(b)


def _is_rewritten(code: types.CodeType) -> bool:
    """Whether an import hook (pytest's assertion rewriting) changed the code behind an unchanged file."""
    return any(name.startswith("@py_") for name in code.co_varnames)


def _is_at(node: _Node, position: tuple[int | None, int | None]) -> bool:
    return isinstance(node, ast.Lambda) and (node.body.lineno, node.body.col_offset) == position


def _holds(node: _Node, position: tuple[int | None, int | None]) -> bool:
    """Whether a place is in a lambda's body: where a condition was folded, no code stands at its start."""
    if not isinstance(node, ast.Lambda) or position[0] is None or position[1] is None:
        return False
    body = node.body
    assert body.end_lineno is not None and body.end_col_offset is not None
    return (body.lineno, body.col_offset) <= position <= (body.end_lineno, body.end_col_offset)


def _gives(node: _Node, code: types.CodeType) -> bool:
    """Whether a lambda has that code, which has no place: it returns a constant (Python 3.12)."""
    if not isinstance(node, ast.Lambda) or not isinstance(node.body, ast.Constant):
        return False
    with _without_warnings():
        made = compile(ast.Expression(node), code.co_filename, "eval")
    return any(_same_code(const, code) for const in made.co_consts if isinstance(const, types.CodeType))


def _extent(node: _Node) -> tuple[int, int]:
    """Smaller for what lies inside: where a node starts, from the end."""
    return -node.lineno, -node.col_offset


def _lambda_position(code: types.CodeType) -> tuple[int | None, int | None]:
    """Line and column of the smallest place a lambda's body starts at."""
    places = [(p[0], p[2]) for p in code.co_positions() if p[0] is not None and p[2] is not None and p[3] != p[2]]
    return min(places, default=(None, None))
