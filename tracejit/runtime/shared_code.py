"""The code that all programs share, as `Code` to be made: the support, the path of calls, products of matrices, what
orders numbers.

What depends on the processor is made for its level (`machines.shared_options`), the rest for any of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import product

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import Module
from tracejit.codegen.llvm.text import joined
from tracejit.codegen.products import gemm
from tracejit.codegen.products.blas import switch_text
from tracejit.codegen.support.lapack import ROUTINES, lapack_module
from tracejit.codegen.support.native import (
    ONCE,
    ORDERING,
    RARE,
    Platform,
    blas_module,
    part_module,
    part_once_module,
    process_text,
    products_module,
    rare_text,
    tiles_module,
)
from tracejit.codegen.support.ordering import ordering_module
from tracejit.runtime.callable_type import HEADER
from tracejit.runtime.interrupts import can_poll, poll_text, resolve_text
from tracejit.runtime.stock import Code


def _quick(name: str, text: Callable[[], str]) -> Code:
    """Long scalar code, compiled with little effort, in a tenth of the time, for any processor of the kind: the quick
    code generator aborts on some vector registers."""
    return Code(f"quick {name}", lambda: Module(text(), "tidied"))


def _plain(name: str, text: Callable[[], str], options: LlvmOptions) -> Code:
    """Code that is good as it is printed."""
    return Code(f"{name} {options}", lambda: Module(text(), "plain"))


def _thorough(name: str, text: Callable[[], str], options: LlvmOptions) -> Code:
    """Code compiled with all effort."""
    return Code(f"thorough {name} {options}", lambda: Module(text(), "full"))


def support(platform: Platform) -> Code:
    """What every program links against."""
    texts = [partial(process_text, platform), resolve_text, *([poll_text] if can_poll() else [])]
    return _quick(f"support {platform}, {can_poll()}", lambda: joined(text() for text in texts))


def rare(name: str, platform: Platform) -> Code:
    """A module of the support that few programs need."""
    return _quick(f"{name} {platform}", lambda: rare_text(name, platform))


def products(name: str, options: LlvmOptions, has_blas: bool) -> Code:
    """The products of a dtype."""
    text = partial(products_module, name, options, has_blas)
    return _quick(f"products {name} {options} {has_blas}", text)


def tiles(name: str, options: LlvmOptions) -> Code:
    """The part of the products of a dtype that every program with products needs."""
    return _plain(f"tiles {name}", partial(tiles_module, name, options), options)


def part(part: str, name: str, options: LlvmOptions) -> list[Code]:
    """A part of the products of a dtype that is linked when it is needed."""
    codes = [_plain(f"part {part} {name}", partial(part_module, part, name, options), options)]
    if part in ONCE:
        codes.append(_quick(f"{part} {name} {options}", partial(part_once_module, part, name, options)))
    return codes


def blas(name: str, integer_bits: int, has_switch: bool) -> Code:
    """The part of the products of a dtype that hands them to a BLAS."""
    text = partial(blas_module, name, integer_bits, has_switch)
    return _quick(f"blas {name} {integer_bits} {has_switch}", text)


def switch(has_switch: bool) -> Code:
    """The switch of the threads of a BLAS."""
    return _quick(f"switch {has_switch}", partial(switch_text, has_switch))


def lapack(integer_bits: int, routines: Collection[str]) -> Code:
    """LAPACK's routines."""
    text = partial(lapack_module, integer_bits, routines)
    return _quick(f"lapack {integer_bits} {sorted(routines)}", text)


def ordering(bits: int, options: LlvmOptions) -> Code:
    """What orders numbers of so many bits."""
    return _plain(f"ordering {bits}", partial(ordering_module, bits, options), options)


def call_path(options: LlvmOptions) -> Code:
    """The function that calls from Python go through, of interpreters whose objects begin as this one's do."""
    return _thorough(f"call {HEADER}", _call_text, options)


def call_path_at_once() -> Code:
    """The same for the first calls, until that is made."""
    return _quick(f"call {HEADER}", _call_text)


def _call_text() -> str:
    from tracejit.runtime import dispatch_ir

    return dispatch_ir.module_text()


def everything(options: LlvmOptions, platform: Platform) -> Iterator[Code]:
    """All that programs may ask for on machines with those options, whatever BLAS they have."""
    yield support(platform)
    yield call_path(options)
    yield from (rare(name, platform) for name in ("pool", *RARE))
    yield from (switch(has_switch) for has_switch in (False, True))
    yield from (lapack(bits, ROUTINES) for bits in (32, 64))
    yield from (ordering(bits, options) for bits in ORDERING)
    for name in gemm.DTYPES:
        yield tiles(name, options)
        for has_blas in (False, True):
            yield products(name, options, has_blas)
        yield from (blas(name, bits, has_switch) for bits, has_switch in product((32, 64), (False, True)))
        for home in sorted({gemm.HOMES.get(p, p) for p in gemm.PARTS} - {"packed"}):
            yield from part(home, name, options)
