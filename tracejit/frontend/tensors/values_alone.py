"""Functions that give values alone where PyTorch gives places too: what errors add where a program expects both."""

from __future__ import annotations

import ast

#: The functions, and those that give the places.
_PLACES = {"max": "argmax", "min": "argmin", "sort": "argsort"}


def hint(statement: ast.AST | None) -> str:
    """What an error says behind its text where a statement binds two names to what one of these gives."""
    match statement:
        case ast.Assign([ast.Tuple([_, _]) | ast.List([_, _])], ast.Call(ast.Attribute(_, name))) if name in _PLACES:
            return f": {name}() gives values alone, {_PLACES[name]}() their places"
        case _:
            return ""
