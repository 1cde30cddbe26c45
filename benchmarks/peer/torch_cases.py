"""The cases in PyTorch: eager, `torch.compile` where it compiles in seconds, TorchScript for loops over tensors."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks import inputs, names

Maker = Callable[[], Callable[[], Any]]
Found = Iterator[tuple[str, str, Maker]]


def tensors(arrays: Any, grad: Any = ()) -> list[Any]:
    """Tensors over the arrays; those at the places in `grad` are leaves with gradients."""
    made = [torch.from_numpy(a) for a in arrays]
    for k in grad:
        made[k].requires_grad_()
    return made


def with_gradient(loss: Callable[..., Any], args: list[Any], wrt: Any) -> Callable[[], Any]:
    """Value and gradients by the places of `wrt`."""
    leaves = [args[k] for k in wrt]

    def run() -> Any:
        value = loss(*args)
        return value, *torch.autograd.grad(value, leaves)

    return run


def chain(x: Any, w: Any, b: Any) -> Any:
    return torch.tanh(x * w + b) * torch.sigmoid(x) + torch.exp(-x * x)


def chain_sum(x: Any, w: Any, b: Any) -> Any:
    return chain(x, w, b).sum()


ROWWISE = {
    "gelu": lambda x: F.gelu(x),
    "softmax": lambda x: torch.softmax(x, 1),
    "layer norm": lambda x: F.layer_norm(x, (x.shape[1],), eps=1e-5),
}


def lstm_module(steps: int, batch: int, hidden: int) -> tuple[Any, Any, list[Any]]:
    """PyTorch's own layer with the weights of the case, its sequence, and its weights."""
    x, _, _, wi, wh, b = tensors(inputs.recurrent(steps, batch, hidden))
    layer = torch.nn.LSTM(hidden, hidden)
    with torch.no_grad():
        for own, given in zip(layer.parameters(), (wi.T, wh.T, b, torch.zeros_like(b)), strict=True):
            own.copy_(given)
    return layer, x, list(layer.parameters())[:3]


def layer_forward(steps: int, batch: int, hidden: int) -> Callable[[], Any]:
    layer, x, _ = lstm_module(steps, batch, hidden)

    def run() -> Any:
        with torch.no_grad():
            h = layer(x)[0][-1]
            return (h * h).sum()

    return run


def layer_gradient(steps: int, batch: int, hidden: int) -> Callable[[], Any]:
    layer, x, weights = lstm_module(steps, batch, hidden)

    def run() -> Any:
        h = layer(x)[0][-1]
        value = (h * h).sum()
        wi, wh, b = torch.autograd.grad(value, weights)
        return value, wi.T, wh.T, b

    return run


def training(batch: int) -> Callable[[], Any]:
    x, y, w1, w2 = tensors(inputs.network(batch), (2, 3))
    rate = inputs.rate(batch)

    def step() -> Any:
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= rate * w.grad
                w.grad = None
        return loss

    return step


def block(x: Any, wq: Any, wk: Any, wv: Any, wo: Any, w1: Any, b1: Any, w2: Any, b2: Any, *norms: Any) -> Any:
    batch, length, c, heads = inputs.BLOCK
    g1, c1, g2, c2 = norms
    h = F.layer_norm(x, (c,), g1, c1)
    q, k, v = ((h @ w).reshape(batch, length, heads, c // heads).transpose(1, 2) for w in (wq, wk, wv))
    o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, c)
    x = x + o @ wo
    h = F.layer_norm(x, (c,), g2, c2)
    return x + F.gelu(h @ w1 + b1) @ w2 + b2


def block_loss(*args: Any) -> Any:
    return block(*args).square().mean()


def convolutions(x: Any, classes: Any, k1: Any, b1: Any, k2: Any, b2: Any, w: Any, b: Any) -> Any:
    h = F.max_pool2d(F.relu(F.conv2d(x, k1, b1, padding=1)), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, k2, b2, padding=1)), 2)
    return F.cross_entropy(h.reshape(h.shape[0], -1) @ w + b, classes)


def power(a: Any, x: Any, tolerance: float) -> Any:
    size = torch.zeros(())
    change = torch.ones(())
    while bool(change > tolerance):
        y = a @ x
        size = (y * y).sum().sqrt()
        y = y / size
        change = (y - x).abs().max()
        x = y
    return size


def no_gradient(fn: Callable[..., Any], args: Any) -> Callable[[], Any]:
    def run() -> Any:
        with torch.no_grad():
            return fn(*args)

    return run


