"""What was written into arguments before an error stays written, on every path, and conditions may write."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.cases import A, Cases, run

case = Cases()


@case((A(5), 0), (A(5), 3))
def branch_that_raises(a, k):
    if k > 0:
        a[0] = 5.0
        raise ValueError("too large")
    return a.sum()


@case((A(5), 0), (A(5), 3))
def branch_that_raises_beside_one_that_writes(a, k):
    if k > 0:
        a[0] = 5.0
        raise ValueError("too large")
    else:
        a[1] = 2.0
    return a.sum()


@case((A(5), 1), (A(5), 3), (A(5), 4))
def nested_branches(a, k):
    if k > 2:
        a *= 2
        if k == 3:
            a += 1
            raise ValueError("three")
        a[0] = 1
    return a.sum()


@case((A(5), 0), (A(5), 3))
def unknown_name_at_the_end(a, k):
    if k == 0:
        return 1.0
    a[1:] = 1.0
    return missing  # noqa: F821


@case((A(5), 0), (A(5), 3))
def loop_whose_end_is_never_reached(a, k):
    for i in range(k):
        a[i] = 5.0
        raise ValueError("at once")
    return a.sum()


@case((A(5), 1), (A(5), 3))
def branch_in_a_loop(a, k):
    for i in range(k):
        if i == 2:
            a[i] = 5.0
            raise ValueError("two")
        a[i] = 3.0
    return 1.0


@case((A(5), 1), (A(5), 3))
def branch_in_a_while(a, k):
    while k > 0:
        a[0] = 5.0
        if k > 1:
            a[1] = 6.0
            raise ValueError("more than one")
        k -= 1
    return a.sum()


def always_raises(view):
    view[2] = 7.0
    raise ValueError("always")


@case((A(5), 0), (A(5), 3))
def helper_that_always_raises(a, k):
    rest = a[1:]
    return always_raises(rest) if k > 0 else 1.0


def raises_at_the_bottom(a, k):
    if k == 0:
        a[0] = 9.0
        raise ValueError("bottom")
    a[k] = 7.0
    raises_at_the_bottom(a, k - 1)


@case((A(5), 3))
def recursion_that_always_raises(a, k):
    raises_at_the_bottom(a, k)


def may_raise(a, k):
    if k == 0:
        return 1.0
    a[k] = 7.0
    if k == 2:
        a[0] = 9.0
        raise ValueError("two")
    return may_raise(a, k - 1)


@case((A(5), 1), (A(5), 3))
def recursion_that_raises_on_one_path(a, k):
    return may_raise(a, k)


def set_and_look(a, i):
    a[i] = 9.0
    return a[i * 4] > 0


@case((A(9), 1), (A(9), 2), (A(9), 3), (A(9), 6))
def condition_that_writes(a, k):
    i = 0
    while set_and_look(a, i):
        i += 1
        if i == k:
            break
    return 1.0


@case((A(9), 1), (A(9), 2), (A(9), 3), (A(9), 6))
def condition_that_writes_where_another_holds(a, k):
    i = 0
    while i < 5 and set_and_look(a, i):
        i += 1
        if i == k:
            break
    return i


# -- memory whose old content is read later ------------------------------------------------------------------------


@case((A(5), 1), (A(5), 3))
def old_content_read_by_the_write(a, k):
    a[::-1] = a
    a[k * 4] = 1.0


@case((A(5), 0), (A(5), 1), (A(5), 3))
def old_content_read_by_the_write_in_a_branch(a, k):
    if k > 0:
        a[::-1] = a
        a[k * 4] = 1.0
    return 2.0


@case((A(5), 1), (A(5), 3))
def old_content_read_by_the_write_in_a_loop(a, k):
    for i in range(k):
        a[::-1] = a
        a[i * 4] = 1.0
    return 1.0


@case((A(5), 1), (A(5), 3))
def copy_returned(a, k):
    b = a.copy()
    a[0] = 5.0
    a[k * 4] = 1.0
    return b


@case((A(5), 0), (A(5), 1), (A(5), 3))
def copy_returned_after_a_branch(a, k):
    b = a.copy()
    if k > 0:
        a[0] = 5.0
        a[k * 4] = 1.0
    return b


@case((A(5), 1), (A(5), 3))
def copy_returned_after_a_loop(a, k):
    b = a.copy()
    for i in range(k):
        a[i] = 5.0
        a[i * 4] = 1.0
    return b


@case((A(5), 1), (A(5), 3))
def copy_read_in_each_iteration(a, k):
    for i in range(k):
        b = a.copy()
        a[i] = 5.0
        a[i * 4] = 1.0
        a[0] = b[1]
    return 1.0


@case((A(5), 1), (A(5), 3))
def two_names_in_a_loop(a, k):
    i = 0
    b = a
    while i < k:
        a[::-1] = b
        b[::-1] = a
        b[i] = 4.0
        i += 1
        assert i < 2
    return 1.0


# -- an error between making a value and writing it ----------------------------------------------------------------


@case((A(5), 1), (A(5), 3))
def error_before_the_write(a, k):
    doubled = a * 2
    found = doubled[k * 4]
    a[:] = doubled
    return found


@case((A(5), 0), (A(5), 1), (A(5), 3))
def error_before_the_write_in_a_branch(a, k):
    doubled = a * 2
    if k > 0:
        found = doubled[k * 4]
        a[:] = doubled
        return found
    return 1.0


@case((A(5), 1), (A(5), 3))
def error_among_the_values(a, k):
    a[:], a[0] = a[::-1].copy(), a[k * 4]


@case((A(5), 1), (A(5), 3))
def error_in_a_later_iteration(a, k):
    doubled = a * 2
    for i in range(k):
        a[i] = 4.0
        a[i * 4] = 5.0
        a[:] = doubled
    return doubled


@case((A(5), 0), (A(5), 2))
def mask_of_a_name_for_the_argument_or_another(a, k):
    z = np.zeros(5)
    p = a
    if k > 1:
        p, z = z, p
    p[p > 4] = 1.5
    z[z > 3] += 1
    return p.sum() + z[0]


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_what_is_written_stays(fn, calls):
    run(fn, calls)
