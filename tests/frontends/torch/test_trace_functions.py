"""What tracing makes of torch's rarer functions, and which layer owns a parameter used twice."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from applied import Apply, counted, written
from torch import nn

from costmodel import CostModelError, cost, from_json, resize, to_json
from costmodel.core import infer
from costmodel.frontends.torch.forward import trace
from costmodel.frontends.torch.free import FREE, SINGULAR
from costmodel.metrics.operators import operators
from costmodel.tools.crosscheck import crosscheck_traced

Case = tuple[nn.Module, tuple[int, ...], int]


def reused(norm: nn.Module, *, learned: bool) -> nn.Module:
    """A norm of a constant, and then of what that is added to."""
    q = (1, 5, 4) if learned else torch.zeros(1, 5, 4)
    return Apply(lambda m, x: m.n(m.l(x) + m.n(m.q)), n=norm, l=nn.Linear(4, 4), q=q)


NORMS = {
    "layer norm": nn.LayerNorm(4),
    "RMS norm": nn.RMSNorm(4),
    "group norm": nn.GroupNorm(1, 5),
    "batch norm": nn.BatchNorm1d(5).eval(),
    "PReLU": nn.PReLU(5),
}

#: A module that uses a parameter more than once, its input's size and its MACs.
OWNED: dict[str, Case] = {
    **{
        f"{name} of {'a parameter' if learned else 'a buffer'}": (
            reused(norm, learned=learned),
            (5, 4),
            5 * 4 * 4,
        )
        for (name, norm), learned in product(NORMS.items(), (True, False))
    },
    "a scale": (Apply(lambda m, x: (x + m.q * m.s) * m.s, s=(4,), q=(1, 5, 4)), (5, 4), 0),
    "a norm's scale": (
        Apply(lambda m, x: m.n(x) * m.n.weight[:, None, None], n=nn.BatchNorm2d(4)),
        (4, 8, 8),
        0,
    ),
    "a norm's shift": (Apply(lambda m, x: m.n(x) + m.n.bias, n=nn.LayerNorm(4)), (5, 4), 0),
    "a norm without its shift": (
        Apply(lambda m, x: F.layer_norm(m.n(x), (4,), m.n.weight), n=nn.LayerNorm(4)),
        (5, 4),
        0,
    ),
    "a bias that scales": (
        Apply(lambda m, x: m.l(x) * m.l.bias, l=nn.Linear(4, 4)),
        (5, 4),
        5 * 4 * 4,
    ),
    "a bias that is a weight": (
        Apply(lambda m, x: F.linear(m.l(x).view(1, 2, 2), m.l.bias.view(2, 2)), l=nn.Linear(4, 4)),
        (4,),
        4 * 4 + 2 * 2 * 2,
    ),
    "a table that is a weight and a norm": (
        Apply(
            lambda m, x: F.layer_norm(F.linear(x + m.w.view(1, 2, 2), m.w), (2, 2), m.w), w=(2, 2)
        ),
        (2, 2),
        2 * 2 * 2,
    ),
    "a standardised weight and itself": (
        Apply(lambda m, x: F.conv2d(F.conv2d(x, m.w - m.w.mean(), padding=1), m.w), w=(3, 3, 3, 3)),
        (3, 8, 8),
        9 * 3 * 3 * (64 + 36),
    ),
}


@pytest.mark.parametrize("name", OWNED)
def test_a_parameter_counts_once(name: str) -> None:
    """Used on a constant, in two roles or alone, and each of its layers' MACs are torch's."""
    module, size, macs = OWNED[name]
    total = cost(trace(module, size))
    assert (total.macs, total.params) == counted(module, (1, *size))
    assert (total.macs, total.unknown) == (macs, ())


def test_a_norm_that_is_shared_is_one() -> None:
    """The layer has the norm's parameters, twice if it runs twice; the constant only its own."""
    module = Apply(lambda m, x: m.n(m.n(x) + m.n(m.q)), n=nn.LayerNorm(4), q=(5, 4))
    network = trace(module, (5, 4))
    assert [network["n"].tensors, network["n"].shares] == [2, ""]
    assert [network["n_2"].tensors, network["n_2"].shares] == [2, "n"]
    assert network["q"].parameters == 5 * 4


