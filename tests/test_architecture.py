"""The structure of the package: who imports whom, who knows ops by name, how long files are, what is documented."""

from __future__ import annotations

import ast
import functools
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path

import tracejit
import tracejit.ops  # pyright: ignore[reportUnusedImport]
from tracejit.codegen.lowering import opaque as lower_opaque
from tracejit.ir.opdef import REGISTRY, STRUCTURAL

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tracejit"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
OPS = frozenset(defn.name for defn in REGISTRY)

LONGEST = 600
#: Longer files, each with the reason why it is one thing.
LONG_FILES: dict[str, str] = {}

#: Names in transforms that are no structural ops, with the reason.
NAMED_IN_TRANSFORMS: dict[str, dict[str, str]] = {
    "transforms/cse.py": {"eq": "what a check of sizes has checked"},
    "transforms/unstack.py": {"maximum": "a trip count is not negative"},
    "transforms/fusion/index_maps.py": dict.fromkeys(("select", "eq", "mul"), "arithmetic of indices, not of tensors"),
    "transforms/defer_products.py": {"le": "arithmetic of sizes", "transpose": "the first factor lies the other way"},
    "transforms/multiply_ahead.py": {
        "mul": "an offset is an index times a stride",
        **dict.fromkeys(("le", "minimum", "maximum", "floordiv"), "arithmetic of trips"),
    },
    "transforms/outer_products.py": {"mul": "a product of one term"},
    "transforms/turn_factors.py": {"lt": "whether a loop makes a trip"},
    "transforms/derivatives/recorded.py": {"detach": "derivatives that nothing is differentiated through are noted"},
    "transforms/derivatives/batch.py": {"lt": "whether a trip is the first"},
    "transforms/derivatives/numbered_nodes.py": {"lt": "whether a number is that of a node"},
    "transforms/derivatives/rewritten.py": {
        "all": "whether nothing was written",
        **dict.fromkeys(("logical_and", "logical_not", "lt"), "whether a branch or a trip was taken"),
    },
    "transforms/derivatives/version_counters.py": {
        "le": "whether the first save is of the present version",
        **dict.fromkeys(("minimum", "gt"), "the first of several saves; whether an array has elements"),
        "select": "what leads to no leaf saves nothing",
    },
    "transforms/write_home.py": {"mul": "strides are products of sizes"},
    "transforms/checkpoint_loops.py": dict.fromkeys(
        "sqrt pow minimum maximum floordiv select le ge logical_and logical_not".split(), "arithmetic of trip counts"
    ),
    "transforms/numbers/fits.py": dict.fromkeys(("le", "logical_and"), "arithmetic of trip counts"),
    "transforms/numbers/limits.py": dict.fromkeys(
        ("sub", "mul", "minimum", "maximum", "lt", "le", "select", "logical_and", "logical_or", "logical_not"),
        "arithmetic of trip counts",
    ),
    "transforms/derivatives/element_places.py": {"mul": "offsets of rows are multiples of their sizes"},
    "transforms/derivatives/truncated.py": {
        "logical_not": "whether a trip takes the other side",
        "detach": "what a segment hands on",
        **dict.fromkeys(("logical_and", "lt"), "whether there is a trip"),
    },
    "transforms/derivatives/emptied.py": dict.fromkeys(("gt", "ne"), "whether a list has items"),
    "transforms/derivatives/items_again.py": {"eq": "whether an index is that of the last item"},
    "transforms/derivatives/held.py": dict.fromkeys(
        ("logical_not", "logical_and", "logical_or"), "whether a condition holds"
    ),
    "transforms/derivatives/summed.py": {
        "detach": "what is added up has no derivative",
        **dict.fromkeys(("real", "conj", "sum"), "the sum that stands for weighted arrays"),
        "eq": "what a check of sizes checks",
    },
    "transforms/wrap_aside.py": dict.fromkeys(("select", "lt", "ge", "logical_and"), "arithmetic of indices"),
    "transforms/carry_elements.py": dict.fromkeys(("lt", "logical_and"), "whether a loop makes a trip"),
    "transforms/last_trips.py": {"logical_not": "whether a loop goes on"},
    "transforms/numbers/starts.py": dict.fromkeys(("sub", "maximum", "ge"), "arithmetic of trip counts"),
}

#: Files of codegen/ that read or print loop programs, and what they must not know.
BELOW_GRAPHS = (
    "llvm/*",
    "cuda/*",
    "products/*",
    "lowering/schedule",
    "evaluate",
    "text",
    "scalars",
    "folding",
    "numeric",
)
GRAPHS = ("tracejit.ops", "tracejit.ir.core", "tracejit.ir.opdef", "tracejit.ir.builder", "tracejit.ir.interpreter")


@functools.cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(), name)


