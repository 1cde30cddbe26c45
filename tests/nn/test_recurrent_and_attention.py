"""Recurrent layers, attention and normalisation against their equations in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn

F = nn.functional


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def weights(net: nn.Module, suffix: str) -> list[np.ndarray]:
    names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
    return [getattr(net, name + suffix).detach().numpy() for name in names]


def step(kind: str, parameters: list[np.ndarray], x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    w_i, b_i, w_h, b_h = parameters
    given, held = x @ w_i.T + b_i, h @ w_h.T + b_h
    if kind == "RNN":
        return np.tanh(given + held), c
    if kind == "LSTM":
        i, f, g, o = np.split(given + held, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (r_i, z_i, n_i), (r_h, z_h, n_h) = np.split(given, 3, -1), np.split(held, 3, -1)
    r, z = sigmoid(r_i + r_h), sigmoid(z_i + z_h)
    return (1 - z) * np.tanh(n_i + r * n_h) + z * h, c


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers(kind: str) -> None:
    net = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True).double()
    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    assert net.weight_ih_l1_reverse.shape == (4 * gates, 8) and net.bias_hh_l0.shape == (4 * gates,)
    x, h_0, c_0 = array(5, 2, 3), array(4, 2, 4, seed=1), array(4, 2, 4, seed=2)
    layer, last_h, last_c = x, [], []
    for number in range(2):
        outs = []
        for direction, suffix in enumerate(("", "_reverse")):
            h, c = h_0[2 * number + direction], c_0[2 * number + direction]
            states = []
            for row in layer[::-1] if direction else layer:
                h, c = step(kind, weights(net, f"_l{number}{suffix}"), row, h, c)
                states.append(h)
            outs.append(np.stack(states[::-1] if direction else states))
            last_h.append(h)
            last_c.append(c)
        layer = np.concatenate(outs, -1)
    given = tj.tensor(h_0) if kind != "LSTM" else (tj.tensor(h_0), tj.tensor(c_0))
    out, state = net(tj.tensor(x), given)
    h_n, c_n = state if kind == "LSTM" else (state, None)
    np.testing.assert_allclose(out.detach().numpy(), layer)
    np.testing.assert_allclose(h_n.detach().numpy(), np.stack(last_h))
    if c_n is not None:
        np.testing.assert_allclose(c_n.detach().numpy(), np.stack(last_c))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layouts_of_sequences_and_cells(kind: str) -> None:
    tj.manual_seed(0)
    net = getattr(nn, kind)(3, 4).double()
    x = tj.tensor(array(5, 2, 3))
    out, state = net(x)
    by_batch = getattr(nn, kind)(3, 4, batch_first=True).double()
    by_batch.load_state_dict(net.state_dict())
    np.testing.assert_allclose(by_batch(x.transpose(0, 1))[0].transpose(0, 1).detach().numpy(), out.detach().numpy())
    alone, last = net(x[:, 0])
    np.testing.assert_allclose(alone.detach().numpy(), out[:, 0].detach().numpy())
    assert (last[0] if kind == "LSTM" else last).shape == (1, 4)
    cell = getattr(nn, kind + "Cell")(3, 4).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in net.state_dict().items()})
    h: Any = None
    for row in x:
        h = cell(row, h)
    expected = state[0] if kind == "LSTM" else state
    np.testing.assert_allclose((h[0] if kind == "LSTM" else h).detach().numpy(), expected[0].detach().numpy())


def test_initial_values_of_recurrent_layers_and_convolutions() -> None:
    tj.manual_seed(0)
    for net, bound in ((nn.LSTM(50, 64), 1 / 8), (nn.Conv2d(4, 64, 5, groups=2), 1 / math.sqrt(50))):
        for parameter in net.parameters():
            values = parameter.detach().numpy()
            assert abs(values).max() <= bound
            assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.2 if values.ndim == 1 else 0.05)
    attention = nn.MultiheadAttention(32, 4)
    assert abs(attention.in_proj_weight.detach().numpy()).max() <= math.sqrt(6 / 128)
    assert not attention.in_proj_bias.detach().numpy().any() and not attention.out_proj.bias.detach().numpy().any()


def test_multihead_attention() -> None:
    net = nn.MultiheadAttention(6, 2).double()
    q, k = array(4, 3, 6), array(5, 3, 6, seed=1)
    w, b = net.in_proj_weight.detach().numpy(), array(18, seed=2)
    net.in_proj_bias.data.copy_(tj.tensor(b))
    leave_out = np.zeros((3, 5), bool)
    leave_out[1, 3:] = True
    heads, shown = [], []
    for head in range(2):
        rows = [slice(6 * part + 3 * head, 6 * part + 3 * head + 3) for part in range(3)]
        qh, kh, vh = (np.swapaxes(x @ w[r].T + b[r], 0, 1) for x, r in zip((q, k, k), rows))
        scores = np.where(leave_out[:, None], -np.inf, qh @ np.swapaxes(kh, 1, 2) / math.sqrt(3))
        shown.append(softmax(scores))
        heads.append(shown[-1] @ vh)
    expected = np.concatenate(heads, -1) @ net.out_proj.weight.detach().numpy().T
    mask = tj.tensor(leave_out)
    out, mean = net(tj.tensor(q), tj.tensor(k), tj.tensor(k), key_padding_mask=mask)
    np.testing.assert_allclose(out.detach().numpy(), np.swapaxes(expected, 0, 1))
    np.testing.assert_allclose(mean.detach().numpy(), np.mean(shown, 0))
    _, each = net(tj.tensor(q), tj.tensor(k), tj.tensor(k), key_padding_mask=mask, average_attn_weights=False)
    np.testing.assert_allclose(each.detach().numpy(), np.stack(shown, 1))
    assert net(tj.tensor(q), tj.tensor(k), tj.tensor(k), need_weights=False)[1] is None
    with pytest.raises(ValueError, match="multiple"):
        nn.MultiheadAttention(7, 2)


def test_attention_to_further_keys() -> None:
    """One learnt key and one of zeros are what concatenation of them gives; masks do not leave them out."""
    net = nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True).double()
    plain = nn.MultiheadAttention(6, 2, bias=False, kdim=6, vdim=6).double()
    w = net.in_proj_weight.detach().numpy()
    q, k = array(4, 3, 6), array(5, 3, 6, seed=1)
    projected = np.concatenate([k @ w[6:12].T, np.tile(net.bias_k.detach().numpy(), (1, 3, 1)), np.zeros((1, 3, 6))])
    values = np.concatenate([k @ w[12:].T, np.tile(net.bias_v.detach().numpy(), (1, 3, 1)), np.zeros((1, 3, 6))])
    plain.in_proj_weight.data.copy_(tj.tensor(np.concatenate([w[:6], np.eye(6), np.eye(6)])))
    plain.out_proj.weight.data.copy_(net.out_proj.weight.data)
    mask, wide = np.zeros((4, 5), bool), np.zeros((4, 7), bool)
    mask[:, 1] = wide[:, 1] = True
    out, shown = net(tj.tensor(q), tj.tensor(k), tj.tensor(k), attn_mask=tj.tensor(mask))
    expected, wanted = plain(tj.tensor(q), tj.tensor(projected), tj.tensor(values), attn_mask=tj.tensor(wide))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy())
    np.testing.assert_allclose(shown.detach().numpy(), wanted.detach().numpy())
    assert shown.shape == (3, 4, 7)


def test_transformer_is_its_layers_one_after_the_other() -> None:
    net = nn.Transformer(6, 2, 2, 1, 8, dropout=0.0, norm_first=True).double()
    source, target = tj.tensor(array(5, 2, 6)), tj.tensor(array(4, 2, 6, seed=1))
    later = net.generate_square_subsequent_mask(4)
    np.testing.assert_array_equal(later.numpy(), np.triu(np.full((4, 4), -np.inf, "f"), 1))
    memory = net.encoder.norm(net.encoder.layers[1](net.encoder.layers[0](source)))
    layer = net.decoder.layers[0]
    x = layer.norm1(target)
    x = target + layer.self_attn(x, x, x, attn_mask=later)[0]
    x = x + layer.multihead_attn(layer.norm2(x), memory, memory)[0]
    x = x + layer.linear2(F.relu(layer.linear1(layer.norm3(x))))
    expected = net.decoder.norm(x)
    found = net(source, target, tgt_mask=later)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-10)
    np.testing.assert_array_equal(net(source, target[:2])[0].shape, (2, 6))
    with pytest.raises(ValueError, match="batch"):
        net(source, target[:, :1])
    with pytest.raises(ValueError, match="features"):
        net(source[..., :3], target)
    with pytest.raises(ValueError, match="'tanh'"):
        nn.TransformerDecoderLayer(6, 2, activation="tanh")


def test_attention_with_dropout_scale_and_causality() -> None:
    q = tj.tensor(array(2, 5, 4))
    weights = F.attention_weights(q, q, is_causal=True, scale=0.3).numpy()
    assert not np.triu(weights[0], 1).any()
    np.testing.assert_allclose(weights.sum(-1), 1)
    tj.manual_seed(0)
    dropped = F.attention_weights(q, q, dropout_p=0.5, scale=0.3).numpy()
    whole = F.attention_weights(q, q, scale=0.3).numpy()
    kept = dropped != 0
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(dropped[kept], 2 * whole[kept], rtol=1e-12)


def test_batch_norm_moves_its_statistics() -> None:
    x = array(6, 3, 4)
    net = nn.BatchNorm1d(3, momentum=0.3).double()
    mean, var = x.mean((0, 2)), x.var((0, 2))
    y = net(tj.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, (x - mean[:, None]) / np.sqrt(var[:, None] + 1e-5))
    np.testing.assert_allclose(net.running_mean.numpy(), 0.3 * mean)
    np.testing.assert_allclose(net.running_var.numpy(), 0.7 + 0.3 * var * 24 / 23)
    assert net.num_batches_tracked.item() == 1
    moved = net.running_mean.numpy().copy()
    y = net.eval()(tj.tensor(x)).detach().numpy()
    expected = (x - moved[:, None]) / np.sqrt(net.running_var.numpy()[:, None] + 1e-5)
    np.testing.assert_allclose(y, expected)
    np.testing.assert_array_equal(net.running_mean.numpy(), moved)
    net.train().reset_running_stats()
    assert net.running_var.tolist() == [1, 1, 1] and net.num_batches_tracked.item() == 0


def test_batch_norm_without_momentum_averages_all_batches() -> None:
    net = nn.BatchNorm1d(2, momentum=None).double()
    batches = [array(5, 2, seed=i) for i in range(3)]
    for x in batches:
        net(tj.tensor(x))
    np.testing.assert_allclose(net.running_mean.numpy(), np.mean([x.mean(0) for x in batches], 0))


def test_group_norm() -> None:
    x = array(2, 6, 5)
    rows = x.reshape(2, 3, 10)
    expected = ((rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)).reshape(x.shape)
    np.testing.assert_allclose(nn.GroupNorm(3, 6).double()(tj.tensor(x)).detach().numpy(), expected)
    with pytest.raises(ValueError):
        nn.GroupNorm(4, 6)


def test_losses_are_smooth_where_their_formulas_have_kinks() -> None:
    """At 0 the kinks of the stable forms cancel: first and second derivatives are those of the smooth function."""
    zero = tj.tensor([0.0], dtype=tj.float64)
    t = tj.tensor([0.25], dtype=tj.float64)
    for fn, first, second in (
        (lambda x: F.softplus(x).sum(), 0.5, 0.25),
        (lambda x: F.logsigmoid(x).sum(), 0.5, -0.25),
        (lambda x: F.binary_cross_entropy_with_logits(x, t), 0.25, 0.25),
        (lambda x: tj.logaddexp(x, 0 * x).sum(), 0.5, 0.25),
        (lambda x: F.smooth_l1_loss(x, 0 * t), 0.0, 1.0),
    ):
        assert tj.grad(fn)(zero).item() == pytest.approx(first)
        assert tj.hessian(fn)(zero).item() == pytest.approx(second)


def test_weighted_binary_and_other_losses() -> None:
    x, t, w, pw = array(4, 3), (array(4, 3, seed=1) > 0) * 1.0, abs(array(3, seed=2)), abs(array(3, seed=3))
    p = sigmoid(x)
    expected = -w * (pw * t * np.log(p) + (1 - t) * np.log(1 - p))
    got = nn.BCEWithLogitsLoss(tj.tensor(w), "none", tj.tensor(pw))(tj.tensor(x), tj.tensor(t))
    np.testing.assert_allclose(got.numpy(), expected)
    got = nn.BCELoss(tj.tensor(w), "sum")(tj.tensor(p), tj.tensor(t))
    assert got.item() == pytest.approx(-(w * (t * np.log(p) + (1 - t) * np.log(1 - p))).sum())
    d = abs(x - t)
    huber = np.where(d < 0.5, d * d / 2, 0.5 * (d - 0.25))
    np.testing.assert_allclose(nn.HuberLoss("none", 0.5)(tj.tensor(x), tj.tensor(t)).numpy(), huber)
    q = softmax(array(4, 3, seed=4))
    kl = (q * (np.log(q) - np.log(softmax(x)))).sum() / 4
    got = nn.KLDivLoss("batchmean")(tj.log_softmax(tj.tensor(x), -1), tj.tensor(q))
    assert got.item() == pytest.approx(kl)
