"""`try` in scripts does what it does in plain Python: values, writes, prints, errors and their lines."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import script

# The programs are written as users write them.
# ruff: noqa: E701, E702, SIM105, SIM117, TRY, B904, PLR, RET, F841, C416, PIE790


class MyErr(Exception):
    def __init__(self, code, msg):
        self.code = code
        self.msg = msg


class Sub(MyErr):
    pass


class CM:
    def __init__(self):
        self.log = 0

    def __enter__(self):
        self.log += 1
        return self

    def __exit__(self, *a):
        self.log += 10


class Thing:
    def __init__(self):
        self.v = 0
        self.items = [1]


def attributes_of_the_error(x, n):
    try:
        if n > 1:
            raise MyErr(n, "hi")
        r = 0
    except MyErr as e:
        r = e.code * 2
    return r


def a_class_below(x, n):
    try:
        if n > 1:
            raise Sub(n, "hi")
        r = 0
    except Exception as e:
        r = 5
    return r


def managers_are_left(x, n):
    c = CM()
    try:
        with c:
            if n > 1:
                raise ValueError
            c.log += 100
    except ValueError:
        c.log += 1000
    return c.log


def attributes_set_before(x, n):
    o = Thing()
    try:
        o.v = 1
        o.v = 10 // n
        o.v = 2
    except ZeroDivisionError:
        o.v += 50
    return o.v


def helpers_that_finish(x, n):
    def safe(i):
        try:
            return x[i]
        except IndexError:
            return 0.0
        finally:
            x[0] += 1

    return safe(n) + safe(n + 1) + safe(n + 2)


def writes_before(x, n):
    try:
        x[1] = 5
        x[n] = 6
        x[2] = 7
    except IndexError:
        x[3] = 8


def views_bound_before(x, n):
    y = x
    try:
        y = x[:2]
        z = y[n]
        y = x[2:]
    except IndexError:
        pass
    y[0] = 99
    return y.sum()


def an_outer_handler(x, n):
    try:
        try:
            v = x[n]
        except KeyError:
            v = 1.0
    except IndexError:
        v = 2.0
    return v


def lists_that_grew(x, n):
    r = []
    try:
        r.append(1)
        for i in range(n):
            try:
                r.append(10 // (i - 2))
            except ZeroDivisionError:
                r.append(-1)
                if n > 5:
                    raise ValueError("x")
        r.append(2)
    except ValueError:
        r.append(3)
    finally:
        r.append(4)
    return r


def returns_and_finally(x, n):
    try:
        if n == 0:
            return 1
        if n == 1:
            raise ValueError
        return 2
    except ValueError:
        return 3
    finally:
        x[0] += 10


def jumps_and_finally(x, n):
    for i in range(5):
        try:
            if i < n:
                continue
            x[i] += 1
            if i == 3:
                break
        finally:
            x[0] += 10
    return i


def the_text_of_an_index_error(x, n):
    try:
        v = x[n]
    except IndexError as e:
        print(e, repr(e), type(e).__name__)
        v = 0.0
    return v


def several_places(x, n):
    try:
        v = x[n] + x[n + 1] + x[n + 2]
    except Exception as e:
        v = -1.0
    return v


def inside_expressions(x, n):
    try:
        a, b = (n, 1)
        c = a if n > 2 else x[n + 9]
        d = [x[k] for k in range(n)]
        e = sum(d)
    except IndexError:
        e = -5.0
    return e


def a_loop_that_only_raises(x, n):
    s = 0
    while True:
        try:
            s += 1
            if s > n:
                raise ValueError
        except ValueError:
            return s


def the_name_of_the_error(x, n):
    e = 5
    try:
        if n:
            raise ValueError("q")
    except ValueError as e:
        pass
    try:
        return e
    except UnboundLocalError:
        return -1


def raised_in_a_handler(x, n):
    try:
        try:
            if n:
                raise ValueError("q")
        except ValueError:
            raise KeyError("inner")
        finally:
            x[1] = -1
    except KeyError:
        return 1
    return 0


def arguments_of_the_error(x, n):
    try:
        if n > 1:
            raise ValueError(n)
    except ValueError as e:
        return e.args[0] + 1
    return 0


def continue_in_a_handler(x, n):
    best = None
    for i in range(4):
        try:
            v = 12 // (i - n)
        except ZeroDivisionError:
            continue
        if best is None or v > best:
            best = v
    return best


def errors_of_helpers(x, n):
    def parse(k):
        if k < 0:
            raise ValueError("negative")
        if k > 3:
            raise IndexError("large")
        return x[k]

    out = 0.0
    for k in (-1, n, 9):
        try:
            out += parse(k)
        except ValueError:
            out += 100
        except IndexError:
            out += 1000
        else:
            out += 0.5
        finally:
            out *= 2
    return out


def shapes(x, n):
    try:
        y = x.reshape(n, 2)
    except ValueError:
        return -1.0
    return y[0, 1]


def shapes_of_products(x, n):
    try:
        y = x @ np.ones(n)
    except ValueError:
        y = 3.0
    return y


def lists_of_objects(x, n):
    o = Thing()
    try:
        o.items.append(n)
        o.w = 10 // n
        o.items.append(2)
    except ZeroDivisionError:
        o.items.append(-1)
    return o.items


def lists(x, n):
    try:
        xs = [1, 2, 3]
        v = xs[n]
        xs.append(v)
    except IndexError:
        v = -1
    return v


def keys_of_dicts(x, n):
    d = {}
    for i in range(n):
        try:
            d[i % 3] += 1
        except KeyError:
            d[i % 3] = 1
    return d


def none_where_it_fails(x, n):
    try:
        return int(x[n])
    except (IndexError, ValueError):
        return None


def assertions(x, n):
    res = 0
    try:
        res = 1
        if n >= 3:
            raise AssertionError("")
        res = 2
        if n >= 2:
            raise AssertionError(f"n={n}")
        res = 3
    except AssertionError as e:
        return res, str(e)
    return res, "none"


def out_of_a_loop(x, n):
    try:
        for i in range(n):
            x[i] = i
    except IndexError:
        return -1
    return int(x.sum())


def many_handlers(x, n):
    s = 0
    try:
        if n == 1:
            raise KeyError("k")
        s = 1
        if n == 2:
            raise ValueError("v")
        s = 2
    except KeyError:
        s += 10
    except (ValueError, TypeError):
        s += 20
    finally:
        s += 100
    return s


def raised_in_a_function(x, n):
    def h(k):
        if k > 2:
            raise ValueError("in h")
        return k * 2

    try:
        v = h(n) + h(n + 1)
    except ValueError:
        v = -1
    return v


def texts(x, n):
    try:
        if n > 1:
            raise ValueError(f"n is {n}")
        return "ok"
    except ValueError as e:
        return str(e)


def finally_in_between(x, n):
    try:
        try:
            if n == 1:
                raise KeyError("a")
            if n == 2:
                raise ValueError("b")
            r = 0
        except KeyError:
            r = 1
        finally:
            x[0] = 7
        r += 5
    except ValueError:
        r = 2
    return r


def raised_again(x, n):
    try:
        if n == 1:
            raise KeyError("a")
    except KeyError:
        raise
    finally:
        x[0] = 9
    return n


def handled_or_raised_again(n):
    try:
        if n > 1:
            raise ValueError("in the helper")
    except ValueError:
        if n == 3:
            raise
    return n


def raised_again_behind_a_helper(x, n):
    try:
        if n > 0:
            raise KeyError("a")
    except KeyError:
        x[0] = handled_or_raised_again(n)
        raise
    return n


def a_loop_until_it_fails(x, n):
    while True:
        try:
            n -= 1
            if n < 0:
                raise StopIteration
            x[n] += 1
        except IndexError:
            continue
        except StopIteration:
            break
    return n


def appended_before(x, n):
    xs = []
    try:
        for i in range(5):
            xs.append(10 // (n - i))
    except ZeroDivisionError:
        xs.append(-1)
    return xs


def broadcasting(x, n):
    try:
        y = x + np.ones(n)
    except ValueError:
        y = x
    return y


def a_key(x, n):
    d = {"a": 1}
    try:
        v = d["b"]
    except KeyError:
        v = 3
    return v


def prints(x, n):
    try:
        assert n > 1, "no"
        print("in", n)
    except AssertionError:
        print("caught")
    finally:
        print("fin")
    return n


def uncaught_behind_finally(x, n):
    try:
        return 10 // n
    finally:
        x[0] = 5


def zero_division_in_trips(x, n):
    r = 0
    for i in range(3):
        try:
            if i == n:
                break
            r += 10 // (i - 1) if i != 1 else 100 // (n - n)
        except ZeroDivisionError:
            r += 1000
        finally:
            r += 1
    return r


def mathematics(x, n):
    try:
        import math

        return math.sqrt(-n)
    except ValueError:
        return -1.0


def a_conditional_expression(x, n):
    try:
        v = x[n] if n > 1 else x[n + 10]
    except IndexError:
        v = 0.5
    return v


PROGRAMS = [
    attributes_of_the_error,
    a_class_below,
    managers_are_left,
    attributes_set_before,
    helpers_that_finish,
    writes_before,
    views_bound_before,
    an_outer_handler,
    lists_that_grew,
    returns_and_finally,
    jumps_and_finally,
    the_text_of_an_index_error,
    several_places,
    inside_expressions,
    a_loop_that_only_raises,
    the_name_of_the_error,
    raised_in_a_handler,
    arguments_of_the_error,
    continue_in_a_handler,
    errors_of_helpers,
    shapes,
    shapes_of_products,
    lists_of_objects,
    lists,
    keys_of_dicts,
    none_where_it_fails,
    assertions,
    out_of_a_loop,
    many_handlers,
    raised_in_a_function,
    texts,
    finally_in_between,
    raised_again,
    raised_again_behind_a_helper,
    a_loop_until_it_fails,
    appended_before,
    broadcasting,
    a_key,
    prints,
    uncaught_behind_finally,
    zero_division_in_trips,
    mathematics,
    a_conditional_expression,
]


def outcome(fn: Any, n: int, capsys: pytest.CaptureFixture[str]) -> Any:
    x = np.arange(4.0)
    line = 0
    try:
        result = fn(x, n)
    except Exception as error:
        result = type(error), str(error)
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
    result = result.tolist() if isinstance(result, np.ndarray) else result
    return result, x.tolist(), line, capsys.readouterr().out


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_compiled_is_plain_python(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    compiled = script(program)
    for n in (0, 1, 2, 3, 4, 7):
        assert outcome(compiled, n, capsys) == outcome(program, n, capsys)
    assert compiled.compiles <= 2


def limited(w: Any, n: int) -> Any:
    total = (w * 0.0).sum()
    for i in range(n):
        try:
            if i == 2:
                raise ValueError
            total = total + w[i] * w[i]
        except ValueError:
            total = total * w[0]
        except IndexError:
            break
        finally:
            total = total + w.sum()
    return total


@pytest.mark.parametrize("n", [1, 3, 4, 6])
def test_derivatives_follow_the_path(n: int) -> None:
    found = tj.check(lambda w: limited(w, n), np.array([1.5, -0.5, 2.0, 0.25]))
    assert found.ok, found


def test_what_a_helper_raised_is_no_error_of_the_call() -> None:
    @script
    def step(w: tj.Tensor, x: tj.Tensor, n: int) -> Any:
        try:
            loss = (w * x[n]).sum()
        except IndexError:
            loss = (w * w).sum()
        loss.backward()
        return loss

    for n, expected in ((0, [3.0, 3.0]), (5, [2.0, 4.0])):
        w = tj.tensor([1.0, 2.0], requires_grad=True)
        step(w, tj.tensor([3.0, 4.0]), n)
        assert w.grad.tolist() == expected
