"""Text to graph: reads what `printer.py` writes (grammar in README.md) and reports errors with line and column.

Nothing is evaluated: only the literals of the grammar are accepted. Op names are looked up in the registry, so
`tracejit.ops` must have been imported. Result types are taken as written; `verify` says whether they are right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from tracejit.errors import ParseError, Span
from tracejit.ir.builder import known_size
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.printer import NAME
from tracejit.ir.types import BY_NAME, Dim, ListType, ScalarType, TensorType, Type
from tracejit.records import record

T = TypeVar("T")

_REAL = r"(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\n]+|//[^\n]*)
    |(?P<complex>[+-]?{_REAL}[+-]{_REAL}j)
    |(?P<value>%{NAME.pattern})
    |(?P<graph>@{NAME.pattern})
    |(?P<number>[+-]?{_REAL}(?!\w))
    |(?P<word>{NAME.pattern})
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<sign>[=(){{}}\[\]<>:,!?])
    |(?P<end>\Z)""",
    re.VERBOSE,
)
_COMPLEX_PARTS = re.compile(rf"([+-]?{_REAL})([+-]{_REAL})j")
_WORDS: dict[str, Any] = {"True": True, "False": False, "None": None, **BY_NAME}


@record
class Token:
    """A piece of the text: its kind (a group of `_TOKEN`), its spelling and where it starts (both from 1)."""

    kind: str
    text: str
    line: int
    column: int


def parse(text: str, filename: str = "<text>") -> Graph:
    """The text's first graph; the others are those it may call. Raises `ParseError`."""
    return parse_all(text, filename)[0]


def parse_all(text: str, filename: str = "<text>") -> tuple[Graph, ...]:
    """Every graph of the text, in order; `filename` names the text in later errors. Raises `ParseError`."""
    return _Parser(text, filename).graphs()


