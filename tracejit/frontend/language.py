"""The language as a table: what a script may contain, and what is refused, each with a program.

`docs/language.md` shows this table, and `tests/frontend/test_language_page.py` compares the two, runs every program
that is supported against plain Python, and sees that every other one is refused.
"""

from __future__ import annotations

import builtins

from tracejit.frontend.functions.handlers import HANDLERS
from tracejit.records import record


@record
class Construct:
    """One row. `program` is the body of a function of `x` (a float) and `n` (an int); a refused one has `instead`."""

    name: str
    notes: str
    program: str
    instead: str = ""


STATEMENTS = (
    Construct(
        "`if` / `elif` / `else`",
        "one `if` node each; a condition known at compile time keeps one side only",
        "if x > n:\n    y = 1.0\nelif x == n:\n    y = 2.0\nelse:\n    y = x\nreturn y",
    ),
    Construct(
        "`while`, `break`, `continue`, `else`",
        "any condition on data; a `while` loop of at most 64 trips whose body needs to know at compile time which one "
        "it is (`self.layers[k]`), or gives a name other kinds of values, is unrolled where its condition, or one side "
        "of an `and` in it, is known",
        "k = 0\nwhile k < n:\n    k += 1\n    if k == 3:\n        continue\n    if k > 8:\n        break\nelse:\n"
        "    k = -k\nreturn k",
    ),
    Construct(
        "`for` over `range`, arrays, tuples, lists, dicts, `zip`, `enumerate`, `reversed`",
        "`for ... else`; over tuples, and over lists of known length, the loop is unrolled, unless they are more than "
        "64 numbers of one type of which none must be known at compile time; so is a `range` of at most 64 known "
        "numbers where the body needs the index at compile time, or gives a name other kinds of values; where unrolled "
        "loops inside of others have more than 200 iterations, 8 takes the place of 64 wherever it can, and what would "
        "be written more than 16 times over `range`s is known at run time only wherever it can be",
        "s = 0\nfor i, v in enumerate((1, 2, n)):\n    s += i * v\nd = {}\nfor i in range(3):\n    d[i] = i * n\n"
        "for k in range(n):\n    s += k\nreturn s, d",
    ),
    Construct(
        "generator functions: `for` over them, comprehensions, "
        "`list`, `[*items]`, `sum`, `zip`, `map`, `next`, `itertools`, unpacking and the like",
        "a loop's body runs where the generator yields; one of which items are taken in other ways (`next` again, "
        "`send`, several in one `zip`) waits in between, where it yields in statements (`got = yield x`) outside of "
        "`try`, `with` and `match` and has no functions in it; others run once, in the loop that made them; one that "
        "calls itself, and does nothing but to yield, gives all its items at once",
        "def g(k):\n    a, b = 0, 1\n    while a < k:\n        yield a\n        a, b = b, a + b\n"
        "    yield from range(k)\ns = 0\nfor i, v in enumerate(g(n)):\n    if i > 5:\n        break\n    s += v\n"
        "return s, list(g(n)), [v * 2 for v in g(n)]",
    ),
    Construct(
        "`return` anywhere",
        "values of different paths are joined (below)",
        "for i in range(n):\n    if i > x:\n        return i\nreturn -1",
    ),
    Construct(
        "assignment, chained, augmented, annotated, starred unpacking, walrus",
        "augmented assignment of an array writes in place; annotations are not evaluated",
        "a = b = n\na += 2\nc: float = x\np, *q = a, b, c\nif (k := n + 1) > 2:\n    a = k\nreturn a, p, q",
    ),
    Construct(
        "`x[i] = v`, `x[a:b] = v`, attributes, `del`",
        "the right side is read in full before an overlapping write",
        "items = [1, 2, n]\nitems[0] = 5\ndel items[1]\nd = {'a': n, 'b': 2}\ndel d['b']\nz = n\ndel z\n"
        "return items, d",
    ),
    Construct(
        "`assert`, `raise`",
        "built-in and user exceptions, with any arguments and what their `__init__` sets; at most 8 run-time values; "
        "`python -O` leaves assertions out",
        "assert n > 0, f'n is {n}'\nif x > 1e9:\n    raise ValueError('too large', x)\nreturn n",
    ),
    Construct(
        "`try`, `except`, `else`, `finally`, `raise` without an exception",
        "what `raise`, `assert`, indices, divisions, keys, shapes, conversions, `math` and linear algebra raise is "
        "caught by class; not what leaves 64 bits, nor too deep a recursion (`except RecursionError` is refused); a "
        "jump out of `finally` and a `yield` inside are refused",
        "items = [1, 2, 3]\ntry:\n    r = items[n] // (n - 2)\nexcept IndexError as e:\n"
        "    print(e)\n    r = -1\nexcept ArithmeticError:\n    r = -2\nelse:\n    r += 1\n"
        "finally:\n    items.append(n)\nreturn r, items",
    ),
    Construct(
        "`with`",
        "`tj.no_grad()`, `tj.enable_grad()`, `tj.set_grad_enabled(flag)`, "
        "`contextlib.nullcontext()`, `contextlib.suppress()`, `np.errstate` that ignores, and objects whose "
        "`__enter__` and `__exit__` are Python, or that a generator makes (`contextlib.contextmanager`), which yields "
        "once on each path: `__exit__` runs at the end of the body and before a `raise` or "
        "`assert` statement of the body raises, not before other exceptions (an index out of range, an overflow), "
        "unless a `try` or `finally` around it sees them",
        "import tracejit as tj\nwith tj.no_grad():\n    y = x * 2\nreturn y",
    ),
    Construct(
        "`match`",
        "literals, names, `|`, sequences, dicts with `**rest`, `int()` and its like, classes with keywords, guards",
        "match (n, {'a': n}, [n, 2, 3]):\n    case (None, _, _):\n        return 0\n"
        "    case (_, {'a': 7}, [_, *rest]):\n"
        "        return len(rest)\nmatch n:\n    case 0:\n        r = 0\n"
        "    case 1 | 2:\n        r = 1\n    case k if k > x:\n        r = k\n"
        "    case _:\n        r = -1\nreturn r",
    ),
    Construct(
        "nested `def`, decorated or not, `lambda`, `nonlocal`, `import`, `global` names that are read, `pass`, "
        "docstrings, `...`, class definitions",
        "a class is made when the function is compiled: its body defines methods, fields and constants",
        "class A:\n    def one(self):\n        return 1\n\n"
        '"""Doc."""\nglobal math\nimport math\nfrom math import pi\n...\n\n'
        "def g(a, *b, c=2, **d):\n    nonlocal n\n    n += 1\n    return a + c + sum(b) + len(d)\n"
        "return g(n), g(n, 1, c=3, e=4), (lambda v: v + 1)(n), A().one()",
    ),
)

