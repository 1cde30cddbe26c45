"""Object code that is made once for all programs, by whoever asks first or ahead of that."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from tracejit import config
from tracejit.codegen.llvm.printer import Module
from tracejit.runtime import cache as disk
from tracejit.runtime import emission, errands
from tracejit.runtime.emission import Pool
from tracejit.runtime.machines import host_options, target_machine
from tracejit.runtime.shipped import Shipped, write
from tracejit.runtime.stock import Code, Stock


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path) -> Iterator[None]:
    with config.override(cache_dir=str(tmp_path)):
        yield
        disk.flush()


def stock(shipped: Shipped | None = None) -> Stock:
    return Stock(Pool(partial(target_machine, host_options())), shipped)


class Counted:
    """Code that counts how often it was made; at first it fails so many times. Where it `waits`, it is begun and goes
    on when that is set."""

    def __init__(self, failures: int = 0, name: str = "counted", waits: threading.Event | None = None) -> None:
        self.made = 0
        self.failures = failures
        self.code = Code(name, self.module)
        self.waits = waits
        self.begun = threading.Event()

    def module(self) -> Module:
        self.made += 1
        self.begun.set()
        if self.waits is not None:
            self.waits.wait(60)
        if self.made <= self.failures:
            raise KeyError("printer")
        return Module("define i64 @f(i64 %x) {\n  ret i64 %x\n}\n")


def never() -> bool:
    return False


def test_code_is_made_once_however_many_threads_ask() -> None:
    counted, here, found = Counted(), stock(), []
    threads = [threading.Thread(target=lambda: found.append(here.get(counted.code))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counted.made, len(found), len(set(found))) == (1, 5, 1)


def test_code_made_ahead_is_there_in_this_process_and_in_others() -> None:
    counted, here = Counted(), stock()
    here.ahead([counted.code, counted.code], never)
    data = here.get(counted.code)
    disk.flush()
    other = stock()
    other.ahead([counted.code], never)
    assert (other.get(counted.code), counted.made) == (data, 1)


def test_nothing_more_is_made_ahead_once_it_is_not_wanted() -> None:
    counted, here = Counted(), stock()
    here.ahead([counted.code], lambda: True)
    assert counted.made == 0


def test_code_that_could_not_be_made_is_tried_again() -> None:
    counted, here = Counted(failures=2), stock()
    for attempt in (here.get, lambda code: here.ahead([code], never)):
        with pytest.raises(KeyError):
            attempt(counted.code)
    assert here.get(counted.code) and counted.made == 3


def test_what_another_thread_makes_is_left_to_it() -> None:
    counted, here = Counted(waits=threading.Event()), stock()
    making = threading.Thread(target=here.get, args=(counted.code,))
    making.start()
    assert counted.begun.wait(60)
    here.ahead([counted.code], never)
    assert counted.waits is not None
    counted.waits.set()
    assert here.get(counted.code) and counted.made == 1
    making.join()


def test_who_waits_makes_meanwhile_what_is_wanted_ahead() -> None:
    here, others = stock(), [Counted(failures=1, name="other"), Counted(name="more"), Counted(name="unwanted")]
    asked = Counted(waits=threading.Event())
    making, waiting = (threading.Thread(target=here.get, args=(asked.code,)) for _ in range(2))
    making.start()
    assert asked.begun.wait(60) and asked.waits is not None
    here._later.extend((other.code, never) for other in others[:2])
    here._later.append((others[2].code, lambda: True))
    waiting.start()
    while here._later:
        time.sleep(0.001)
    asked.waits.set()
    making.join()
    waiting.join()
    assert [counted.made for counted in (*others, asked)] == [1, 1, 0, 1]
    assert here.get(others[0].code) and others[0].made == 2


def test_what_was_shipped_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "some.tjs"
    write(path, {"counted": b"shipped"}, moves=False)
    counted, other, here = Counted(), Counted(name="other"), stock(Shipped(path))
    here.ahead([counted.code, other.code], never)
    assert here.has(counted.code) and here.get(counted.code) == b"shipped"
    assert (counted.made, other.made) == (0, 1)


def test_loops_have_cheap_addresses_also_while_others_compile_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(llvm, "set_option", lambda name, option: said.append(option))
    off, on = "-disable-lsr=true", "-disable-lsr=false"
    with emission.plain_addresses(True), emission.plain_addresses(True):
        assert said == [off]
        with emission.plain_addresses(False), emission.plain_addresses(True):
            assert said == [off, on]
        assert said == [off, on, off]
    assert said == [off, on, off, on]


def test_turns_are_as_long_as_before_once_all_have_compiled() -> None:
    before = sys.getswitchinterval()
    first, second = errands.short_turns(), errands.short_turns()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() < before
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before