#: The same of functions that multiply and accumulate.
PRODUCTS: dict[str, Case] = {
    "linalg.matmul": (Apply(lambda _, x: torch.linalg.matmul(x, x.mT)), (4, 5), 4 * 5 * 4),
    "inner with a weight": (Apply(lambda m, x: torch.inner(x, m.w), w=(6, 5)), (4, 5), 4 * 5 * 6),
    "inner": (Apply(lambda _, x: torch.inner(x, x[:, :2])), (4, 5), 4 * 2 * 5),
    "inner of a matrix and a vector": (
        Apply(lambda m, x: torch.inner(x, m.w), w=(5,)),
        (4, 5),
        4 * 5,
    ),
    "multi_dot of two": (
        Apply(lambda m, x: torch.linalg.multi_dot([x[0], m.w]), w=(5, 6)),
        (4, 5),
        4 * 5 * 6,
    ),
    "multi_dot, from the left": (
        Apply(lambda m, x: torch.linalg.multi_dot([x[0], m.a, m.b]), a=(5, 3), b=(3, 7)),
        (4, 5),
        4 * 5 * 3 + 4 * 3 * 7,
    ),
    "multi_dot, from the right": (
        Apply(lambda m, x: torch.linalg.multi_dot([x[0], m.a, m.b]), a=(5, 9), b=(9, 1)),
        (4, 5),
        5 * 9 * 1 + 4 * 5 * 1,
    ),
    "multi_dot of five": (
        Apply(
            lambda m, x: torch.linalg.multi_dot([x[0], m.a, m.b, m.c, m.d]),
            a=(5, 30),
            b=(30, 7),
            c=(7, 9),
            d=(9, 2),
        ),
        (4, 5),
        7 * 9 * 2 + 30 * 7 * 2 + 5 * 30 * 2 + 4 * 5 * 2,
    ),
    "multi_dot of vectors": (
        Apply(lambda m, x: torch.linalg.multi_dot([x[0, 0], m.a, m.b]), a=(5, 3), b=(3,)),
        (4, 5),
        5 * 3 + 3,
    ),
    "chain_matmul": (
        Apply(lambda m, x: torch.chain_matmul(x[0], m.a, m.b), a=(5, 3), b=(3, 7)),
        (4, 5),
        4 * 5 * 3 + 4 * 3 * 7,
    ),
    **{
        f"matrix_power {n}": (
            Apply(lambda _, x, n=n: torch.matrix_power(x, n)),
            (5, 5),
            5**3 * products,
        )
        for n, products in {0: 0, 1: 0, 2: 1, 3: 2, 7: 4, 8: 3, 13: 5}.items()
    },
    "linalg.matrix_power": (Apply(lambda _, x: torch.linalg.matrix_power(x, 6)), (5, 5), 3 * 5**3),
    "convolution": (
        Apply(
            lambda m, x: torch.convolution(
                x,
                m.w,
                None,
                (2, 2),
                (1, 1),
                (1, 1),
                transposed=False,
                output_padding=(0, 0),
                groups=1,
            ),
            w=(8, 3, 3, 3),
        ),
        (3, 9, 9),
        9 * 3 * 8 * 25,
    ),
    "convolution, transposed": (
        Apply(
            lambda m, x: torch.convolution(
                x,
                m.w,
                m.b,
                (2, 2),
                (1, 1),
                (1, 1),
                transposed=True,
                output_padding=(1, 1),
                groups=1,
            ),
            w=(3, 8, 3, 3),
            b=(8,),
        ),
        (3, 9, 9),
        9 * 3 * 8 * 81,
    ),
    "mm, written elsewhere": (
        Apply(
            lambda m, x: torch.mm(x[0], m.w, out=torch.empty(4, 6, device=x.device)),
            w=torch.zeros(5, 6),
        ),
        (4, 5),
        4 * 5 * 6,
    ),
    "mm, keywords": (Apply(lambda m, x: torch.mm(input=x[0], mat2=m.w), w=(5, 6)), (4, 5), 120),
    "bmm, keywords": (Apply(lambda m, x: torch.bmm(mat2=m.w, input=x), w=(1, 5, 6)), (4, 5), 120),
    "matmul, keywords": (
        Apply(lambda m, x: torch.matmul(other=m.w, input=x), w=(5, 6)),
        (4, 5),
        4 * 5 * 6,
    ),
    "addmm, keywords": (
        Apply(lambda m, x: torch.addmm(mat2=m.w, mat1=x[0], input=m.b), w=(5, 6), b=(6,)),
        (4, 5),
        4 * 5 * 6,
    ),
    "baddbmm, keywords": (
        Apply(
            lambda m, x: torch.baddbmm(batch2=m.w, batch1=x, input=m.b, alpha=2),
            w=(1, 5, 6),
            b=(6,),
        ),
        (4, 5),
        4 * 5 * 6,
    ),
    "an outer tensordot, a product over one": (
        Apply(lambda m, x: torch.tensordot(x, m.w, 0), w=(6,)),
        (4,),
        4 * 6,
    ),
    "a vector times matrices": (
        Apply(lambda m, x: m.w @ x, w=torch.zeros(4)),
        (3, 4, 5),
        3 * 4 * 5,
    ),
    "matrices out of order times a vector": (
        Apply(lambda m, x: x.permute(0, 2, 3, 1) @ m.w, w=torch.zeros(3)),
        (3, 4, 5),
        3 * 4 * 5,
    ),
    "a leaf of several functions": (
        nn.Sequential(Apply(lambda m, x: F.linear(x, m.a) @ m.b @ m.b.mT, a=(6, 5), b=(6, 2))),
        (4, 5),
        4 * (5 * 6 + 6 * 2 + 2 * 6),
    ),
}


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_by_every_name(name: str) -> None:
    """MACs are the hand-written product and FlopCounterMode's, activations what torch writes."""
    module, size, macs = PRODUCTS[name]
    activations = written(module, (1, *size))
    network = trace(module, size)
    total = cost(network)
    assert (total.macs, total.params) == counted(module, (1, *size))
    assert (total.macs, total.activations, total.unknown) == (macs, activations, ())
    assert crosscheck_traced(network, module).status == "passed"
    assert from_json(to_json(network)) == network


