"""Native support put together: what all programs link against, what few do, and the small functions inside programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.text import FOOTER, once
from tracejit.codegen.products import gemm
from tracejit.codegen.products.blas import blas_text
from tracejit.codegen.products.direct import direct_text
from tracejit.codegen.products.dots import dots_text
from tracejit.codegen.products.few import few_text
from tracejit.codegen.products.laid import laid_text
from tracejit.codegen.products.line import line_text
from tracejit.codegen.products.panels import panels_once_text, panels_text
from tracejit.codegen.products.tall import tall_text
from tracejit.codegen.products.tiny import tiny_text
from tracejit.codegen.products.turn import turn_text
from tracejit.codegen.support import allocation as support_allocation
from tracejit.codegen.support import lapack, ordering
from tracejit.codegen.support import lists as support_lists
from tracejit.codegen.support import memory as support_memory
from tracejit.codegen.support import pool as support_pool
from tracejit.codegen.support import stack as support_stack
from tracejit.codegen.support import zeros as support_zeros
from tracejit.records import record

#: Small functions that a module with loops defines for itself, so that LLVM sees through them.
INLINE: dict[str, str] = support_memory.INLINE | support_lists.INLINE

#: What a program or the host may use of the support module that every program links against.
EXPORTS = (
    *("tj_alloc", "tj_free", "tj_trim", "tj_fresh", "tj_owned_grow", "tj_owned_forget", "tj_release"),
    *support_memory.INLINE.keys(),
    *("tj_output", "tj_print", "tj_list_free", "tj_list_free_slots", "tj_share", "tj_share_tiles", "tj_set_threads"),
    "tj_zero",
)

#: What programs use of the modules that are linked when one first does, by module.
RARE = {
    "lists": ("tj_list_new", "tj_list_grow", "tj_list_copy", *support_lists.INLINE.keys()),
    "stack": ("tj_stack_limit",),
}

#: The functions of each library of matrix products that programs call, and those that find its parts.
PRODUCTS = {
    name: tuple(f"tj_gemm_{name}{of}" for of in ("", "_inner", "_room", "_lay", "_laid")) for name in gemm.DTYPES
}
FINDERS = {name: tuple(f"tj_find_{part}_{name}" for part in gemm.PARTS) for name in gemm.DTYPES}

#: What orders numbers of so many bits, each a library of its own, which is linked when a program first calls it.
ORDERING = {bits: tuple(f"tj_{name}" for name in calls) for bits, calls in ordering.CALLS.items()}

#: Functions that a library of its own has, which is linked when a program first calls one.
LAPACK = tuple(f"tj_lapack_{name}" for name in lapack.ROUTINES)


@record
class Platform:
    """An operating system and machine as LLVM's triples name them; `threads`: whether parallel loops use some."""

    system: str
    machine: str
    threads: bool = True

    @staticmethod
    def of_triple(triple: str) -> Platform:
        """The platform of `x86_64-unknown-linux-gnu` and the like."""
        machine = triple.split("-")[0]
        systems = [s for s in ("linux", "darwin", "windows") if s in triple]
        return Platform(systems[0] if systems else "", "aarch64" if machine == "arm64" else machine)

    @property
    def threads_of(self) -> str:
        """The system whose threads parallel loops use."""
        return self.system if self.threads else ""


def support_text(platform: Platform, outside: str | None = None) -> str:
    """All support but matrix products as one module; `outside` declares `tj_alloc`, `tj_free` and `tj_threads` where
    others define them."""
    parts = [*_common(platform, outside, is_later=False), *(_rare(name, platform) for name in ("pool", *RARE))]
    return once("\n".join(parts)) + FOOTER


def process_text(platform: Platform) -> str:
    """The support module that every program of a process links against; it finds the pool by `@tj_resolve`."""
    return once("\n".join(_common(platform, is_later=True))) + FOOTER


def rare_text(name: str, platform: Platform) -> str:
    """A module of `RARE` that is linked beside it, or the `pool`, of which the process needs `@tj_pool_functions`."""
    return once(_rare(name, platform) + (support_pool.table_text() if name == "pool" else "")) + FOOTER


def _common(platform: Platform, outside: str | None = None, *, is_later: bool) -> list[str]:
    return [
        support_allocation.allocation_text(platform.system) + support_pool.COUNT if outside is None else outside,
        support_memory.OWNERSHIP_SLOW,
        support_memory.OUTPUT,
        support_memory.PRINT,
        support_lists.FREE,
        _called(support_memory.INLINE),
        support_zeros.ZERO,
        support_pool.launch_text(platform.threads_of, platform.machine, is_later=is_later),
    ]


def _rare(name: str, platform: Platform) -> str:
    match name:
        case "pool":
            return support_pool.pool_text(platform.threads_of, platform.machine)
        case "lists":
            return support_lists.LISTS_TEXT + _called(support_lists.INLINE)
        case _:
            return support_stack.stack_text(platform.system, platform.machine)


def _called(inline: Mapping[str, str]) -> str:
    """Small functions as programs call them that do not define them for themselves."""
    return "\n".join(t.replace("define internal", "define").replace("alwaysinline ", "") for t in inline.values())


def gemm_module(options: LlvmOptions, names: Sequence[str] = gemm.DTYPES) -> str:
    """The module of all that the matrix products of some dtypes need; it needs no passes."""
    texts = [gemm.gemm_text(name, options) for name in names]
    for name in names:
        texts.append(direct_text(name, options))
        texts += [text(name, options) for part, text in _PARTS.items() if part not in gemm.LARGE]
        texts += [text(name, options) for text in ONCE.values()]
    return once("\n".join(texts)) + FOOTER


def ordering_modules(text: str, options: LlvmOptions) -> list[str]:
    """The modules of what a program, printed, calls to put numbers in order."""
    needed = (bits for bits, names in ORDERING.items() if any(f"@{name}(" in text for name in names))
    return [ordering.ordering_module(bits, options) for bits in needed]


def products_module(name: str, options: LlvmOptions, has_blas: bool) -> str:
    """The module of the products of one dtype in a process, which finds its tiles and the parts of `gemm.PARTS` in
    others."""
    return once(gemm.gemm_text(name, options, has_blas=has_blas, is_lazy=True)) + FOOTER


def blas_module(name: str, integer_bits: int, has_switch: bool) -> str:
    """The part `packed` of the products of one dtype, by a BLAS with integers of that width; `has_switch`: a thread may
    choose the number of its threads."""
    return once(blas_text(name, f"i{integer_bits}", has_switch)) + FOOTER


def tiles_module(name: str, options: LlvmOptions) -> str:
    """The module of the register tiles of one dtype."""
    return once(direct_text(name, options)) + FOOTER


def part_module(part: str, name: str, options: LlvmOptions) -> str:
    """The module of a part of the products of one dtype."""
    return once(_PARTS[part](name, options)) + FOOTER


def part_once_module(part: str, name: str, options: LlvmOptions) -> str:
    """The module of what runs once a product, of a part of ONCE."""
    return once(ONCE[part](name, options)) + FOOTER


#: Parts of which what runs once a product is a module of its own.
ONCE = {"panels": panels_once_text}


#: What prints each part of the products of a dtype.
_PARTS = {
    "panels": panels_text,
    "few": few_text,
    "dots": dots_text,
    "line": line_text,
    "tiny": tiny_text,
    "tall": tall_text,
    "turn": turn_text,
    "laid": laid_text,
}
