"""What a process compiles and links with: target machines, the native support library, libraries of object code.

Every library is linked against the support library and the C library. A symbol nobody knows is an error when linking,
never a crash when calling.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import chain
from typing import Any

import llvmlite.binding as llvm

from tracejit import config
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import Module
from tracejit.codegen.products.gemm import HOMES, NUMBERED, PARTS, SPARED
from tracejit.codegen.products.tiles import Shape
from tracejit.codegen.support.allocation import LARGE_BYTES
from tracejit.codegen.support.native import EXPORTS, FINDERS, LAPACK, ORDERING, PRODUCTS, RARE, Platform
from tracejit.codegen.support.pool import NUMBER as POOL
from tracejit.locks import cached_property
from tracejit.runtime import cache as disk
from tracejit.runtime import errands, shared_code
from tracejit.runtime.addresses import address_of
from tracejit.runtime.blas import find_blas
from tracejit.runtime.emission import (
    CALLING,
    WORKING,
    Pool,
    Work,
    full_passes,
    plain_addresses,
)
from tracejit.runtime.images import ARE_USED, Library, image_of
from tracejit.runtime.interrupts import can_poll, put_address, python_symbols
from tracejit.runtime.machines import host_machines, host_options, is_wasm, shared_options, target_machine
from tracejit.runtime.room import asked_already, room_to_compile, room_to_link
from tracejit.runtime.shipped import Shipped, file_of
from tracejit.runtime.stock import Code, Stock, compiled

__all__ = [
    "LARGE_BYTES",
    "Engine",
    "engine",
    "link_support",
    "memory_free_address",
    "memory_fresh_blocks",
    "memory_trim",
]

_C_LIBRARY = (
    "malloc calloc realloc aligned_alloc free memcpy memmove memset memcmp syscall sysconf sched_yield sched_getcpu "
    "sched_getaffinity getpid mmap madvise pthread_create pthread_detach pthread_self pthread_getattr_np "
    "pthread_attr_getstack pthread_attr_destroy bzero malloc_usable_size malloc_size time"
).split()

_MATH = (
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs floor fma fmod "
    "hypot ldexp lgamma log log10 log1p log2 nearbyint nextafter pow remainder rint round roundeven sin sinh sqrt tan "
    "tanh tgamma trunc"
).split()


def parsed(text: str, machine: Any) -> Any:
    """A module of IR text; it says what it is for where that is no machine like this one."""
    room_to_compile(text)
    module = llvm.parse_assembly(text)
    if is_wasm(machine.triple):
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return module


def optimise(module: Any, machine: Any, *, vectorise: bool) -> None:
    """Run the usual passes of level 2."""
    passes, builder = full_passes(machine, vectorise=vectorise)
    passes.run(module, builder)


class Engine:
    """What there is once per process. LLVM objects are not thread-safe: `lock` guards every use of them. A fork waits
    for it."""

    def __init__(self) -> None:
        self.options = host_options()
        self.lock = threading.RLock()
        self._pools: dict[LlvmOptions, Pool] = {}
        self._libraries = 0
        self._platform = Platform.of_triple(llvm.get_process_triple())
        self._rare: dict[str, Any] = {}
        self._products: dict[str, Any] = {}
        self._ordering: dict[int, Any] = {}
        self._parts: dict[tuple[str, str], Any] = {}
        self._resolve = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_void_p)(self._resolved)
        self._shared = shared_options()
        self.shipped = Shipped(file_of(self._shared, self._platform))
        self._stock = Stock(Pool(partial(target_machine, self._shared)), self.shipped)

    @cached_property
    def jit(self) -> Any:
        """LLVM's linker, where images are not used."""
        # JITLink lays the sections of an object in one mapping; RuntimeDyld asks for each apart and aborts the process
        # where the system gives places that code cannot reach from each other
        return llvm.create_lljit_compiler(target_machine(self.options), use_jit_link=True)

    def renew(self) -> None:
        """In a forked child: the threads that were making something are gone."""
        self._stock.renew()

    @cached_property
    def support(self) -> Any:
        """What every program links against; products are compiled meanwhile."""
        data = self._stock.get(shared_code.support(self._platform))
        exports = (*EXPORTS, "tj_poll") if can_poll() else EXPORTS
        symbols = python_symbols(data)
        symbols["tj_ask"] = ctypes.cast(self._resolve, ctypes.c_void_p).value or 0
        return self._linked("support", [data], exports, symbols)

    @cached_property
    def _set_threads(self) -> Callable[[int], None]:
        return ctypes.CFUNCTYPE(None, ctypes.c_int32)(self.support["tj_set_threads"])

    def rare(self, name: str, exports: Sequence[str]) -> Any:
        """A module of the support that few programs need, linked when one first does."""
        with self.lock:
            if name not in self._rare:
                data = self._stock.get(shared_code.rare(name, self._platform))
                self._rare[name] = self._linked(name, [data], exports, uses=[self.support])
            return self._rare[name]

    @cached_property
    def _switch(self) -> Any:
        """The switch of the threads of a BLAS, linked when a product first needs that."""
        blas = find_blas()
        assert blas is not None
        has_switch = blas.switch is not None
        data = self._stock.get(shared_code.switch(has_switch))
        symbols: dict[str, int] = {}
        if blas.switch is not None:
            symbols["tj_blas_get_threads"], symbols["tj_blas_set_threads"] = blas.switch
        return self._linked("switch", [data], ("tj_blas_enter", "tj_blas_leave"), symbols)

    def products(self, name: str) -> Any:
        """The library of the matrix products of a dtype, linked when a program first needs one."""
        with self.lock:
            if name not in self._products:
                self._products[name] = self._link_products(name)
            return self._products[name]

    @cached_property
    def lapack(self) -> Any:
        """The library of LAPACK's routines, linked when a program first needs one."""
        blas = find_blas()
        routines = blas.lapack if blas else {}
        bits = blas.integer_bits if blas else 0
        data = self._stock.get(shared_code.lapack(bits, routines))
        symbols = {f"tj_fortran_{name}": address for name, address in routines.items()}
        return self._linked("lapack", [data], LAPACK, symbols, uses=[self.support])

    def ordering(self, bits: int) -> Any:
        """The library of what orders numbers of so many bits, linked when a program first needs it."""
        with self.lock:
            if bits not in self._ordering:
                data = self._stock.get(shared_code.ordering(bits, self._shared))
                self._ordering[bits] = self._linked(f"ordering.{bits}", [data], ORDERING[bits])
            return self._ordering[bits]

    def _link_products(self, name: str) -> Any:
        objects = [self._stock.get(code) for code in self._of_products(name)]
        exports = (*PRODUCTS[name], *FINDERS[name], *Shape.of(name, self._shared).symbols(name))
        return self._linked(f"products.{name}", objects, exports, uses=[self.support])

    def ahead(self, name: str, parts: Sequence[str]) -> None:
        """Compile what products of a dtype may need, until a program has them; `parts`: the most likely first."""
        tiles, rest = self._of_products(name)
        first, *others = (shared_code.part(part, name, self._shared) for part in parts)
        likely = [tiles, *first, rest]
        for codes in (likely, [*chain(*others), shared_code.rare("pool", self._platform)]):
            self._stock.ahead(codes, lambda: name in self._products, likely=codes is likely)

    def lists_ahead(self) -> None:
        """Compile what programs with lists call."""
        self._stock.ahead([shared_code.rare("lists", self._platform)], lambda: "lists" in self._rare)

    def _of_products(self, name: str) -> tuple[Code, Code]:
        """What every program with products of a dtype needs."""
        has_blas = find_blas() is not None
        return shared_code.tiles(name, self._shared), shared_code.products(name, self._shared, has_blas)

    # -- what is found when native code asks for it ---------------------------------------------------------------

    def _resolved(self, number: int, place: int) -> None:
        """Put the address of the pool's functions, or of a part of the products, where native code looks for it."""
        with asked_already():
            put_address(place, self._pool if number == POOL else partial(self._part, *NUMBERED[number]))

    def _pool(self) -> int:
        return self.rare("pool", ("tj_pool_functions",))["tj_pool_functions"]

    def _part(self, part: str, name: str) -> int:
        home = HOMES.get(part, part)
        with self.lock:
            if (home, name) not in self._parts:
                link = self._by_blas if home == "packed" else self._own
                symbols = [f"tj_{x}_{name}" for x in PARTS if HOMES.get(x, x) == home]
                self._parts[home, name] = link(home, name, symbols)
            return self._parts[home, name][f"tj_{part}_{name}"]

    def _own(self, part: str, name: str, symbols: Sequence[str]) -> Any:
        objects = [self._stock.get(code) for code in shared_code.part(part, name, self._shared)]
        return self._linked(f"{part}.{name}", objects, symbols, uses=[self.support, self._products[name]])

    def _by_blas(self, part: str, name: str, exports: Sequence[str]) -> Any:
        blas = find_blas()
        assert blas is not None
        integer, has_switch = blas.integer_bits, blas.switch is not None
        data = self._stock.get(shared_code.blas(name, integer, has_switch))
        symbols = {f"tj_blas_{f}": address for f, address in blas.functions.items()}
        return self._linked(f"{part}.{name}", [data], exports, symbols, uses=[self.support, self._switch])

    def _resolve_now(self, name: str) -> None:
        """Find the parts of a dtype's products: threads of the pool may not ask for them, because the caller that waits
        for them may hold the interpreter's lock."""
        without = SPARED if find_blas() else (*SPARED, "packed")
        for part in PARTS.keys() - without:
            if (part, name) not in self._parts:
                ctypes.CFUNCTYPE(None)(self._products[name][f"tj_find_{part}_{name}"])()

    def objects(self, options: LlvmOptions, modules: Iterable[Module], *, loops: bool, work: Work) -> list[bytes]:
        """The object code of modules for a CPU, behind those of the `work` that was begun with; `loops`: one has loops
        that gain by LLVM's passes."""
        with self.lock, plain_addresses(not loops):
            return self._pool_of(options).objects(modules, work)

    def alone(self, module: Module) -> bytes:
        """The object code of a module for the CPU of this process, whatever other threads compile meanwhile."""
        return compiled(module, host_machines())

    def assembly(self, options: LlvmOptions, modules: Iterable[Module]) -> str:
        """The assembly of modules for a CPU."""
        modules = tuple(modules)
        with self.lock, plain_addresses(all(module.effort != "full" for module in modules)):
            return self._pool_of(options).assembly(modules)

    def _pool_of(self, options: LlvmOptions) -> Pool:
        if options == self.options:
            return host_machines()
        return self._pools.setdefault(options, Pool(partial(target_machine, options)))

    def compiled(self, text: str, *, optimised: bool) -> bytes:
        """The object code of a module, from the disk where it is known."""
        name = f"module {disk.digest(text)} {optimised} {self._shared}"
        return self._stock.get(Code(name, lambda: Module(text, "full" if optimised else "careful")))

    def has_call_path(self) -> bool:
        """Whether `call_path` only has to be read."""
        return self._stock.has(shared_code.call_path(self._shared))

    def call_path(self) -> bytes:
        """The object code of the function that calls from Python go through."""
        return self._stock.get(shared_code.call_path(self._shared))

    def call_path_at_once(self) -> bytes:
        """The same, compiled in a tenth of the time."""
        return self._stock.get(shared_code.call_path_at_once())

    def _linked(
        self,
        name: str,
        objects: Sequence[bytes],
        exports: Sequence[str],
        symbols: Mapping[str, int] | None = None,
        uses: Iterable[Any] = (),
    ) -> Any:
        """Load object code as one library that may call those it `uses`; gives the addresses of `exports` by name,
        and keeps the code alive."""
        symbols, uses = symbols or {}, tuple(uses)
        if ARE_USED:
            return Library([image_of(data) for data in objects], partial(_found, symbols, uses))
        room_to_link(objects)
        self._libraries += 1  # a name that linking failed with is not free again
        library = llvm.JITLibraryBuilder()
        for data in objects:
            library.add_object_img(data)
        for symbol, address in (*symbols.items(), *(() if uses else _process_symbols().items())):
            library.import_symbol(symbol, address)
        for symbol in exports:
            library.export_symbol(symbol)
        for used in uses:
            library.add_jit_library(used.name)
        return library.link(self.jit, f"{name}.{self._libraries}")

    def link(self, objects: Sequence[bytes], exports: Sequence[str], symbols: Mapping[str, int] | None = None) -> Any:
        """Load object code as one library; gives the addresses of `exports` by name, and keeps the code alive."""
        with self.lock:
            self._set_threads(config.get("num_threads"))
            uses = [self.support]
            for name, needed in RARE.items():
                if any(symbol.encode() in data for data in objects for symbol in needed):
                    uses.append(self.rare(name, needed))
            for name, needed in PRODUCTS.items():
                if any(needed[0].encode() in data for data in objects):
                    uses.append(self.products(name))
                    if any(needed[1].encode() in data for data in objects):
                        self._resolve_now(name)
            if any(b"tj_lapack_" in data for data in objects):
                uses.append(self.lapack)
            uses += (self.ordering(b) for b in ORDERING if any(f.encode() in d for d in objects for f in ORDERING[b]))
            return self._linked("program", objects, exports, symbols, uses)