#: Products that torch's FlopCounterMode does not see, and their MACs.
VECTORS: dict[str, Case] = {
    "mv": (Apply(lambda m, x: torch.mv(input=x[0], vec=m.w), w=(5,)), (4, 5), 4 * 5),
    "dot": (Apply(lambda m, x: torch.dot(input=x[0], tensor=m.w), w=(5,)), (5,), 5),
    "vdot": (Apply(lambda m, x: torch.vdot(x[0], m.w), w=(5,)), (5,), 5),
    "addmv": (Apply(lambda m, x: torch.addmv(m.b, x[0], m.w), w=(5,), b=(4,)), (4, 5), 4 * 5),
    "addbmm": (
        Apply(lambda m, x: torch.addbmm(m.b, x, batch2=m.w), w=(1, 5, 6), b=(6,)),
        (4, 5),
        4 * 5 * 6,
    ),
    "inner of vectors": (Apply(lambda m, x: torch.inner(x[0], m.w), w=(5,)), (5,), 5),
    "a tensordot over all axes": (
        Apply(lambda m, x: torch.tensordot(x[0], m.w, 2), w=(4, 5)),
        (4, 5),
        4 * 5,
    ),
    "images times a vector": (Apply(lambda m, x: x @ m.w, w=(6,)), (3, 5, 6), 3 * 5 * 6),
    "a vector times matrices, transposed": (
        Apply(lambda m, x: m.w @ x.mT, w=torch.zeros(5)),
        (3, 4, 5),
        3 * 4 * 5,
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_products_that_the_reference_leaves_out(name: str) -> None:
    """They are counted, torch writes as much, and the check leaves just them out, by name."""
    module, size, macs = VECTORS[name]
    activations = written(module, (1, *size))
    total = cost(network := trace(module, size))
    assert (total.macs, total.activations, total.unknown) == (macs, activations, ())
    assert counted(module, (1, *size)) == (0, total.params)
    check = crosscheck_traced(network, module)
    assert check.status == "passed"
    (explained,) = check.explanations
    assert explained.startswith(f"FlopCounterMode leaves out {2 * macs} flops: mv, dot and addbmm")


def test_spectral_norm_is_checked() -> None:
    """Its power iteration is of vectors, in training; the convolution is compared as ever."""
    for make in (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm):
        module = make(nn.Conv2d(3, 4, 3))
        network = trace(module, (3, 8, 8))
        check = crosscheck_traced(network, module)
        assert (check.status, len(check.explanations)) == ("passed", 1)
        assert cost(network).unknown == ()
        # u and v of one iteration, and uᵀWv
        assert cost(network).macs == 27 * 4 * 36 + 2 * 27 * 4 + (27 * 4 + 4)


def test_a_wrong_count_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out is exact: a count that is off by anything else differs."""
    module = Apply(lambda m, x: m.c(x) @ m.w, c=nn.Conv2d(3, 4, 3), w=(6,))
    network = trace(module, (3, 8, 8))
    assert crosscheck_traced(network, module).status == "passed"
    monkeypatch.setattr("costmodel.tools.crosscheck.operations", lambda *_: iter(()))
    check = crosscheck_traced(network, module)
    assert (check.status, check.explanations) == ("failed", ())


def test_the_order_of_a_chain_is_fixed() -> None:
    """It depends on the sizes: at others the model might multiply in another order."""
    module = Apply(lambda m, x: torch.linalg.multi_dot([x[0, 0], m.a, m.b]), a=(8, 3), b=(3, 7))
    network = trace(module, (1, 8, 8))
    with pytest.raises(CostModelError, match="fixes its input's size"):
        cost(resize(network, rho=2))
    two = Apply(lambda m, x: torch.linalg.multi_dot([x[0, 0], m.a]), a=(8, 3))
    assert cost(resize(trace(two, (1, 8, 8)), resolution=(16, 8))).macs == 16 * 8 * 3


@pytest.mark.parametrize("kdim", [None, 6])
def test_attention_with_all_that_it_takes(kdim: int | None) -> None:
    """Learned keys, keys of zeros, batches or none, in any order of axes: MACs are torch's."""
    for learned, zero, first, batched, trained in product((False, True), repeat=5):
        module = nn.MultiheadAttention(
            *(8, 2),
            add_bias_kv=learned,
            add_zero_attn=zero,
            batch_first=first,
            kdim=kdim,
            vdim=kdim,
        ).train(trained)
        sizes = [(5, 8), (7, kdim or 8)]
        if batched:
            sizes = [(3, *x) if first else (x[0], 3, x[1]) for x in sizes]
        sizes = [*sizes, sizes[1]]
        network = trace(module, example_inputs=tuple(sizes))
        total = cost(network)
        assert (total.macs, total.params) == counted(module, *sizes)
        keys = 7 + learned + zero
        batch = 3 if batched else 1
        inputs = 5 * 8 + 2 * 7 * (kdim or 8)
        assert total.macs == batch * (8 * (inputs + 5 * 8) + 2 * 5 * keys * 8)
        assert total.unknown == ()


#: Functions that are free or unknown by decision.
STATES: dict[str, tuple[Any, bool]] = {
    "outer": (lambda x: torch.outer(x[0], x[1]), False),
    "kron": (lambda x: torch.kron(x, x), False),
    "an einsum of no sum": (lambda x: torch.einsum("bi,bj->bij", x, x), False),
    "an einsum of one operand": (lambda x: torch.einsum("ii->i", x), False),
    "grid_sample": (
        lambda x: F.grid_sample(x[None, None], x.view(1, 2, 4, 2), align_corners=True),
        False,
    ),
    "norm": (lambda x: torch.norm(x, dim=0), False),
    "nuclear norm": (lambda x: torch.norm(x, "nuc"), True),
    "nuclear norm, a method": (lambda x: x.norm(p="nuc"), True),
    "norm of linalg": (torch.linalg.norm, False),
    "norm of vectors": (lambda x: torch.linalg.norm(x, 2, dim=1), False),
    "spectral norm": (lambda x: torch.linalg.norm(x, 2), True),
    "least singular value": (lambda x: torch.linalg.norm(x, ord=-2, dim=(0, 1)), True),
    "matrix norm": (torch.linalg.matrix_norm, False),
    "nuclear matrix norm": (lambda x: torch.linalg.matrix_norm(x, ord="nuc"), True),
    "svd": (lambda x: torch.linalg.svd(x)[0], True),
    "inverse": (torch.linalg.inv, True),
    "power of the inverse": (lambda x: torch.linalg.matrix_power(x, -2), True),
    "exponential": (torch.linalg.matrix_exp, True),
    "distances": (lambda x: torch.cdist(x, x), True),
}


@pytest.mark.parametrize("name", STATES)
def test_free_or_unknown_by_decision(name: str) -> None:
    """What multiplies without adding up is free, what decomposes has an unknown cost."""
    function, unknown = STATES[name]
    network = trace(Apply(lambda _, x: function(x)), example_inputs=((4, 4),))
    assert bool(cost(network).unknown) == unknown
    assert {x.state for x in operators(network)} <= {"free", "unknown"}


def test_one_table_says_what_is_free() -> None:
    """Each function whose norm may be unknown is in it, and no name stands there twice."""
    assert set(SINGULAR) <= FREE
    from costmodel.frontends.torch import free

    assert len(free._NAMES.split()) == len(FREE)


RECURRENT: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    **{
        f"{kind.__name__}, {words}": (kind(3, 4, batch_first=True, **named), (2, 5, 3))
        for kind in (nn.GRU, nn.LSTM, nn.RNN)
        for words, named in {
            "one layer": {},
            "three layers both ways": {"num_layers": 3, "bidirectional": True},
            "no bias": {"num_layers": 2, "bias": False},
        }.items()
    },
    "LSTM, projected": (nn.LSTM(3, 4, 2, batch_first=True, proj_size=2), (2, 5, 3)),
    **{x.__name__: (x(3, 4), (2, 3)) for x in (nn.GRUCell, nn.LSTMCell, nn.RNNCell)},
}


@pytest.mark.parametrize("name", RECURRENT)
def test_activations_of_recurrent_layers(name: str) -> None:
    """They are what torch's own products write: every step's, of every layer, in each direction."""
    module, size = RECURRENT[name]
    activations = written(module, size)
    total = cost(trace(module, example_inputs=(size,)))
    assert (total.macs, total.params) == counted(module, size)
    assert total.activations == activations


def test_two_layers_in_one_module_are_two_modules() -> None:
    """num_layers=2 costs what a layer after another does; frozen weights count as well."""
    both = cost(trace(nn.GRU(4, 4, 2, batch_first=True), (5, 4)))
    apart = Apply(
        lambda m, x: m.b(m.a(x)[0])[0],
        a=nn.GRU(4, 4, batch_first=True),
        b=nn.GRU(4, 4, batch_first=True),
    )
    assert both == cost(trace(apart, (5, 4)))
    frozen = nn.GRUCell(3, 4)
    for key in tuple(frozen._parameters):
        frozen.register_buffer(key, frozen._parameters.pop(key).data)
    assert cost(trace(frozen, (3,))).macs == 3 * 4 * (3 + 4)


class Sequencer(nn.Module):
    """LSTMs both ways along the rows and along the columns, joined, and a network of two layers."""

    def __init__(self) -> None:
        """Of 8 features, 2 in each direction."""
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(8), nn.LayerNorm(8)])
        self.rows, self.columns = (
            nn.LSTM(8, 2, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.join = nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 24), nn.GELU(), nn.Linear(24, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix, then transform each position."""
        batch, height, width, features = x.shape
        y = self.norms[0](x)
        rows, _ = self.rows(y.reshape(-1, width, features))
        columns, _ = self.columns(y.transpose(1, 2).reshape(-1, height, features))
        columns = columns.view(batch, width, height, -1).transpose(1, 2)
        x = x + self.join(torch.cat([rows.view(batch, height, width, -1), columns], -1))
        return x + self.mlp(self.norms[1](x))


def test_activations_of_a_sequencer() -> None:
    """All that its products write: 4·2 of each input and state in four LSTMs; then 8, 24, 8."""
    module = Sequencer()
    activations = written(module, (1, 6, 5, 8))
    assert activations == 6 * 5 * (4 * 2 * (4 * 2) + 8 + 24 + 8)
    assert cost(trace(module, (6, 5, 8))).activations == activations


#: Calls under vmap: MACs are those of one call by the number of calls.
VMAPPED: dict[str, Case] = {
    "a product": (
        Apply(lambda m, x: torch.vmap(lambda a: (a @ m.w).relu() + 1)(x), w=(5, 6)),
        (4, 5),
        4 * 5 * 6,
    ),
    "a module": (
        Apply(
            lambda m, x: torch.vmap(lambda a: m.n(m.l(a) + a))(x),
            n=nn.LayerNorm(5),
            l=nn.Linear(5, 5),
        ),
        (4, 5),
        4 * 5 * 5,
    ),
    "a convolution": (
        Apply(lambda m, x: torch.vmap(m.c)(x[None]), c=nn.Conv2d(3, 4, 3)),
        (3, 8, 8),
        27 * 4 * 36,
    ),
    "other axes": (
        Apply(
            lambda m, x: torch.vmap(lambda a: F.linear(a, m.w), in_dims=2, out_dims=1)(x), w=(6, 5)
        ),
        (4, 3, 5),
        4 * 3 * 5 * 6,
    ),
    "vmap in vmap": (
        Apply(lambda m, x: torch.vmap(torch.vmap(lambda a: m.w @ a))(x), w=(6, 5)),
        (4, 5, 3),
        4 * 6 * 5 * 3,
    ),
    "in chunks": (
        Apply(lambda m, x: torch.vmap(lambda a: F.linear(a, m.w), chunk_size=3)(x[0]), w=(6, 5)),
        (4, 3, 5),
        4 * 3 * 5 * 6,
    ),
    "an ensemble": (
        Apply(
            lambda m, x: torch.vmap(lambda w, b, a: F.linear(a, w, b), (0, 0, None))(m.w, m.b, x),
            w=(7, 6, 5),
            b=(7, 6),
        ),
        (4, 5),
        7 * 4 * 5 * 6,
    ),
    "with what is outside": (
        Apply(lambda _, x: torch.vmap(lambda a: (a @ x[0].mT).softmax(-1) @ x[0])(x)),
        (4, 5),
        2 * 4 * 4 * 5,
    ),
    "with sizes, and more behind": (
        Apply(
            lambda m, x: m.l(torch.vmap(lambda a: a.view(a.shape[0] * a.shape[1]).relu())(x)),
            l=nn.Linear(20, 3),
        ),
        (4, 5),
        20 * 3,
    ),
}


@pytest.mark.parametrize("name", VMAPPED)
def test_calls_under_vmap(name: str) -> None:
    """MACs are the hand-written product and FlopCounterMode's, activations what torch writes."""
    module, size, macs = VMAPPED[name]
    activations = written(module, (1, *size))
    network = trace(module, size)
    total = cost(network)
    assert (total.macs, total.params) == counted(module, (1, *size))
    assert (total.macs, total.activations, total.unknown) == (macs, activations, ())
    assert crosscheck_traced(network, module).status == "passed"


def test_what_is_unknown_is_so_under_vmap() -> None:
    """An inverse of each sample is no less unknown than one of all."""
    network = trace(Apply(lambda _, x: torch.vmap(lambda a: torch.linalg.inv(a) + a)(x)), (4, 4))
    assert cost(network).unknown == ("linalg_inv",)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "function",
    [lambda x: F.upsample(x, scale_factor=2), lambda x: x.argmin(1), lambda x: x.argmax(1)],
    ids=["upsample", "argmin", "argmax"],
)
def test_functions_that_resize_or_choose_are_free(function: Any) -> None:
    """Each is known by its shape, and costs nothing: no bound, no MACs."""
    network = trace(Apply(lambda _, x: function(x)), (3, 8, 8))
    total = cost(network)
    assert (total.macs, total.unknown) == (0, ())
    assert infer(network)[-1].output == tuple(function(torch.zeros(1, 3, 8, 8)).shape)
