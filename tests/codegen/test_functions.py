"""Graphs that call each other: interpreter, reference evaluator and native code agree; memory is accounted for."""

from __future__ import annotations

import numpy as np
import pytest

from tracejit import ScriptError
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.text import print_program
from tracejit.codegen.walk import ProgramFailure
from tracejit.ir import interpreter
from tracejit.ir.core import Graph
from tracejit.ir.parser import parse
from tracejit.ir.printer import print_graph
from tracejit.runtime.cpu import NativeFailure, compile_program
from tracejit.transforms import pipeline

HEAD = """
  %zero = const() {value = 0, type = !i64} : i64
  %one = const() {value = 1, type = !i64} : i64
"""

FIB = """graph @main(%n: i64) on cpu { %f = call(%n) {callee = @fib} : i64 yield %f }
graph @fib(%n: i64) on cpu {
  %one = const() {value = 1, type = !i64} : i64
  %two = const() {value = 2, type = !i64} : i64
  %small = le(%n, %one) : bool
  %f = if(%small) : i64 {
    then(): yield %n
    else():
      %a = sub(%n, %one) : i64
      %b = sub(%n, %two) : i64
      %c = call(%a) {callee = @fib} : i64
      %d = call(%b) {callee = @fib} : i64
      %e = add(%c, %d) : i64
      yield %e
  }
  yield %f
}"""

#: Writes i at place i, from n - 1 down to 0, in the caller's memory; raises at 99.
FILL = f"""graph @main(%x: inout f64[m], %n: i64) on cpu {{
  %y = call(%x, %n) {{callee = @fill}} : f64[m]
  yield %y
}}
graph @fill(%x: inout f64[m], %n: i64) on cpu {{ {HEAD}
  %more = gt(%n, %zero) : bool
  %y = if(%more) : f64[m] {{
    then():
      %i = sub(%n, %one) : i64
      %v = cast(%i) {{dtype = f64}} : f64
      %wrong = const() {{value = 99, type = !i64}} : i64
      %fine = ne(%i, %wrong) : bool
      %x1 = index_update(%x, %v, %i) : f64[m]
      check(%fine, %i) {{kind = "ValueError", message = "at {{0}}"}}
      %x2 = call(%x1, %i) {{callee = @fill}} : f64[m]
      yield %x2
    else(): yield %x
  }}
  yield %y
}}"""

#: Pushes n, n - 1, ... 1 to a list that is passed along, `made` to one that the callee makes anew.
PUSH = f"""graph @main(%n: i64) on cpu {{ {HEAD}
  %l = list_new() {{element = !i64}} : list<i64>
  %l1 = call(%l, %n) {{callee = @push}} : list<i64>
  %l2 = call(%l1, %n) {{callee = @renew}} : list<i64>
  %count = list_len(%l2) : i64
  %l3, %last = list_pop(%l2) : list<i64>, i64
  yield %count, %last
}}
graph @push(%l: inout list<i64>, %n: i64) on cpu {{ {HEAD}
  %more = gt(%n, %zero) : bool
  %l1 = if(%more) : list<i64> {{
    then():
      %l2 = list_push(%l, %n) : list<i64>
      %i = sub(%n, %one) : i64
      %l3 = call(%l2, %i) {{callee = @push}} : list<i64>
      yield %l3
    else(): yield %l
  }}
  yield %l1
}}
graph @renew(%l: inout list<i64>, %n: i64) on cpu {{ {HEAD}
  %more = gt(%n, %zero) : bool
  %l1 = if(%more) : list<i64> {{
    then():
      %fresh = list_new() {{element = !i64}} : list<i64>
      %l2 = list_push(%fresh, %n) : list<i64>
      %i = sub(%n, %one) : i64
      %l3 = call(%l2, %i) {{callee = @renew}} : list<i64>
      yield %l3
    else():
      %l4 = list_push(%l, %one) : list<i64>
      yield %l4
  }}
  yield %l1
}}"""