EXPRESSIONS = (
    Construct(
        "operators, comparison chains, `and` `or` `not`, conditional expressions, `in`, `is`",
        "",
        "return -x + n * 2 - n // 3 + n**2, 0 < n < 9, n and x, n or x, not n, 1 if n else 2, n in (1, 2), "
        "x is None, ~n",
    ),
    Construct(
        "tuples, lists, dicts and sets; comprehensions and generator expressions",
        "`v in {a, b}` takes run-time values",
        "return (n, x), [n, *(1, 2)], {'a': n, **{'b': x}}, {1, 2}, [v * n for v in (1, 2) if v > 1], "
        "{k: n for k in 'ab'}, {k % 2 for k in (1, 2, 3)}, sum(v for v in (1, n)), [1, 2, 3][0:2]",
    ),
    Construct(
        "f-strings, `%`, `str.format`, `str()`",
        "text with run-time numbers, arrays and lists of numbers can be printed, raised, chosen, joined to text and "
        "returned; where it shows numbers and texts only, it may grow in loops, be put into containers and objects; "
        "where these numbers are ints it is a key, has length, parts, order, `int()`, `float()`, `ord()`, and methods: "
        "`split`, `join`, `strip`, `find`, `replace`, `upper`, `isdigit` and their like, of ASCII text; "
        "arrays are shown as NumPy's print options at that time say; exported programs show numbers only",
        "words, s, d = [], '', {}\nfor k in range(n):\n    words.append(f'{k}: {k / 4}')\n    s += f'{k},'\n"
        "    d[f'k{k % 2}'] = k\n"
        "return words, ';'.join(words), s.split(','), d, f'{n:>4} {[k * x for k in range(n)]}' + str(n), "
        "'%d%%' % n, '{} {k}'.format(n, k=2), 'a'.upper(), 3j * 2",
    ),
)

