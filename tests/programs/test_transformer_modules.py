"""Transformer modules as they are written for PyTorch, eager and compiled, with their gradients."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import tracejit as tj
import tracejit.nn.functional as F
from tracejit import nn, script


class CausalAttention(nn.Module):
    def __init__(self, width, heads, block):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.heads = heads
        self.register_buffer("mask", tj.tril(tj.ones(block, block)).view(1, 1, block, block))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).split(c, dim=2)
        k = k.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        q = q.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        v = v.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.shape[-1]))
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(b, t, c)
        return self.proj(y)


class Block(nn.Module):
    def __init__(self, width, heads, block):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads, block)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class Language(nn.Module):
    def __init__(self, vocabulary=11, width=8, heads=2, block=6, layers=2):
        super().__init__()
        self.block = block
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(block, width)
        self.blocks = nn.ModuleList([Block(width, heads, block) for _ in range(layers)])
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight

    def forward(self, index, targets=None):
        t = index.shape[1]
        assert t <= self.block, f"{t} tokens, at most {self.block}"
        x = self.token(index) + self.place(tj.arange(t))
        for block in self.blocks:
            x = block(x)
        logits = self.head(x)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def integers(*rows):
    return tj.tensor(np.array(rows))


def test_a_language_model_and_its_gradient():
    tj.manual_seed(1)
    plain = Language()
    own = copy.deepcopy(plain)
    compiled = script(own)
    for index, targets in (
        (integers([1, 2, 3], [4, 5, 6]), integers([2, 3, 4], [5, 6, 7])),
        (integers([1]), integers([2])),
    ):
        (logits, loss), (found, lost) = plain(index, targets), compiled(index, targets)
        np.testing.assert_allclose(found.detach().numpy(), logits.detach().numpy(), atol=1e-5)
        loss.backward()
        lost.backward()
        for (name, p), (_, q) in zip(plain.named_parameters(), own.named_parameters(), strict=True):
            np.testing.assert_allclose(q.grad.numpy(), p.grad.numpy(), atol=1e-4, err_msg=name)
    with pytest.raises(AssertionError, match="7 tokens, at most 6"):
        compiled(integers([1, 2, 3, 4, 5, 6, 7]))


class Gates(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(4, 3 * width)

    def forward(self, x):
        r, z, n = self.linear(x).chunk(3, -1)
        return (1 - z) * n + r


@pytest.mark.compiled
def test_parts_of_a_size_that_a_parameter_has():
    gates = Gates(2)
    compiled = script(gates)
    x = tj.randn(3, 4)
    np.testing.assert_allclose(compiled(x).detach().numpy(), gates(x).detach().numpy(), atol=1e-6)
    compiled(tj.randn(5, 4))
    assert compiled.compiles == 1
    gates.linear = nn.Linear(4, 9)
    np.testing.assert_allclose(compiled(x).detach().numpy(), gates(x).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("turn", [lambda x: x.T, lambda x: x, lambda x: x[::2], lambda x: x[:, 1:]])
def test_contiguous(turn):
    def laid_out(x):
        return turn(x).contiguous().view(-1)

    x = tj.tensor(np.arange(12.0).reshape(4, 3))
    expected, found = laid_out(x), script(laid_out)(x)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