RENEW_THROUGH_OTHERS = f"""graph @main(%n: i64) on cpu {{ {HEAD}
  %l = list_new() {{element = !i64}} : list<i64>
  %l1 = list_push(%l, %n) : list<i64>
  %l2 = call(%l1, %n) {{callee = @twice}} : list<i64>
  %l3 = call(%l2, %n) {{callee = @twice}} : list<i64>
  %count = list_len(%l3) : i64
  %l4, %last = list_pop(%l3) : list<i64>, i64
  yield %count, %last
}}
graph @twice(%l: inout list<i64>, %n: i64) on cpu {{ {HEAD}
  %more = gt(%n, %zero) : bool
  %l1 = if(%more) : list<i64> {{
    then():
      %i = sub(%n, %one) : i64
      %l2 = call(%l, %i) {{callee = @twice}} : list<i64>
      %l3 = call(%l2, %n) {{callee = @renewed}} : list<i64>
      %l4 = call(%l3, %i) {{callee = @twice}} : list<i64>
      yield %l4
    else(): yield %l
  }}
  yield %l1
}}
graph @renewed(%l: inout list<i64>, %n: i64) on cpu {{ {HEAD}
  %count = list_len(%l) : i64
  %fresh = list_new() {{element = !i64}} : list<i64>
  %l2 = list_push(%fresh, %count) : list<i64>
  %l3 = list_push(%l2, %n) : list<i64>
  yield %l3
}}"""


def program(graph: Graph) -> Program:
    return lower(pipeline.run(graph, [*pipeline.LEVEL1, *pipeline.LEVEL2]))


CASES = [
    (FIB, [12]),
    (FILL, [np.zeros(5), 4]),
    (PUSH, [5]),
    (PUSH, [0]),
    (RENEW_THROUGH_OTHERS, [0]),
    (RENEW_THROUGH_OTHERS, [3]),
]


@pytest.mark.parametrize("text, inputs", CASES)
def test_all_evaluators_agree(text, inputs):
    graph = parse(text)
    assert print_graph(parse(print_graph(graph))) == print_graph(graph)
    expected = interpreter.run(graph, inputs)
    lowered = program(graph)
    given = [[x.copy() if isinstance(x, np.ndarray) else x for x in inputs] for _ in range(2)]
    for run, own in ((lambda x: evaluate(lowered, x), given[0]), (compile_program(lowered).call, given[1])):
        found = run(own)
        written = [own[i] for i in graph.inout]
        for a, b in zip([*found, *written], expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_was_written_before_a_failure_stays():
    lowered = program(parse(FILL))
    x = np.full(101, -1.0)
    with pytest.raises(NativeFailure, match="at 99"):
        compile_program(lowered).call([x, 101])
    assert (x[98], x[99], x[100]) == (-1.0, 99.0, 100.0)
    y = np.full(101, -1.0)
    with pytest.raises(ProgramFailure):
        evaluate(lowered, [y, 101])
    np.testing.assert_array_equal(x, y)


def test_lists_that_stay_the_same_are_lent_and_others_move():
    text = print_program(program(parse(PUSH)))
    assert "invoke push.1(l, n) else" in text
    assert "moving" in text and "invoke renew.2(l, n) moving l else" in text


def test_lists_move_through_functions_whose_callees_make_others():
    text = print_program(program(parse(RENEW_THROUGH_OTHERS)))
    assert "invoke twice.1(l, n) moving l else" in text
    assert "return l1 moving l" in text


def test_functions_are_part_of_the_text_that_keys_the_cache():
    one, two = print_program(program(parse(FIB))), print_program(program(parse(FIB.replace("le(", "lt("))))
    assert one != two


def test_the_device_has_no_functions():
    with pytest.raises(ScriptError, match="run on the CPU only"):
        lower(pipeline.run(parse(FIB.replace("on cpu", "on cuda")), pipeline.LEVEL1), "cuda")