def assemble(texts: Sequence[str], machine: Any, *, optimised: bool, vectorise: bool = False) -> Any:
    """One module of IR texts: the first goes through the passes where `optimised`, the others stay as they are."""
    modules = [parsed(text, machine) for text in texts]
    if optimised:
        optimise(modules[0], machine, vectorise=vectorise)
    for module in modules[1:]:
        modules[0].link_in(module)
    return modules[0]


def drop_unused(module: Any, machine: Any) -> None:
    """Remove internal functions and variables that nothing uses."""
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0)))


def _found(symbols: Mapping[str, int], uses: Iterable[Library], names: Iterable[str]) -> dict[str, int]:
    """Addresses of what a library needs from outside."""
    known = [symbols, *(used.symbols for used in uses)]
    return {name: next((s[name] for s in known if name in s), 0) or _process_symbol(name) for name in names}


def _process_symbols() -> dict[str, int]:
    """Addresses of the C library functions that code may call; those the system lacks are left out."""
    names = _C_LIBRARY + _MATH + [name + "f" for name in _MATH]
    return {name: address for name in names if (address := _process_symbol(name))}


@cache
def _process_symbol(name: str) -> int:
    """The address of a C library function, or 0. LLVM may call others than those that code names."""
    return next(filter(None, (address_of(library, name) for library in _c_libraries())), 0)


