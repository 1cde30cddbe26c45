"""LAPACK as LLVM text: functions that take numbers by value and give the routine's `info`, or -1 where there is none.

A program asks once (with a workspace query, or for an empty matrix) and goes on with its own loops where the answer is
-1, so that the same program runs with and without a library.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from tracejit.ir.types import DType

#: Parameters of routines before `info`: a letter, an integer, an array; `n` is an array of integers, as many as the
#: first parameter says, which become of 64 bits.
_ROUTINES: dict[str, str] = {
    "potrf": "cipi",
    "getrf": "iipin",
    "geqrf": "iipippi",
    "orgqr": "iiipippi",
    "ungqr": "iiipippi",
    "gesv": "iipippi",
    "syevd": "ccipippipi",
    "heevd": "ccipippipipi",
    "gesdd": "ciipippipipip",
    "geev": "ccipipppipipi",
}
_OF_COMPLEX = {"gesdd": "ciipippipipipp", "geev": "ccipippipipip"}
_LETTERS = {"f32": "s", "f64": "d", "c64": "c", "c128": "z"}
#: Routines that real (False) or complex numbers (True) alone have.
_ALONE = {"syevd": False, "heevd": True, "orgqr": False, "ungqr": True}
#: What is called another way for real and for complex numbers.
_NAMES = {"eigh": ("syevd", "heevd"), "gqr": ("orgqr", "ungqr")}

#: Routine by name -> its parameters.
ROUTINES: dict[str, str] = {
    letter + name: (_OF_COMPLEX.get(name, kinds) if letter in "cz" else kinds)
    for name, kinds in _ROUTINES.items()
    for letter in _LETTERS.values()
    if _ALONE.get(name, letter in "cz") is (letter in "cz")
}

#: What a program calls, by the name of the routine.
CALLS: dict[str, str] = {f"lapack_{name}": name for name in ROUTINES}


def routine(name: Literal["potrf", "getrf", "geqrf", "gqr", "gesv", "eigh", "gesdd", "geev"], dtype: DType) -> str:
    """The call of a routine for matrices of that dtype."""
    spelt = _NAMES[name][dtype.is_complex] if name in _NAMES else name
    return f"lapack_{_LETTERS[dtype.name]}{spelt}"


def lapack_module(integer_bits: int = 0, available: Collection[str] = ()) -> str:
    """The functions `@tj_lapack_<routine>`: calls of `@tj_fortran_<routine>` for those that are available."""
    parts = [_call(name, f"i{integer_bits}") if name in available else _stub(name) for name in ROUTINES]
    return "\n".join(parts)


def _parameters(kinds: str) -> str:
    return ", ".join(f"{'ptr' if kind in 'pn' else 'i64'} %a{i}" for i, kind in enumerate(kinds))


def _stub(name: str) -> str:
    return f"define i64 @tj_lapack_{name}({_parameters(ROUTINES[name])}) nounwind {{\n  ret i64 -1\n}}"


def _call(name: str, integer: str) -> str:
    """Numbers are put on the stack, as Fortran wants them; the lengths of letters follow the arguments."""
    kinds = ROUTINES[name]
    lines: list[str] = []
    arguments: list[str] = []
    for i, kind in enumerate(kinds):
        if kind in "pn":
            arguments.append(f"ptr %a{i}")
            continue
        type = "i8" if kind == "c" else integer
        value = f"%a{i}" if type == "i64" else f"%v{i}"
        lines.append(f"  %s{i} = alloca {type}")
        if type != "i64":
            lines.append(f"  %v{i} = trunc i64 %a{i} to {type}")
        lines.append(f"  store {type} {value}, ptr %s{i}")
        arguments.append(f"ptr %s{i}")
    arguments += ["ptr %info", *["i64 1" for kind in kinds if kind == "c"]]
    types = ", ".join(a.split()[0] for a in arguments)
    widened = "" if integer == "i64" else f"  %wide = sext {integer} %found to i64\n"
    return (
        f"declare void @tj_fortran_{name}({types})\n"
        f"define i64 @tj_lapack_{name}({_parameters(kinds)}) nounwind {{\n"
        f"  %info = alloca {integer}\n  store {integer} 0, ptr %info\n"
        + "\n".join(lines)
        + f"\n  call void @tj_fortran_{name}({', '.join(arguments)})\n"
        f"  %found = load {integer}, ptr %info\n{widened}{_wide_integers(kinds, integer)}"
        f"  ret i64 {'%found' if integer == 'i64' else '%wide'}\n}}"
    )


def _wide_integers(kinds: str, integer: str) -> str:
    """Code that makes the integers of an array `n` ones of 64 bits, from the last on."""
    if "n" not in kinds or integer == "i64":
        return ""
    array = f"%a{kinds.index('n')}"
    return (
        "  br label %next\n"
        "next:\n  %left = phi i64 [ %a0, %0 ], [ %i, %one ]\n"
        "  %more = icmp sgt i64 %left, 0\n  br i1 %more, label %one, label %done\n"
        "one:\n  %i = sub i64 %left, 1\n"
        f"  %from = getelementptr {integer}, ptr {array}, i64 %i\n  %narrow = load {integer}, ptr %from\n"
        f"  %integer = sext {integer} %narrow to i64\n"
        f"  %to = getelementptr i64, ptr {array}, i64 %i\n  store i64 %integer, ptr %to\n  br label %next\n"
        "done:\n"
    )
