"""What syntax trees are made of, without the contexts of names, which say nothing that a name's place does not.

Functions are looked through several times while they are lowered; this takes less than half the time of `ast.walk`.
"""

from __future__ import annotations

import ast


def parts_of(node: ast.AST) -> list[ast.AST]:
    """What stands directly in a node, in order."""
    found: list[ast.AST] = []
    _append_parts(node, found)
    return found


def nodes_in(tree: ast.AST) -> list[ast.AST]:
    """The tree and all that is in it, in the order of `ast.walk`."""
    found = [tree]
    for node in found:
        _append_parts(node, found)
    return found


def _append_parts(node: ast.AST, found: list[ast.AST]) -> None:
    for name in node._fields:
        part = None if name == "ctx" else getattr(node, name, None)
        if isinstance(part, ast.AST):
            found.append(part)
        elif part.__class__ is list:
            found += [item for item in part if isinstance(item, ast.AST)]  # type: ignore[union-attr]