@cache
def _c_libraries() -> list[Any]:
    return [ctypes.CDLL(None) if sys.platform != "win32" else ctypes.cdll.msvcrt, *_mathematics()]


def _mathematics() -> list[Any]:
    """The C library of mathematics, by its usual names: asking the system for the name takes another process."""
    for name in ("libm.so.6", "libm.dylib"):
        try:
            return [ctypes.CDLL(name)]
        except OSError:
            continue
    from ctypes.util import find_library

    found = find_library("m")
    return [] if found is None else [ctypes.CDLL(found)]


def engine() -> Engine:
    """The engine of this process, made by the first thread that asks."""
    if not _engines:
        with _making:
            if not _engines:
                _engines.append(Engine())
    return _engines[0]


def prepare(make: Callable[[], object]) -> None:
    """Begin to make what is made once, such as the `engine`, while the caller does what does not need it."""
    if make not in _prepared and config.get("num_threads") > 1:
        _prepared.add(make)
        errands.begin(partial(_try, make))


def support() -> None:
    """What `prepare` takes to have what every program needs made."""
    _ = engine().support
    host_machines().fill()


def lists() -> None:
    """What `prepare` takes to have what programs with lists call compiled while one is lowered."""
    engine().lists_ahead()


@cache
def products_ahead(name: str, parts: tuple[str, ...]) -> Callable[[], None]:
    """The same for products of a dtype, while a program that multiplies is lowered; `parts` as of `Engine.ahead`."""
    return lambda: engine().ahead(name, parts)


