"""Products of matrices where there is no memory to pack operands: computed all the same."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.packed_products import PackedProduct
from tracejit.runtime.engine import engine


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "k"), [(3, 700, 900), (1, 5, 700), (130, 61, 40), (9, 12, 6000)])
def test_a_product_without_memory_for_its_panels(count: int, dtype: str, m: int, n: int, k: int) -> None:
    product = PackedProduct(dtype, engine().options, count)
    rng = np.random.default_rng(0)
    a = np.asfortranarray(rng.normal(size=(m, k)).astype(dtype))
    b = rng.normal(size=(2 * k, n)).astype(dtype)[::2]
    error = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(product(a, b), a @ b, rtol=error, atol=error)