class _Parser:
    """Recursive descent; `scope` maps the names visible at this point to values."""

    def __init__(self, text: str, filename: str) -> None:
        self.text = text
        self.filename = filename
        self.tokens = self.tokenize()
        self.at = 0
        self.scope: dict[str, Value] = {}
        self.graphs_by_name: dict[str, Graph] = {}
        self.graph_attrs: list[tuple[dict[str, Any], str, Token]] = []

    # -- tokens ---------------------------------------------------------------------------------------------

    def tokenize(self) -> list[Token]:
        tokens: list[Token] = []
        at, line, line_start = 0, 1, 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise ParseError(f"unexpected character {self.text[at]!r}", line, at - line_start + 1)
            kind, piece = match.lastgroup or "", match.group()
            if kind != "space":
                tokens.append(Token(kind, piece, line, at - line_start + 1))
            elif "\n" in piece:
                line += piece.count("\n")
                line_start = at + piece.rfind("\n") + 1
            at = match.end()
        return tokens

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        token = token or self.next
        raise ParseError(message, token.line, token.column)

    def fail_at_next(self, wanted: str) -> NoReturn:
        self.fail(f"expected {wanted}, found {repr(self.next.text) if self.next.text else 'the end'}")

    def peek(self, text: str, ahead: int = 0) -> bool:
        """Whether a sign or word comes next (or some tokens ahead)."""
        token = self.tokens[min(self.at + ahead, len(self.tokens) - 1)]
        return token.text == text and token.kind in ("sign", "word")

    def accept(self, text: str) -> bool:
        """Skip a sign or word if it comes next."""
        found = self.peek(text)
        self.at += found
        return found

    def expect(self, text: str) -> None:
        if not self.accept(text):
            self.fail_at_next(repr(text))

    def take(self, kind: str, what: str) -> Token:
        """The next token, which must be of that kind."""
        token = self.next
        if token.kind != kind:
            self.fail_at_next(what)
        self.at += 1
        return token

    def listed(self, item: Callable[[], T]) -> list[T]:
        """One item or several between commas."""
        found = [item()]
        while self.accept(","):
            found.append(item())
        return found

    def enclosed(self, item: Callable[[], T], start: str, end: str) -> list[T]:
        """Items between commas, in brackets; none, or a comma after the last, is fine."""
        self.expect(start)
        found: list[T] = []
        while not self.accept(end):
            found.append(item())
            if not self.peek(end):
                self.expect(",")
        return found

    # -- graphs, blocks, ops ------------------------------------------------------------------------------------

    def graphs(self) -> tuple[Graph, ...]:
        found = [self.graph()]
        while self.next.kind != "end":
            found.append(self.graph())
        for attrs, name, token in self.graph_attrs:
            if token.text not in self.graphs_by_name:
                self.fail(f"there is no graph {token.text}", token)
            attrs[name] = self.graphs_by_name[token.text]
        return tuple(found)

    def graph(self) -> Graph:
        self.expect("graph")
        title = self.take("graph", "a graph name")
        if title.text in self.graphs_by_name:
            self.fail(f"graph {title.text} is defined twice", title)
        self.scope = {}
        inout: list[int] = []
        params = self.params(inout)
        self.expect("on")
        device = self.take("word", "a device").text
        policy = self.attrs()
        self.expect("{")
        body = self.block(params, "")
        self.expect("}")
        graph = Graph(title.text[1:], body, device, tuple(inout), policy)
        self.graphs_by_name[title.text] = graph
        return graph

    def params(self, inout: list[int]) -> tuple[Value, ...]:
        """Parameters in parentheses; the numbers of those marked `inout` are added to the list."""
        names: list[Token] = []

        def param() -> Type:
            names.append(self.take("value", "a parameter"))
            self.expect(":")
            if self.accept("inout"):
                inout.append(len(names) - 1)
            return self.type()

        types = self.enclosed(param, "(", ")")
        return self.define(names, types)

    def block(self, params: tuple[Value, ...], label: str) -> Block:
        ops: list[Op] = []
        while not self.accept("yield"):
            ops.append(self.op())
        results = self.listed(self.value) if self.next.kind == "value" else []
        return Block(params, tuple(ops), tuple(results), label)

    def op(self) -> Op:
        first = self.next
        names: list[Token] = []
        if first.kind == "value":
            names = self.listed(lambda: self.take("value", "a value"))
            self.expect("=")
        title = self.take("word", "an op or 'yield'")
        if title.text not in REGISTRY:
            self.fail(f"there is no op {title.text!r}", title)
        operands = tuple(self.enclosed(self.value, "(", ")"))
        attrs = self.attrs()
        types = self.listed(self.type) if self.accept(":") else []
        if len(types) != len(names):
            self.fail(f"{title.text} has {len(names)} results and {len(types)} types", title)
        blocks = self.region() if self.peek("{") else ()
        results = self.define(names, types, known_size(title.text, operands, attrs))
        span = Span(self.filename, first.line, first.column - 1)
        return Op(REGISTRY[title.text], operands, attrs, results, blocks, span)

    def region(self) -> tuple[Block, ...]:
        """Labelled blocks in braces; what a block defines is forgotten after it."""
        blocks: list[Block] = []
        self.expect("{")
        while not self.accept("}"):
            outside = dict(self.scope)
            label = self.take("word", "a block label").text
            params = self.params([])
            self.expect(":")
            blocks.append(self.block(params, label))
            self.scope = outside
        return tuple(blocks)

    # -- values and types -----------------------------------------------------------------------------------------

    def value(self) -> Value:
        token = self.take("value", "a value")
        if token.text not in self.scope:
            self.fail(f"{token.text} is not defined here", token)
        return self.scope[token.text]

    def define(
        self, names: Sequence[Token], types: Sequence[Type], known: int | str | None = None
    ) -> tuple[Value, ...]:
        """New values; the types of some may name others of them as sizes."""
        for i, token in enumerate(names):
            if token.text in self.scope or token.text in (n.text for n in names[:i]):
                self.fail(f"{token.text} is defined twice", token)
        made: dict[str, Value] = {}
        for later in (False, True):
            for token, type in zip(names, types, strict=True):
                if isinstance(type, ScalarType) != later:
                    made[token.text] = Value(self.resolve(type, token), token.text[1:], known)
                    self.scope[token.text] = made[token.text]
        return tuple(made[token.text] for token in names)

    def type(self) -> Type:
        """A type in which a size that is a value is still its name with the `%`."""
        token = self.take("word", "a type")
        if token.text == "list":
            self.expect("<")
            element = self.type()
            self.expect(">")
            return ListType(element)
        if token.text not in BY_NAME:
            self.fail(f"there is no type {token.text!r}", token)
        dtype = BY_NAME[token.text]
        return TensorType(dtype, tuple(self.enclosed(self.dim, "[", "]"))) if self.peek("[") else ScalarType(dtype)

    def dim(self) -> Dim | None:
        token = self.next
        self.at += 1
        if token.kind in ("word", "value"):
            return token.text
        if token.kind == "number" and token.text.isdigit():
            return int(token.text)
        if token.text == "?":
            return None
        self.at -= 1
        self.fail_at_next("a size")

    def resolve(self, type: Type, token: Token) -> Type:
        """The type with names of values replaced by the values."""
        match type:
            case TensorType(dtype, shape):
                return TensorType(dtype, tuple(self.resolve_dim(d, token) for d in shape))
            case ListType(element):
                return ListType(self.resolve(element, token))
            case _:
                return type

    def resolve_dim(self, dim: Dim | None, token: Token) -> Dim | None:
        if not isinstance(dim, str) or not dim.startswith("%"):
            return dim
        if dim not in self.scope:
            self.fail(f"the size {dim} of {token.text} is not defined here", token)
        return self.scope[dim].dim

    # -- literals -------------------------------------------------------------------------------------------------

    def attrs(self) -> dict[str, Any]:
        """Attributes in braces, if they come next (and not a block: there, no `=` follows a word)."""
        found: dict[str, Any] = {}
        if not (self.peek("{") and self.tokens[self.at + 1].kind == "word" and self.peek("=", 2)):
            return found

        def attr() -> None:
            name = self.take("word", "an attribute")
            self.expect("=")
            if self.next.kind == "graph":
                self.graph_attrs.append((found, name.text, self.take("graph", "a graph name")))
                found[name.text] = None
            else:
                found[name.text] = self.literal()

        self.enclosed(attr, "{", "}")
        return found

    def literal(self) -> Any:
        token = self.next
        if self.peek("("):
            return tuple(self.enclosed(self.literal, "(", ")"))
        if self.accept("!"):
            return self.resolve(self.type(), token)
        self.at += 1
        match token.kind:
            case "number":
                return int(token.text) if token.text.lstrip("+-").isdigit() else float(token.text)
            case "complex":
                real, imaginary = _COMPLEX_PARTS.fullmatch(token.text).groups()  # type: ignore[union-attr]
                return complex(float(real), float(imaginary))
            case "string":
                return self.string(token)
            case "word" if token.text in _WORDS:
                return _WORDS[token.text]
            case _:
                self.at -= 1
                self.fail_at_next("a literal")

    def string(self, token: Token) -> str:
        try:
            return json.loads(token.text)
        except json.JSONDecodeError:
            self.fail("this string is not spelled as in JSON", token)