def _try(make: Callable[[], object]) -> None:
    with suppress(Exception), errands.short_turns():  # whoever needs what could not be made meets the same error
        make()


_engines: list[Engine] = []
_making = threading.RLock()
_prepared: set[Callable[[], object]] = set()


def _before_fork() -> None:
    _making.acquire()
    for made in _engines:
        made.lock.acquire()
    WORKING.close()  # behind the lock: whoever has that may have to go through
    CALLING.__enter__()


def _after_fork() -> None:
    CALLING.__exit__(None, None, None)
    WORKING.open()
    for made in _engines:
        made.lock.release()
    _making.release()


def _after_fork_in_child() -> None:
    WORKING.renew()
    for made in _engines:
        made.renew()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


_kept: list[Any] = []  # support code of other parts of the runtime, loaded for good


def link_support(text: str, names: Sequence[str], symbols: Mapping[str, int]) -> tuple[int, ...]:
    """Compile a module of IR text for good; gives the addresses of `names`. `symbols` are addresses it refers to."""
    data = engine().compiled(text, optimised=True)
    return link_object(data, names, symbols)


def link_object(data: bytes, names: Sequence[str], symbols: Mapping[str, int]) -> tuple[int, ...]:
    """Load an object file for good; gives the addresses of `names`. `symbols` are addresses it refers to."""
    linked = engine().link([data], names, symbols)
    _kept.append(linked)
    return tuple(linked[name] for name in names)


def memory_free_address() -> int:
    """The function that returns memory of results of any size."""
    return engine().support["tj_free"]


def memory_trim() -> int:
    """Give cached memory back to the system; the number of bytes."""
    return ctypes.CFUNCTYPE(ctypes.c_int64)(engine().support["tj_trim"])()


def memory_fresh_blocks() -> int:
    """How many large blocks were taken from the system so far; others were served from what calls had freed."""
    return ctypes.CFUNCTYPE(ctypes.c_int64)(engine().support["tj_fresh"])()