def cases(threads: int) -> Found:
    """(variant, case, maker) of everything that PyTorch measures."""
    torch.set_num_threads(threads)
    yield from _pointwise()
    for name, fn in ROWWISE.items():
        yield from _rowwise(name, fn)
    for batch in (1024, 64, 16, 1):
        yield "torch", names.training(batch), lambda batch=batch: training(batch)
    for sizes in inputs.RECURRENT:
        yield from _recurrent(sizes)
    for variant, fn in (("torch", block_loss), ("torch.compile", None)):
        made = fn or torch.compile(block_loss)
        yield variant, names.BLOCK, lambda made=made: no_gradient(made, tensors(inputs.block()))
        yield (
            variant,
            names.gradient(names.BLOCK),
            lambda made=made: with_gradient(made, tensors(inputs.block(), range(13)), range(13)),
        )
    for variant, fn in (("torch", convolutions), ("torch.compile", None)):
        made = fn or torch.compile(convolutions)
        yield variant, names.CONVOLUTIONS, lambda made=made: no_gradient(made, tensors(inputs.images()))
        yield (
            variant,
            names.gradient(names.CONVOLUTIONS),
            lambda made=made: with_gradient(made, tensors(inputs.images(), range(2, 8)), range(2, 8)),
        )

    def powers(gradient: bool) -> Callable[[], Any]:
        a, x, tolerance = inputs.power()
        args = [*tensors((a, x)), tolerance]
        if not gradient:
            return no_gradient(power, args)
        args[0].requires_grad_()
        return with_gradient(power, args, (0,))

    yield "torch", names.POWER, lambda: powers(False)
    yield "torch", names.gradient(names.POWER), lambda: powers(True)

    def call(gradient: bool) -> Callable[[], Any]:
        x = torch.arange(16, dtype=torch.float32, requires_grad=gradient)
        return lambda: x * 2 + 1

    yield "torch", f"{names.CALL}, Tensor", lambda: call(False)
    yield "torch", names.gradient(f"{names.CALL}, Tensor"), lambda: call(True)


def _pointwise() -> Found:
    for size in inputs.POINTWISE:
        for variant in ("torch", "torch.compile"):

            def forward(size: int = size, variant: str = variant) -> Callable[[], Any]:
                fn = chain if variant == "torch" else torch.compile(chain)
                return no_gradient(fn, tensors(inputs.pointwise(size)))

            def gradient(size: int = size, variant: str = variant) -> Callable[[], Any]:
                fn = chain_sum if variant == "torch" else torch.compile(chain_sum)
                return with_gradient(fn, tensors(inputs.pointwise(size), range(3)), range(3))

            yield variant, names.chain(size), forward
            yield variant, names.gradient(names.chain(size)), gradient


def _rowwise(name: str, fn: Callable[..., Any]) -> Found:
    for variant in ("torch", "torch.compile"):

        def forward(variant: str = variant) -> Callable[[], Any]:
            made = fn if variant == "torch" else torch.compile(fn)
            return no_gradient(made, tensors([inputs.normal(inputs.ROWS, inputs.ROWS)]))

        def gradient(variant: str = variant) -> Callable[[], Any]:
            def weighted(x: Any, c: Any) -> Any:
                return (fn(x) * c).sum()

            made = weighted if variant == "torch" else torch.compile(weighted)
            arrays = [inputs.normal(inputs.ROWS, inputs.ROWS, seed=s) for s in range(2)]
            return with_gradient(made, tensors(arrays, (0,)), (0,))

        yield variant, names.rowwise(name, inputs.ROWS), forward
        yield variant, names.gradient(names.rowwise(name, inputs.ROWS)), gradient


def _recurrent(sizes: tuple[int, int, int]) -> Found:
    name = names.recurrent(*sizes)
    yield "torch LSTM", name, lambda: layer_forward(*sizes)
    yield "torch LSTM", names.gradient(name), lambda: layer_gradient(*sizes)

    def scripted(gradient: bool) -> Callable[[], Any]:
        fn = torch.jit.script(_typed_cell)
        args = tensors(inputs.recurrent(*sizes), (3, 4, 5) if gradient else ())
        return with_gradient(fn, args, (3, 4, 5)) if gradient else no_gradient(fn, args)

    yield "torchscript", name, lambda: scripted(False)
    yield "torchscript", names.gradient(name), lambda: scripted(True)


def _typed_cell(
    x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, wi: torch.Tensor, wh: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    for t in range(x.shape[0]):
        gates = x[t] @ wi + h @ wh + b
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return (h * h).sum()
