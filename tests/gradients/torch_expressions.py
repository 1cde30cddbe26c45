"""Expressions that mean the same in tracejit and PyTorch, for `against_peers.py`: `T` is the library, `F` its
functional module, single letters are the tensors of `inputs` and the constants.

Left out is what differs by convention (docs/differentiation.md): slopes of equal values in `max_pool` and `fmax`, the
second derivative at kinks where PyTorch has nan or takes one side, and duplicates in `scatter`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PRELUDES = {
    library: f"import numpy as np\nimport {library} as T\nimport {library}.nn.functional as F\n"
    for library in ("tracejit", "torch")
}

#: Constants of both libraries.
SHARED = """
L = T.tensor([2, 0, 3])
I = T.tensor([[0, 2], [1, 1], [3, 0]])
J = T.tensor([2, 0, 2])
K = T.tensor([5, 1, 5, 11])
MB = T.tensor([[True, False, True, True, False]] * 4)
MF = T.tensor(np.linspace(-1, 1, 20).reshape(4, 5))
"""

SHAPES = {
    **dict.fromkeys("xy", (3, 4)),
    **dict.fromkeys("vw", (4,)),
    "img": (2, 3, 7, 8),
    "ker": (5, 3, 3, 2),
    "b5": (5,),
    "sig": (2, 3, 9),
    "k1": (5, 3, 3),
    "vol": (1, 2, 4, 5, 4),
    "k3": (3, 2, 2, 3, 2),
    "g3": (3,),
    "b3": (3,),
    "q": (2, 2, 4, 3),
    "k": (2, 2, 5, 3),
    "vv": (2, 2, 5, 3),
    "emb": (6, 3),
}


def inputs() -> dict[str, np.ndarray[Any, Any]]:
    """The tensors: `p` is positive, `m` regular, `z` full of ties and kinks."""
    rng = np.random.default_rng(5)
    made: dict[str, Any] = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    made["p"] = np.abs(rng.standard_normal((3, 4))) + 0.05
    made["m"] = rng.standard_normal((4, 4)) + 2 * np.eye(4)
    made["z"] = np.array([[0.0, 1.0, -1.0], [1.0, 0.0, 2.0]])
    return made


_BY_INPUTS = {
    "x": """
        T.cummax(x, 1)[0]
        T.cummin(x, 0)[0]
        T.logcumsumexp(x, 1)
        x.index_fill(1, L, 2.0)
        T.take_along_dim(x, I % 4, 1)
        x.kthvalue(2, 1)[0]
        x.msort()
        T.diag_embed(x, 1)
        T.renorm(x, 2, 0, 1.0)
        T.special.ndtr(x)
        T.special.log_ndtr(x)
        T.special.i0e(x)
        T.special.i1(x)
        T.erfinv(x / 5)
        T.exp(x)
        T.exp2(x)
        T.expm1(x)
        T.sin(x)
        T.cos(x)
        T.tan(x)
        T.sinh(x)
        T.cosh(x)
        T.tanh(x)
        T.erf(x)
        T.sigmoid(x)
        T.relu(x)
        T.abs(x)
        T.square(x)
        T.deg2rad(x)
        T.rad2deg(x)
        T.atan(x)
        T.asinh(x)
        T.sinc(x)
        T.selu(x)
        T.positive(x)
        T.neg(x)
        x.sum()
        x.sum(0)
        x.sum(1, keepdim=True)
        x.mean()
        x.mean((0, 1))
        x.max()
        x.min()
        x.amax(1)
        x.amin(0)
        T.amax(x, (0, 1))
        x.logsumexp(1)
        T.logsumexp(x, 0)
        x.softmax(1)
        T.softmax(x, 0)
        T.log_softmax(x, 1)
        x.norm()
        T.norm(x, dim=1)
        T.linalg.norm(x, dim=1)
        T.linalg.vector_norm(x, 1.0)
        T.linalg.vector_norm(x, 3)
        T.linalg.vector_norm(x, float('inf'))
        T.linalg.matrix_norm(x)
        T.linalg.matrix_norm(x, 'nuc')
        T.linalg.matrix_norm(x, 2)
        T.linalg.matrix_norm(x, 1)
        x.cumsum(0)
        x.cumsum(1)
        x.T
        x.transpose(0, 1)
        x.reshape(2, 6)
        x.view(-1)
        x[1]
        x[:, 1:3]
        x[::2]
        x[..., None]
        x.unsqueeze(0)
        x.expand(2, 3, 4)
        x.repeat(2, 3)
        T.tile(x, (2, 2))
        x.flip(0)
        T.flip(x, (0, 1))
        T.roll(x, 1, 0)
        T.roll(x, 2)
        T.roll(x, (1, 2), (0, 1))
        T.rot90(x)
        T.tril(x)
        T.triu(x, 1)
        T.diag(x[:, :3])
        T.diagonal(x, 1)
        T.diag(x[0])
        T.topk(x, 2)[0]
        T.chunk(x, 2, 1)[1]
        T.split(x, 2, 0)[1]
        T.narrow(x, 1, 1, 2)
        x.movedim(0, 1)
        T.nn.functional.pad(x, (1, 2))
        T.nn.functional.pad(x, (1, 2, 0, 1))
        F.pad(x, (1, 1), mode='reflect')
        F.pad(x[None], (2, 1), mode='replicate')
        F.pad(x[None], (2, 1), mode='circular')
        T.gather(x, 1, I)
        T.index_select(x, 0, J)
        T.take(x, K)
        x[J]
        x[J, J]
        x[x>0]
        T.masked_fill(x, x>0, 2.0)
        T.masked_select(x, x>0)
        T.scatter(x, 1, I, 2.0)
        T.scatter_add(x, 1, I, x[:, :2]*3)
        x.unfold(1, 2, 1)
        x.clone()
        T.nan_to_num(x)
        T.frac(x)
        T.trunc(x)+x
        T.round(x)*x
        T.sign(x)*x
        T.floor(x)*x
        T.cartesian_prod(x[0], x[1])
        T.meshgrid(x[0], x[1], indexing='ij')[0]
        T.diff(x, dim=0)
        T.trapezoid(x)
        T.cov(x)
        T.quantile(x, 0.3)
        T.quantile(x, 0.4, dim=1)
        x.repeat_interleave(2, 0)
        T.var_mean(x)[1]
        T.nansum(x)
        T.cumprod(x, 1)
        T.prod(x, 0)
        x.square().sum().sqrt()
        F.relu(x)
        F.relu6(x)
        F.gelu(x)
        F.silu(x)
        F.mish(x)
        F.softplus(x)
        F.softsign(x)
        F.logsigmoid(x)
        F.hardtanh(x)
        F.hardswish(x)
        F.hardsigmoid(x)
        F.elu(x)
        F.selu(x)
        F.celu(x)
        F.leaky_relu(x)
        F.tanhshrink(x)
        F.softshrink(x)
        F.hardshrink(x)
        F.gelu(x, approximate='tanh')
        F.softplus(x, beta=2.0, threshold=1.0)
        F.elu(x, alpha=0.7)
        F.celu(x, alpha=0.7)
        F.leaky_relu(x, 0.3)
        F.threshold(x, 0.1, 5.0)
        F.hardtanh(x, -0.5, 0.7)
        F.glu(x)
        F.softmin(x, 1)
        F.softmax(x, -1)
        F.log_softmax(x, 0)
        F.normalize(x)
        F.normalize(x, p=1.0, dim=0)
        F.layer_norm(x, (4, ))
        F.layer_norm(x, (3, 4))
        F.softshrink(x, 0.3)
        F.hardshrink(x, 0.3)
        T.fft.fft(x).abs()
        T.fft.rfft(x).real
        T.fft.irfft(T.fft.rfft(x)*1j)
        T.fft.fft2(x).imag
        T.fft.ifft(x).abs()
        (x*(1+2j)).abs().sum()
        T.fft.rfft(x, n=6).abs()
        T.fft.fft(x, dim=0, norm='ortho').real
        T.fft.fftshift(x)
        T.real(T.conj(T.complex(x, x*x))*T.complex(x, x))
        T.fft.rfft2(x).abs()
        T.fft.irfft2(T.fft.rfft2(x))
        T.exp(1j*x).real
        T.complex(x, x+1).log().imag
        T.complex(x, x+1).sqrt().real
        (T.complex(x, x+1)**3).imag
        T.fft.fftn(x).real
        F.cross_entropy(x, L, weight=T.arange(1, 5, dtype=T.float64))
        F.cross_entropy(x, L, weight=T.arange(1, 5, dtype=T.float64), label_smoothing=0.2)
        F.nll_loss(F.log_softmax(x, 1), L, weight=T.arange(1, 5, dtype=T.float64))
        F.soft_margin_loss(x, T.ones(3, 4, dtype=T.float64))
    """,
    "p": """
        T.special.entr(p)
        T.polygamma(1, p)
        T.mvlgamma(p + 1, 2)
        T.log(p)
        T.log1p(p)
        T.log2(p)
        T.log10(p)
        T.sqrt(p)
        T.rsqrt(p)
        T.reciprocal(p)
        T.acosh(p+1)
        T.acos(p/(p+1))
        T.asin(p/(p+1))
        T.atanh(p/(p+1))
        T.pow(p, 2.5)
        T.pow(2.5, p)
        p**p
        p**-1.5
        p**0
        p**1
        p**3
        T.logaddexp(p, p*2)
        T.hypot(p, p+1)
        T.lerp(p, p*p, 0.3)
        p.log().exp()
        T.clamp(p, 0.3, 0.9)
        T.clamp(p, min=0.5)
        T.clamp(p, max=0.5)
        p.cumprod(0)
        p.cumprod(1)
        p.prod()
        p.prod(1)
        p.mean(0)
    """,
    "x y": """
        x.index_copy(1, L, y[:, :3])
        x.index_put((J, J), y[:, 0], accumulate=True)
        x.masked_scatter(x > 0, y)
        x.scatter_reduce(1, I % 3, y[:, :2], "mean")
        x.scatter_reduce(1, I % 3, y[:, :2], "amax", include_self=False)
        x.slice_scatter(y[:, :2], 1, 0, 4, 2)
        x.diagonal_scatter(y[:, 1], 1)
        T.block_diag(x, y)
        T.cumulative_trapezoid(x, y)
        T.logaddexp2(x, y)
        T.atan2(x, y)
        T.maximum(x, y)
        T.minimum(x, y)
        T.fmax(x, y)
        T.fmin(x, y)
        T.fmod(x, y)
        T.remainder(x, y)
        x/y
        x*y-x
        T.where(x>y, x*x, y)
        T.addcmul(x, x, y, value=0.5)
        T.addcdiv(x, x, y, value=0.5)
        T.copysign(x, y)
        T.lerp(x, y, 0.25)
        T.lerp(x, y, x*y)
        T.cat([x, y], 0)
        T.stack([x, y], 1)
        T.dist(x, y)
        T.hypot(x, y)
        T.logaddexp(x, y)
        T.outer(x[0], y[1])
        T.dot(x[0], y[1])
        T.kron(x, y)
        T.cross(x[:, :3], y[:, 1:], dim=1)
        x@y.T
        T.einsum('ij, kj->ik', x, y)
        T.einsum('ij, ij->', x, y)
        T.einsum('ij, kl->jl', x, y)
        T.tensordot(x, y, dims=([0, 1], [0, 1]))
        T.vdot(x[0], y[0])
        T.inner(x, y)
        T.rsub(x, y)
        x.mul(y).add(x).div(y+3)
        T.pow(x.abs(), y)
        F.mse_loss(x, y)
        F.l1_loss(x, y)
        F.smooth_l1_loss(x, y)
        F.huber_loss(x, y)
        F.cosine_similarity(x, y)
        F.pairwise_distance(x, y)
        F.mse_loss(x, y, reduction='sum')
        F.mse_loss(x, y, reduction='none')
        F.smooth_l1_loss(x, y, beta=0.3)
        F.huber_loss(x, y, delta=0.4, reduction='none')
        F.kl_div(F.log_softmax(x, 1), F.softmax(y, 1), reduction='batchmean')
        F.kl_div(F.log_softmax(x, 1), F.log_softmax(y, 1), log_target=True, reduction='sum')
        F.kl_div(F.log_softmax(x, 1), F.softmax(y, 1), reduction='none')
        F.poisson_nll_loss(x, y.abs())
        F.poisson_nll_loss(x.abs(), y.abs(), log_input=False)
        F.gaussian_nll_loss(x, y, (x*y).abs()+0.1)
        F.margin_ranking_loss(x, y, x.sign(), 0.3)
        F.hinge_embedding_loss(x, y.sign())
        F.cosine_embedding_loss(x, y, T.tensor([1., -1., 1.]), margin=0.1)
        F.triplet_margin_loss(x, y, x*y)
        F.triplet_margin_loss(x, y, x*y, margin=0.4, p=1.0)
        F.binary_cross_entropy(T.sigmoid(x), T.sigmoid(y))
        F.binary_cross_entropy_with_logits(x, T.sigmoid(y))
        F.cosine_similarity(x, y, dim=0)
        F.pairwise_distance(x, y, p=1.0)
        F.pairwise_distance(x, y, keepdim=True)
        F.binary_cross_entropy_with_logits(x, T.sigmoid(y), pos_weight=T.ones(4, dtype=T.float64)*2)
    """,
    "x v w": """
        F.layer_norm(x, (4, ), v, w)
        F.layer_norm(x, (4, ), v, w, 0.1)
        F.prelu(x, v[:1])
        F.linear(x, T.stack([v, w]))
        F.bilinear(x, x*2, T.stack([T.outer(v, w), T.outer(w, v)]))
        T.addr(x[:, :]*1, v[:3], w)
        T.addmv(v[:3], x, w)
        T.mv(x, v)
    """,
    "x v": """
        F.cross_entropy(x, L)
        F.cross_entropy(x, L, reduction='sum')
        F.cross_entropy(x, L, reduction='none')
        F.cross_entropy(x, L, label_smoothing=0.1)
        F.cross_entropy(x, L, ignore_index=1)
        F.cross_entropy(x, F.softmax(x*v, 1))
        F.nll_loss(F.log_softmax(x, 1), L)
        F.nll_loss(F.log_softmax(x, 1), L, ignore_index=2, reduction='sum')
    """,
    "img ker b5": """
        F.conv2d(img, ker, b5)
        F.conv2d(img, ker, b5, stride=2)
        F.conv2d(img, ker, stride=(2, 1), padding=1)
        F.conv2d(img, ker, padding=(2, 0), dilation=2)
        F.conv2d(img, ker, padding='same')
        F.conv2d(img, ker, padding='valid')
        F.conv2d(img, ker, b5, stride=3, padding=2, dilation=(1, 2))
        F.conv2d(img, ker[:3, :1], groups=3)
        F.conv_transpose2d(img, ker[:3], stride=2)
        F.conv_transpose2d(img, ker[:3], stride=(2, 3), padding=1, output_padding=(1, 0))
        F.conv_transpose2d(img, ker[:3], b5[:3], dilation=2)
        F.conv_transpose2d(img, ker[:3, :1], groups=3, stride=2)
    """,
    "sig k1 b5": """
        F.conv1d(sig, k1, b5)
        F.conv1d(sig, k1, b5, stride=2, padding=1)
        F.conv1d(sig, k1, dilation=2)
        F.conv1d(sig, k1[:3, :1], groups=3)
        F.conv_transpose1d(sig, k1[:3], stride=2, padding=1)
        F.max_pool1d(sig, 2)
        F.max_pool1d(sig, 3, 2, 1)
        F.avg_pool1d(sig, 3, 2, 1)
        F.adaptive_avg_pool1d(sig, 4)
    """,
    "vol k3": """
        F.conv3d(vol, k3)
        F.conv3d(vol, k3, stride=2, padding=1)
    """,
    "img": """
        F.max_pool2d(img, 2)
        F.max_pool2d(img, 3, 2, 1)
        F.max_pool2d(img, 3, stride=1)
        F.max_pool2d(img, (2, 3), (1, 2))
        F.max_pool2d(img, 2, ceil_mode=True)
        F.max_pool2d(img, 2, dilation=2)
        F.avg_pool2d(img, 2)
        F.avg_pool2d(img, 3, 2, 1)
        F.avg_pool2d(img, 3, 2, 1, count_include_pad=False)
        F.avg_pool2d(img, 3, 2, ceil_mode=True)
        F.avg_pool2d(img, (2, 3))
        F.adaptive_avg_pool2d(img, 3)
        F.adaptive_avg_pool2d(img, (2, 5))
        F.adaptive_avg_pool2d(img, 1)
        F.group_norm(img, 3)
        F.group_norm(img, 1)
        F.pixel_shuffle(T.cat([img, img[:, :1]], 1), 2)
        F.batch_norm(img, None, None, training=True)
        F.batch_norm(img, T.zeros(3, dtype=T.float64), T.ones(3, dtype=T.float64)*2)
        F.pad(img, (1, 1, 2, 0), mode='reflect')
        F.pad(img, (1, 1, 2, 0), mode='replicate')
        F.pad(img, (1, 1, 2, 0), value=3.0)
        img.flatten(1)
        img.permute(0, 2, 3, 1)
        T.einsum('bchw, bdhw->bcd', img, img)
    """,
    "img g3 b3": """
        F.batch_norm(img, None, None, g3, b3, training=True)
        F.batch_norm(img, None, None, g3, b3, True, 0.1, 0.01)
        F.group_norm(img, 3, g3, b3)
        F.layer_norm(img, (8, ))
    """,
    "q k vv": """
        F.scaled_dot_product_attention(q, k, vv)
        F.scaled_dot_product_attention(q, k, vv, is_causal=True)
        F.scaled_dot_product_attention(q, k, vv, scale=0.3)
        F.scaled_dot_product_attention(q, k, vv, attn_mask=MB)
        F.scaled_dot_product_attention(q, k, vv, attn_mask=MF)
        q@k.mT@vv
        T.bmm(q[0], k[0].transpose(1, 2))
        T.baddbmm(q[0]@k[0].mT, q[0], k[0].mT, beta=0.5, alpha=2.0)
        T.matmul(q, k.mT)
    """,
    "m": """
        T.logdet(m @ m.T)
        T.svd(m)[1]
        T.linalg.inv(m)
        T.linalg.det(m)
        T.linalg.slogdet(m)[1]
        T.linalg.solve(m, m@m)
        T.linalg.solve(m, m[0])
        T.linalg.matrix_power(m, 3)
        T.linalg.matrix_power(m, -2)
        T.linalg.cholesky(m@m.T)
        T.linalg.eigvalsh(m+m.T)
        T.linalg.eigh(m@m.T)[0]
        T.linalg.eigh(m@m.T)[1].abs()
        T.linalg.qr(m)[1].abs()
        T.linalg.svdvals(m)
        T.linalg.svd(m)[1]
        T.linalg.pinv(m)
        T.linalg.pinv(m[:, :2])
        T.linalg.multi_dot([m, m, m])
        T.linalg.lstsq(m[:, :2], m[:, 2:])[0]
        T.linalg.solve_triangular(T.tril(m)+3*T.eye(4, dtype=T.float64), m, upper=False)
        T.linalg.norm(m, 'fro')
        T.linalg.cond(m)
        T.addmm(m, m, m.T, beta=0.3, alpha=0.7)
        m.mm(m)
        T.linalg.qr(m[:, :2])[0].abs()
    """,
    "emb": """
        F.embedding(L, emb)
        F.embedding(L, emb, padding_idx=1)
        F.embedding(I, emb)
        F.one_hot(L, 6).to(T.float64)@emb
    """,
    "z": """
        T.abs(z)
        F.hardtanh(z, -1.0, 1.0)
        T.clamp(z, -1.0, 1.0)
        z.max()
        z.amax(1)
        z.amin(0)
        T.maximum(z, z*1)
        z.norm()
        z**2
        z**3
        z**1
        z**0
        F.relu6(z*6)
        F.hardsigmoid(z*3)
        F.softshrink(z*0.5)
        F.hardshrink(z*0.5)
        F.threshold(z, 0.0, 3.0)
        T.prod(z)
        T.prod(z, 1)
        T.cumprod(z, 1)
        F.smooth_l1_loss(z, z*0)
        F.huber_loss(z, z*0)
        F.l1_loss(z, z*0)
        T.where(z>0, T.log(z.clamp(min=1e-3)), z)
        T.linalg.vector_norm(z, dim=1)
        T.xlogy(z, z.abs()+1)
        T.sign(z)*z
        T.hypot(z, z+1)
        T.atan2(z, z+2)
        T.logaddexp(z, z)
        F.logsigmoid(z*0)
        F.mish(z)
        F.margin_ranking_loss(z, z*1, T.ones_like(z))
        F.hinge_embedding_loss(z, T.ones_like(z))
        T.pow(z.abs(), 2.0)
        T.pow(2.0, z)
        z.square().sum().sqrt()
        F.hardswish(z*3)
    """,
}

#: Each with the names of its tensors.
EXPRESSIONS = [
    (line.strip(), names.split()) for names, lines in _BY_INPUTS.items() for line in lines.strip().splitlines()
]