VALUES = (
    Construct(
        "Python `int`, `float`, `bool`, `complex`",
        "ints are exact to 64 bits and raise `OverflowError` beyond; division by zero raises",
        "return n + 1, x / 2, n > 2, 2j * x",
    ),
    Construct(
        "NumPy scalars and arrays",
        "keep their dtype, wrap, give inf and nan, as NumPy does",
        "import numpy as np\nreturn np.arange(4.0).sum() + x",
    ),
    Construct("Tensors", "as arrays; if any argument is a Tensor, results are Tensors", "return n"),
    Construct(
        "tuples, lists, dicts, NamedTuples",
        "structure known at compile time, or lists of items of one kind that grow, and tuples of any length of such "
        "(`tuple(xs)`, `t += (x,)`); lists of lists of any length, where lists keep their identity; arrays in them "
        "change in place, where the script made them in C order; items may be None; lists and dicts of the caller "
        "change when the script does that",
        "xs, rows = [], [[0] * n for _ in range(n)]\nfor i in range(n):\n    xs.append(i * x)\n    rows[i][0] = i\n"
        "    rows[0].append(i)\nrows[0][1:2] = [7, 8]\n"
        "import numpy as np\nparts = [np.zeros(2) for _ in range(n)]\nfor part in parts:\n    part += x\n"
        "return xs, rows, xs == [x], parts, tuple(xs)",
    ),
    Construct(
        "dicts and sets with keys known at run time only, `deque`, `defaultdict`, `Counter`, `OrderedDict`",
        "keys are numbers, tuples of them of any length, members of an Enum, instances of classes (by `__hash__` "
        "and `__eq__`, fields, or identity), or texts, values are of one kind, containers too, which keep their "
        "identity: `graph[u][v] = w`, `defaultdict(set)`; a dict with known keys of text may hold any values; in "
        "lists and dicts of any length (`rows.append({'x': x, 'n': 2})`) all such that meet have the same keys, and "
        "values of one kind for each; those of the caller hold numbers or texts, and are compiled for the keys that "
        "they have; dicts keep the order of insertion, sets of numbers have Python's; a set of texts or objects is not "
        "looped over, but sorted, searched and combined",
        "from collections import Counter, defaultdict, deque\nd, e, c, s, q = {}, defaultdict(float), Counter(), {n}, "
        "deque([n])\nfor i in range(n):\n    d[i % 3] = d.get(i % 3, 0) + i\n    e[i, n] += x\n    c[i] += 1\n"
        "    s.add(i)\n    q.appendleft(i)\nif n in d:\n    del d[n]\n"
        "rows, near = [{'x': x, 'n': 2}], {}\nfor i in range(n):\n    rows.append({'x': x * i, 'n': i})\n"
        "    near.setdefault(i % 2, {})[i] = x\nreturn rows, near, d, e, c, s, q, sorted(s | {1}), q.pop()",
    ),
    Construct(
        "instances of the user's classes, dataclasses",
        "`__init__`, attributes, methods, properties, static and class methods, inheritance, `super()`, "
        "special methods; in lists and dicts of any length, those of several classes together, sorted by a key or `<`, "
        "linked to each other, known by one name or another by the path taken: then attributes hold values of one "
        "kind each in a class, which `__init__` sets",
        "p = Pair(n, x)\np.a += 1\npairs = [Pair(i, x) if i % 2 else Triple(i, x) for i in range(n)]\n"
        "pairs.sort(key=lambda q: -q.a)\nreturn (p + p).total(), [q.a for q in pairs]",
    ),
    Construct(
        "values that may be None",
        "refined by `is None`, `is not None`, `isinstance` and truth, by `and`, `or`, `not`, and by `assert`; numbers, "
        "texts, containers and objects in operators, indices and builtins are a TypeError where they are None",
        "y = None\nif x > 0:\n    y = x\nif y is not None and y > 1:\n    return y\nreturn 0.0",
    ),
    Construct(
        "strings and members of an Enum",
        "one of at most 32 of a class may be chosen at run time, or of 4096 in a list, which are compared, looked up "
        "and kept",
        "mode = 'big' if x > 1 else 'small'\nreturn 1 if mode == 'big' else 2",
    ),
    Construct(
        "functions, modules, classes, dtypes, None",
        "compile-time objects, functions and modules of one class one of at most 32; outer ones are guarded, and what "
        "sets, `deque`s and read-only views of dicts hold: changed, it compiles again; "
        "an outer function with `functools.cache` is called each time, and may not call itself; one inside remembers",
        "import math\nf = math.sin if n > 3 else math.cos\nreturn f(n), iter([n, 2]).__next__()",
    ),
)