def module_of(name: str) -> str:
    parts = ("tracejit", *Path(name).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(name) for name in FILES}


def imports(node: ast.AST) -> Iterator[str]:
    """Modules imported at or under a node, `TYPE_CHECKING` blocks left out."""
    match node:
        case ast.If(test=ast.Name("TYPE_CHECKING")):
            return
        case ast.Import(names):
            yield from (a.name for a in names)
        case ast.ImportFrom(module=str(module), names=names):
            for a in names:
                inner = f"{module}.{a.name}"
                yield inner if inner in MODULES else module
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                    yield from imports(child)


# -- layers -----------------------------------------------------------------------------------------------------


def layers() -> list[tuple[list[str], bool]]:
    """The layers of the contract in pyproject.toml, highest first, and whether the parts of one are independent."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [c["layers"] for c in contracts if c["type"] == "layers"]
    return [([part.strip() for part in layer.replace("|", ":").split(":")], "|" in layer) for layer in found]


LAYERS = layers()


def layer_of(module: str) -> tuple[int, str] | None:
    """The place of a module's layer, and the part of that layer the module is in."""
    for place, (parts, _) in enumerate(LAYERS):
        for part in parts:
            if module == part or module.startswith(f"{part}."):
                return place, part
    return None


def is_allowed(importer: str, imported: str) -> bool:
    """Whether a module may import another: from a lower layer, or its own unless the parts there are independent."""
    home, target = layer_of(importer), layer_of(imported)
    if home is None or target is None or home[1] == target[1]:
        return True
    return target[0] > home[0] or (target[0] == home[0] and not LAYERS[home[0]][1])


def test_imports_go_down_the_layers() -> None:
    wrong = [
        f"{module_of(name)} imports {module}"
        for name in FILES
        for module in imports(tree_of(name))
        if not is_allowed(module_of(name), module)
    ]
    assert wrong == []


def test_every_module_is_in_a_layer() -> None:
    assert [module for module in MODULES - {"tracejit"} if layer_of(module) is None] == []


def test_what_is_below_graphs_does_not_know_them() -> None:
    for pattern in BELOW_GRAPHS:
        names = [name for name in FILES if Path(name).match(f"codegen/{pattern}.py")]
        assert names, f"no file is called {pattern}"
        for name in names:
            assert [m for m in imports(tree_of(name)) if m.startswith(GRAPHS)] == [], name


# -- names of ops -----------------------------------------------------------------------------------------------


def strings(node: ast.AST) -> Iterator[ast.Constant]:
    for leaf in ast.walk(node):
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
            yield leaf


def is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "name"


def compared_with_names(tree: ast.Module) -> Iterator[ast.Constant]:
    """Strings that something's `name` is compared with."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left, _, others) if any(map(is_name, [left, *others])):
                yield from strings(node)
            case ast.Match(subject, cases) if is_name(subject):
                for case in cases:
                    yield from strings(case.pattern)
            case _:
                pass


def test_ops_are_told_apart_by_structural_names_only() -> None:
    told = [
        f"{name}:{leaf.lineno}: {leaf.value}"
        for name in FILES
        if not name.startswith("ops/") and "tracejit.ir.core" in imports(tree_of(name))
        for leaf in compared_with_names(tree_of(name))
        if leaf.value in OPS - STRUCTURAL
    ]
    assert told == []


def test_tables_of_the_lowering_hold_structural_ops_only() -> None:
    assert lower_opaque.STRUCTURAL.keys() - STRUCTURAL == set()


def test_transforms_name_structural_ops_only() -> None:
    for name in FILES:
        if name.startswith("transforms/"):
            tree = tree_of(name)
            named = {leaf.value for leaf in strings(tree)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    if isinstance(node.func.value, ast.Name) and node.func.value.id == "b":
                        named.add(node.func.attr)
            assert (named & OPS) - STRUCTURAL == set(NAMED_IN_TRANSFORMS.get(name, {})), name


def test_the_structural_vocabulary_names_ops() -> None:
    assert STRUCTURAL - OPS == set()


# -- sizes and documentation ------------------------------------------------------------------------------------


def test_files_are_short() -> None:
    lengths = {name: path.read_text().count("\n") for name, path in FILES.items()}
    assert {name: n for name, n in lengths.items() if n > LONGEST and name not in LONG_FILES} == {}
    assert [name for name in LONG_FILES if lengths.get(name, 0) <= LONGEST] == []


def test_modules_say_what_they_hold() -> None:
    assert [name for name in FILES if tree_of(name).body and not ast.get_docstring(tree_of(name))] == []


def test_public_names_are_documented() -> None:
    public = {name: getattr(tracejit, name) for name in tracejit.__all__}
    assert [name for name, x in public.items() if inspect.ismodule(x) or callable(x) if not inspect.getdoc(x)] == []
