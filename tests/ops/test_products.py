"""Products of arrays, compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.function_cases import check, eager, graph_of, interpreted

RNG = np.random.default_rng(2)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((1, 2, 3), (5, 3, 4)),
        ((2, 3), (5, 3, 4)),
        ((4, 1, 2, 3), (5, 3, 4)),
        ((2, 0), (0, 3)),
    ],
)
def test_matmul_has_numpy_rules(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x, y = (draw(*s) for s in shapes)
    check("numpy matmul", x @ y, x, y)


def test_matmul_promotes() -> None:
    x, y = draw(2, 3).astype("float32"), np.arange(12).reshape(3, 4)
    check("numpy matmul", x @ y, x, y)


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 2)), ((), (3,)), ((2, 3), (4, 3, 5))])
def test_dot_has_numpy_rules(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x, y = (np.asarray(draw(*s)) for s in shapes)
    check("numpy dot", np.dot(x, y), x, y)


def test_other_products() -> None:
    x, y = draw(3), draw(4)
    check("numpy outer", np.outer(x, y), x, y)
    check("numpy inner", np.inner(draw_fixed(2, 3), draw_fixed(4, 3)), draw_fixed(2, 3), draw_fixed(4, 3))
    check("numpy kron", np.kron(draw_fixed(2, 3), draw_fixed(3, 2)), draw_fixed(2, 3), draw_fixed(3, 2))
    check("numpy tensordot", np.tensordot(draw_fixed(2, 3), draw_fixed(3, 2), 1), draw_fixed(2, 3), draw_fixed(3, 2), 1)
    check(
        "numpy tensordot",
        np.tensordot(draw_fixed(2, 3, 4), draw_fixed(4, 2, 5), ((0, 2), (1, 0))),
        draw_fixed(2, 3, 4),
        draw_fixed(4, 2, 5),
        ((0, 2), (1, 0)),
    )
    check("numpy cross", np.cross(draw_fixed(2, 3), draw_fixed(3)), draw_fixed(2, 3), draw_fixed(3))
    check("numpy trace", np.trace(draw_fixed(3, 4)), draw_fixed(3, 4))
    check("numpy vdot", np.vdot(draw_fixed(3, 2), draw_fixed(2, 3)), draw_fixed(3, 2), draw_fixed(2, 3))


def draw_fixed(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        ("ij,jk->ik", ((2, 3), (3, 4))),
        ("ij,jk", ((2, 3), (3, 4))),
        ("ij->ji", ((2, 3),)),
        ("ij->", ((2, 3),)),
        ("ii", ((3, 3),)),
        ("iij->ij", ((3, 3, 2),)),
        ("i,j->ij", ((2,), (3,))),
        ("i,i->", ((3,), (3,))),
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
        ("bhqd,bhkd->bhqk", ((2, 2, 3, 4), (2, 2, 5, 4))),
        ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
        ("...ij,...jk->...ik", ((2, 3, 4), (4, 5))),
        ("ij,j,i->", ((2, 3), (3,), (2,))),
        ("ij,ij->ij", ((2, 3), (2, 3))),
        ("ij,ij->i", ((2, 3), (2, 3))),
        ("ij,ji->j", ((2, 3), (3, 2))),
        ("bhi,hi->hb", ((2, 3, 4), (3, 4))),
        ("ij,j->ji", ((2, 3), (3,))),
        ("...i,...i", ((2, 1, 4), (3, 4))),
        ("ij,ij->i", ((2, 1), (2, 3))),
    ],
)
def test_einsum_agrees_with_numpy(spec: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    operands = [draw(*s) for s in shapes]
    check("numpy einsum", np.einsum(spec, *operands), spec, *operands)


@pytest.mark.parametrize(
    ("spec", "shapes", "products"),
    [("ij,ij->i", ((2, 3), (2, 3)), 0), ("i,j->ij", ((2,), (3,)), 0), ("bij,bj->bi", ((2, 3, 4), (2, 4)), 1)],
)
def test_einsum_multiplies_matrices_only_where_there_are_some(
    spec: str, shapes: tuple[tuple[int, ...], ...], products: int
) -> None:
    graph, _ = graph_of("numpy einsum", (spec, *(draw(*s) for s in shapes)), {}, False)
    assert sum(op.name == "matmul" for op in graph.body.ops) == products


def test_sizes_that_differ_are_refused() -> None:
    for run in (eager, interpreted):
        for name, shapes in (("matmul", ((2, 3), (4, 2))), ("dot", ((3,), (4,))), ("dot", ((2, 3), (4, 2)))):
            operands = [draw(*s) for s in shapes]
            with pytest.raises(ValueError) as numpys:
                getattr(np, name)(*operands)
            with pytest.raises(ValueError) as ours:
                run(f"numpy {name}", *operands)
            assert str(numpys.value) == str(ours.value)


def test_an_index_of_the_result_stands_once_and_in_an_operand() -> None:
    for run in (eager, interpreted):
        for spec, words in (("ij->im", "'m' stands in the result of 'ij->im' and in no"), ("ij->ii", "'i' .* twice")):
            with pytest.raises(ValueError, match=words):
                run("numpy einsum", spec, draw(2, 3))
