"""Object code of IR modules, several at once while later ones are still being printed.

LLVM works on modules of different contexts at the same time, but llvmlite takes one lock for every call. The three
calls that take long (parsing, passes, code generation) are made here without it, each thread with its own context and
target machine; what is short stays behind the lock.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import Any, Literal

import llvmlite.binding as llvm
from llvmlite.binding import ffi

from tracejit import config
from tracejit.codegen.llvm.printer import Effort, Module
from tracejit.locks import Gate, Lock, cached_property
from tracejit.runtime.errands import Errand, begin, short_turns
from tracejit.runtime.room import has_room_beside, room_to_compile

_FEATURES = ' "target-features"="[^"]*"'


@cache
def begin_llvm() -> None:
    """What LLVM asks for before it compiles."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    # whether what an inner loop reads and writes lies apart is asked for each trip of the loop around it: rows of one
    # matrix do, all of them together do not
    llvm.set_option("tracejit", "-hoist-runtime-checks=false")


class Machines:
    """The target machines that one thread compiles with, made when first needed."""

    def __init__(self, machine: Callable[..., Any]) -> None:
        self._make = machine

    def of(self, effort: Effort) -> Any:
        """The one for modules of that effort."""
        match effort:
            case "full" | "careful":
                return self.careful
            case "plain":
                return self.plain
            case "baseline":
                return self.baseline
            case _:
                return self.quick

    @cached_property
    def careful(self) -> Any:
        """For this CPU."""
        return self._make(level=2)

    @cached_property
    def plain(self) -> Any:
        """For this CPU, without scheduling after registers are allocated."""
        return self._make(level=1)

    @cached_property
    def quick(self) -> Any:
        """For any CPU of the kind: the quick code generator aborts on some vector registers."""
        return self._quick()

    @cached_property
    def baseline(self) -> Any:
        """The same with this CPU's fused operations and roundings, on which results depend."""
        known = llvm.get_host_cpu_features()
        return self._quick(",".join(f"+{name}" for name in ("fma", "sse4.1") if known.get(name)))

    def _quick(self, features: str = "") -> Any:
        begin_llvm()
        target = llvm.Target.from_default_triple()
        return target.create_target_machine(features=features, opt=0, reloc="pic", codemodel="small")


class Pool:
    """Compiles modules by target machines of one kind, which are lent to any number of threads; `machine` makes one of
    a `level`."""

    def __init__(self, machine: Callable[..., Any]) -> None:
        self._make = machine
        self._free: list[Machines] = []

    @contextmanager
    def lent(self) -> Iterator[Machines]:
        """Machines that nobody else uses meanwhile."""
        try:
            machines = self._free.pop()
        except IndexError:
            machines = Machines(self._make)
        yield machines
        self._free.append(machines)  # not where LLVM was left on the way: nobody knows their state

    def fill(self) -> None:
        """Make what a first program needs, while nobody waits for it."""
        with self.lent() as machines:
            _ = machines.careful, machines.quick

    def objects(self, modules: Iterable[Module], work: Work | None = None) -> list[bytes]:
        """The object code of each module, in order, behind those of the `work` that was begun with: by this thread and
        some that it starts."""
        wanted = config.get("num_threads") - 1
        work = work or Work()
        helpers: list[Errand] = []
        with short_turns():
            try:
                for module in modules:
                    work.add(module)
                    if len(helpers) + work.is_begun < wanted:
                        helper = begin(partial(work.run, self))
                        if helper is None:  # no more threads: those there are do it
                            wanted = len(helpers)
                        else:
                            helpers.append(helper)
                work.close()
                work.run(self)
            except BaseException:
                work.stop()
                raise
            finally:
                work.close()
                _wait_for([*helpers, *work.begun], work)
        return work.results()

    def assembly(self, modules: Iterable[Module]) -> str:
        """The assembly of the modules, one after another."""
        with self.lent() as machines:
            return "\n".join(emitted(module, machines, "assembly").decode() for module in modules)


@contextmanager
def plain_addresses(wanted: bool) -> Iterator[None]:
    """Leave addresses in loops as they are spelt: looking for cheaper ones takes LLVM's code generator a fifth of its
    time, and kernels and products gain nothing by it. Loops of Python that became native do: while a thread compiles
    such (not `wanted`), it is looked for them everywhere. LLVM reads this setting of the process when it begins with a
    module."""
    _addresses(wanted, 1)
    try:
        yield
    finally:
        _addresses(wanted, -1)


def _addresses(plain: bool, change: int) -> None:
    with _addressing:
        before = _is_plain()
        _users[plain] += change
        if _is_plain() != before:
            llvm.set_option("tracejit", f"-disable-lsr={'false' if before else 'true'}")


def _is_plain() -> bool:
    return _users[True] > 0 and _users[False] == 0


_addressing = Lock()
_users = {True: 0, False: 0}  #: how many want addresses plain, and how many do not


def _wait_for(helpers: Iterable[Errand], work: Work) -> None:
    """Wait until all have ended, also where Ctrl-C comes meanwhile: what they compile with is used again."""
    interrupt: BaseException | None = None
    for helper in helpers:
        while True:
            try:
                helper.wait()
                break
            except BaseException as error:
                interrupt = error
                work.stop()
    if interrupt is not None:
        raise interrupt