REFUSED = (
    Construct("`try ... except*`", "", "try:\n    n += 1\nexcept* ValueError:\n    n = 0\nreturn n", "a condition"),
    Construct("scripts that are generators", "", "yield n", "return a list or an array"),
    Construct(
        "class definitions that read names of the function around them, but of its classes, or have a `metaclass`",
        "",
        "class A:\n    def get(self):\n        return n\nreturn A().get()",
        "define the class outside",
    ),
    Construct(
        "writing a global", "", "global counter\ncounter = n\nreturn n", "return the value, or write into an array"
    ),
    Construct("`async` functions", "", "async def g():\n    return 1\nreturn n", "call it outside"),
    Construct("`async for`", "", "async def g():\n    async for i in n:\n        pass\nreturn n", "loop outside"),
    Construct("`async with`", "", "async def g():\n    async with n:\n        pass\nreturn n", "enter it outside"),
    Construct("`await`", "", "async def g():\n    await n\nreturn n", "await outside"),
    Construct(
        "class patterns with positions, except of built-in classes",
        "",
        "match n:\n    case complex(a):\n        return a\nreturn n",
        "keywords: `Point(x=1)`",
    ),
    Construct(
        "loops over sets of texts and objects known at run time only",
        "",
        "for s in {str(n), 'a'}:\n    x += len(s)\nreturn x",
        "`sorted(s)`",
    ),
    Construct(
        "a name that is a number on one path and an array, text or container on another",
        "",
        "y = 1.0\nif x > 0:\n    y = (x, x)\nreturn y",
        "two names",
    ),
    Construct(
        "arrays that may be None, in operators without a condition",
        "",
        "import numpy as np\ny = None\nif x > 0:\n    y = np.ones(n)\nreturn y + 1",
        "refine it",
    ),
    Construct("keys, parts, order and length of text that shows floats", "", "return len(f'{x}')", "numbers"),
    Construct("objects of classes written in C", "", "import array\nreturn array.array('i', [n])", "pass it"),
)


def builtin_names() -> list[str]:
    """The builtins that scripts have."""
    return sorted(name for name, value in vars(builtins).items() if _is_handled(value))


def _is_handled(value: object) -> bool:
    try:
        return value in HANDLERS
    except TypeError:
        return False


def tables() -> dict[str, str]:
    """The tables of `docs/language.md`, by the name of their place."""
    shown = {"statements": STATEMENTS, "expressions": EXPRESSIONS, "values": VALUES}
    made = {
        name: "| Construct | Notes |\n|---|---|\n" + "".join(f"| {_cell(c.name)} | {_cell(c.notes)} |\n" for c in rows)
        for name, rows in shown.items()
    }
    refused = "".join(f"| {_cell(c.name)} | {_cell(c.instead)} |\n" for c in REFUSED)
    made["refused"] = "| Construct | Write instead |\n|---|---|\n" + refused
    made["builtins"] = " ".join(f"`{name}`" for name in builtin_names()) + "\n"
    return made


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
