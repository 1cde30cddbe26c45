"""Packed sequences, and recurrent layers over them: each sequence as if it were alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

LENGTHS = [2, 5, 3]


def test_packing_and_padding() -> None:
    packed = pack_sequence([tj.tensor([1, 2, 3]), tj.tensor([4, 5]), tj.tensor([6])])
    assert packed.data.tolist() == [1, 4, 6, 2, 5, 3] and packed.batch_sizes.tolist() == [3, 2, 1]
    rows, lengths = pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=4)
    assert rows.tolist() == [[1, 2, 3, -1], [4, 5, -1, -1], [6, -1, -1, -1]] and lengths.tolist() == [3, 2, 1]
    rows, lengths = pad_packed_sequence(pack_sequence([tj.ones(1), tj.ones(2) * 2], enforce_sorted=False))
    assert rows.tolist() == [[1, 2], [0, 2]] and lengths.tolist() == [1, 2]


def test_what_cannot_be_packed() -> None:
    for lengths, text in (([1, 2], "increase"), ([2, 0], "at least one"), ([2], "have lengths of shape")):
        with pytest.raises(RuntimeError, match=text):
            pack_padded_sequence(tj.ones(2, 2), lengths)
    with pytest.raises(ValueError, match="total_length"):
        pad_packed_sequence(pack_sequence([tj.ones(3)]), total_length=2)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_layers_over_packed_sequences(kind: Any) -> None:
    layer = kind(2, 3, bidirectional=True, batch_first=True)

    def run(x: Any, lengths: Any) -> Any:
        out, state = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(out), state

    grads: list[Any] = []
    for call in (run, tj.script(run)):
        x = tj.arange(30.0).reshape(5, 3, 2).sin().requires_grad_()
        (out, lengths), state = call(x, tj.tensor(LENGTHS))
        assert lengths.tolist() == LENGTHS
        for i, n in enumerate(LENGTHS):
            alone, last = layer(x[:n, i].unsqueeze(0))
            np.testing.assert_allclose(out[:n, i].tolist(), alone[0].tolist(), rtol=1e-5, atol=1e-6)
            pairs = zip(state, last, strict=True) if kind is nn.LSTM else [(state, last)]
            for together, single in pairs:
                np.testing.assert_allclose(together[:, i].tolist(), single[:, 0].tolist(), rtol=1e-5, atol=1e-6)
            assert not out[n:, i].any()
        (grad,) = tj.autograd.grad(out.square().sum(), x)
        assert grad is not None
        grads.append(grad.numpy())
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-4, atol=1e-6)
    assert grads[0][:2, 0].all() and not grads[0][2:, 0].any()