class Work:
    """Modules that wait for a thread, and what became of the others."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, Module]] = deque()
        self._open = True
        self._made: dict[int, bytes] = {}
        self._failures: list[BaseException] = []
        self.count = 0  #: of modules so far
        self.begun: list[Errand] = []  #: threads that were begun ahead
        self.is_begun = False  #: whether one of them is at it

    def add(self, module: Module) -> None:
        """One more module."""
        with self._changed:
            self._waiting.append((self.count, module))
            self.count += 1
            self._changed.notify()

    def ahead(self, module: Module, pool: Pool) -> None:
        """One more module, compiled by another thread while others are still to be made. It waits for `objects` where
        there is no thread or too little room."""
        self.add(module)
        if not self.is_begun and has_room_beside(module.text):
            self.is_begun = True
            errand = begin(partial(self._run_ahead, pool))
            if errand is None:
                self.is_begun = False
            else:
                self.begun.append(errand)

    def close(self) -> None:
        """No more modules."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def stop(self) -> None:
        """Leave what waits undone."""
        with self._changed:
            self._waiting.clear()

    def run(self, pool: Pool) -> None:
        """Compile modules until there will be no more."""
        with pool.lent() as machines:
            while (module := self._next(waits=True)) is not None:
                self._make(*module, machines)

    def _run_ahead(self, pool: Pool) -> None:
        with pool.lent() as machines, short_turns(), plain_addresses(True):
            while (module := self._next(waits=False)) is not None:
                self._make(*module, machines)

    def _next(self, *, waits: bool) -> tuple[int, Module] | None:
        with self._changed:
            while waits and self._open and not self._waiting:
                self._changed.wait()
            if self._waiting:
                return self._waiting.popleft()
            self.is_begun = self.is_begun and waits
            return None

    def _make(self, number: int, module: Module, machines: Machines) -> None:
        try:
            self._made[number] = emitted(module, machines, "object")
        except BaseException as error:
            self._failures.append(error)
            self.stop()

    def results(self) -> list[bytes]:
        """The objects; raises what a module raised."""
        if self._failures:
            raise self._failures[0]
        if len(self._made) < self.count:  # a thread could not even say what it lacked
            raise MemoryError
        return [self._made[i] for i in range(self.count)]


def emitted(module: Module, machines: Machines, kind: Literal["object", "assembly"]) -> bytes:
    """The object code or assembly of one module. Raises RuntimeError where LLVM refuses it."""
    with WORKING:
        is_quick = module.effort in ("quick", "tidied", "baseline")
        machine = machines.of(module.effort)
        context = llvm.create_context()
        try:  # in this order also where Ctrl-C comes between two calls: a module must not outlive its context
            parsed = _parsed(re.sub(_FEATURES, "", module.text) if is_quick else module.text, context)
            try:
                if module.effort in ("full", "tidied", "baseline"):
                    makes = full_passes if module.effort == "full" else tidying_passes
                    passes, builder = makes(machine)
                    _unlocked("LLVMPY_RunNewModulePassManager")(passes, parsed, builder)
                return _emitted(machine, parsed, kind)
            finally:
                parsed.close()
        finally:
            context.close()


#: A fork waits until no thread compiles: LLVM has locks of its own, which would stay closed in the child.
WORKING = Gate()

#: llvmlite's lock, which its calls hold, also those that free something at any time.
CALLING = getattr(ffi.lib, "_lock", nullcontext())


def _emitted(machine: Any, parsed: Any, kind: Literal["object", "assembly"]) -> bytes:
    with ffi.OutputString() as message:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory")(machine, parsed, int(kind == "object"), message)
        if not buffer:
            raise RuntimeError(str(message))
    try:
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def _parsed(text: str, context: Any) -> Any:
    room_to_compile(text)
    with ffi.OutputString() as message:
        made = _unlocked("LLVMPY_ParseAssembly")(context, ctypes.c_char_p(text.encode()), message)
        parsed = llvm.ModuleRef(made, context)
        if message:
            parsed.close()
            raise RuntimeError(f"LLVM IR parsing error\n{message}")
    return parsed


def tidying_passes(machine: Any) -> tuple[Any, Any]:
    """What makes long scalar code half as long, and the builder to run it with."""
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    return passes, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))


def full_passes(machine: Any, *, vectorise: bool = True) -> tuple[Any, Any]:
    """The usual passes of level 3, and the builder they run with. Beside what those of level 2 do, they split loops by
    conditions that stay as they are in them, as checks of what an outer loop counts do."""
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = vectorise
    tuning.slp_vectorization = vectorise
    builder = llvm.create_pass_builder(machine, tuning)
    return builder.getModulePassManager(), builder


@cache
def _unlocked(name: str) -> Any:
    """A function of llvmlite's library that other threads may run at the same time."""
    locked = getattr(ffi.lib, name)
    function = getattr(ctypes.CDLL(ffi.lib._name), name)
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function
