"""What is added, multiplied, joined or divided stays so at any width, in random traced modules."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")

import torch.nn.functional as F  # noqa: E402, N812
from strategies import width_function  # noqa: E402
from torch import nn  # noqa: E402

from costmodel import CostModelError, Network, cost, cost_function, layers as ir, resize, widen  # noqa: E402
from costmodel.backends.building import build  # noqa: E402
from costmodel.core import infer  # noqa: E402
from costmodel.core.widths import Widths  # noqa: E402
from costmodel.frontends.torch.forward import trace  # noqa: E402
from costmodel.layers import Add, Concat, Conv, Fixed, Input  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable


class Block(nn.Module):
    """A module with parts by name and a function of them for its forward pass."""

    def __init__(self, forward: Callable[[Any, Any], Any], **parts: nn.Module) -> None:
        """Take the function and what it calls."""
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Any) -> Any:
        """Apply them."""
        return self.function(self, x)


def conv(i: int, o: int, kernel: int = 1, **settings: Any) -> nn.Module:
    """A convolution that keeps the size."""
    return nn.Conv2d(i, o, kernel, padding=kernel // 2, **settings)


def residual(c: int, draw: random.Random) -> nn.Module:
    """x + f(x), in a bottleneck of any width."""
    middle = draw.choice([c // 2, c, 2 * c])
    return Block(lambda m, x: x + m.b(F.relu(m.a(x))), a=conv(c, middle, 3), b=conv(middle, c))


def gate(c: int, draw: random.Random) -> nn.Module:
    """Squeeze-excite: the features are multiplied by a gate each."""
    squeezed = draw.choice([4, c // 4])
    return Block(
        lambda m, x: x * torch.sigmoid(m.b(F.relu(m.a(x.mean((2, 3), keepdim=True))))),
        a=conv(c, squeezed),
        b=conv(squeezed, c),
    )


def gate_of_linears(c: int, _draw: random.Random) -> nn.Module:
    """The same with linear layers and axes put back."""
    return Block(
        lambda m, x: torch.sigmoid(m.b(F.relu(m.a(x.mean((2, 3))))))[:, :, None, None] * x,
        a=nn.Linear(c, c // 2),
        b=nn.Linear(c // 2, c),
    )


def spatial_gate(c: int, _draw: random.Random) -> nn.Module:
    """A gate of one channel for every position."""
    return Block(lambda m, x: x * torch.sigmoid(m.a(x)), a=conv(c, 1, 3))


def ghost(c: int, _draw: random.Random) -> nn.Module:
    """Half of the channels, and cheap features of that half, beside each other and added."""
    return Block(
        lambda m, x: x + torch.cat([y := m.a(x), m.b(y)], 1),
        a=conv(c, c // 2),
        b=conv(c // 2, c // 2, 3, groups=c // 2),
    )


def joined(c: int, draw: random.Random) -> nn.Module:
    """Two branches of different widths, joined and added."""
    part = draw.choice([c // 4, c // 2, 3 * c // 4])
    return Block(
        lambda m, x: x + torch.cat([m.a(x), m.b(x)], 1), a=conv(c, part), b=conv(c, c - part, 3)
    )


def projected(c: int, draw: random.Random) -> nn.Module:
    """A shortcut with a convolution of its own beside joined branches."""
    part = draw.choice([8, 16, 24])
    return Block(
        lambda m, x: m.out(m.short(x) + torch.cat([m.a(x), m.b(x)], 1)),
        short=conv(c, part + 12),
        a=conv(c, part),
        b=conv(c, 12),
        out=conv(part + 12, c),
    )


def res2net(c: int, draw: random.Random) -> nn.Module:
    """Parts of the channels, each convolved with the sum of the one before and its own."""
    scale = draw.choice([2, 4])

    def forward(m: Any, x: Any) -> Any:
        parts, made = m.a(x).chunk(scale, 1), []
        for i, part in enumerate(parts[1:]):
            made.append(m.get_submodule(f"c{i}")(part + made[-1] if made else part))
        return x + m.b(torch.cat([parts[0], *made], 1))

    width = scale * draw.choice([4, 8, 10])
    convs = {f"c{i}": conv(width // scale, width // scale, 3) for i in range(scale - 1)}
    return Block(forward, a=conv(c, width), b=conv(width, c), **convs)


def shuffle(c: int, draw: random.Random) -> nn.Module:
    """Grouped convolutions with a shuffle between, written as ShuffleNet writes it."""
    groups = draw.choice([2, 4])

    def forward(m: Any, x: Any) -> Any:
        n, channels, h, w = (y := m.a(x)).shape
        y = y.view(n, groups, channels // groups, h, w).transpose(1, 2).reshape(n, channels, h, w)
        return F.relu(m.b(y))

    return Block(forward, a=conv(c, c, groups=groups), b=conv(c, c, groups=groups))


def halves(c: int, _draw: random.Random) -> nn.Module:
    """Half of the channels passed by, and a shuffle of torch's own."""
    return Block(
        lambda m, x: m.mix(torch.cat([(p := x.chunk(2, 1))[0], m.a(p[1])], 1)),
        a=conv(c // 2, c // 2, 3),
        mix=nn.ChannelShuffle(2),
    )


def normalised(c: int, draw: random.Random) -> nn.Module:
    """A group norm, whose groups divide the channels, then a PReLU for each."""
    return nn.Sequential(conv(c, c), nn.GroupNorm(draw.choice([2, 4, 8]), c), nn.PReLU(c))


def depthwise(c: int, draw: random.Random) -> nn.Module:
    """Depthwise separable, perhaps with several outputs of each channel."""
    times = draw.choice([1, 2])
    return nn.Sequential(
        conv(c, times * c, 3, groups=c), nn.BatchNorm2d(times * c), conv(times * c, c)
    )


def transposed(c: int, draw: random.Random) -> nn.Module:
    """Down and up again, in groups, and added to what there was."""
    groups = draw.choice([1, 2, 4])
    return Block(
        lambda m, x: x + m.up(m.down(x)),
        down=nn.Conv2d(c, 2 * c, 2, 2),
        up=nn.ConvTranspose2d(2 * c, c, 2, 2, groups=groups),
    )


def dense(c: int, draw: random.Random) -> nn.Module:
    """What came before beside what is new, twice, and a transition."""
    new = draw.choice([4, 12])

    def forward(m: Any, x: Any) -> Any:
        x = torch.cat([x, m.a(x)], 1)
        return m.out(torch.cat([x, m.b(x)], 1))

    return Block(forward, a=conv(c, new, 3), b=conv(c + new, new, 3), out=conv(c + 2 * new, c))


def selected(c: int, _draw: random.Random) -> nn.Module:
    """Branches weighed by a softmax over them, as in selective kernels."""

    def forward(m: Any, x: Any) -> Any:
        both = torch.stack([m.a(x), m.b(x)], 1)
        n, _, channels, _, _ = both.shape
        weights = m.fc(F.relu(m.fr(both.sum(1).mean((2, 3), keepdim=True))))
        weights = weights.view(n, 2, channels, 1, 1).softmax(1)
        return (both * weights).sum(1)

    parts = {"a": conv(c, c), "b": conv(c, c, 3), "fr": conv(c, 8), "fc": conv(8, 2 * c)}
    return Block(forward, **parts)


def attention(c: int, draw: random.Random) -> nn.Module:
    """Tokens with a learned position and a class token, which attend to each other."""
    heads = draw.choice([2, 4])

    def forward(m: Any, x: Any) -> Any:
        tokens = torch.cat([m.cls.expand(x.shape[0], -1, -1), x.flatten(2).mT], 1) + m.position
        n, t, width = tokens.shape
        qkv = m.qkv(m.norm(tokens)).reshape(n, t, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        made = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        tokens = tokens + m.out(made.transpose(1, 2).reshape(n, t, width))
        return tokens[:, 1:].mT.unflatten(2, (8, 8))

    block = Block(forward, norm=nn.LayerNorm(c), qkv=nn.Linear(c, 3 * c), out=nn.Linear(c, c))
    block.cls = nn.Parameter(torch.zeros(1, 1, c))
    block.position = nn.Parameter(torch.zeros(1, 65, c))
    return block


BLOCKS = (
    *(residual, gate, gate_of_linears, spatial_gate, ghost, joined, projected, res2net, shuffle),
    *(halves, normalised, depthwise, transposed, dense, selected, attention),
)


def network_of(seed: int) -> nn.Module:
    """A stem, one to four random blocks with a change of width between, and a classifier."""
    draw = random.Random(seed)  # noqa: S311 - no secrets
    c = draw.choice([16, 24, 32, 40])
    parts: list[nn.Module] = [nn.Conv2d(3, c, 3, 2, 1), nn.BatchNorm2d(c), nn.ReLU()]
    for _ in range(draw.randint(1, 4)):
        parts.append(draw.choice(BLOCKS)(c, draw))
        if draw.random() < 0.3:
            wider = draw.choice([16, 24, 48])
            parts.append(conv(c, wider))
            c = wider
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))
    return nn.Sequential(*parts, head).eval()


ALPHAS = ("0.3", "0.5", "0.75", "1.3")
ROUNDINGS = ("floor", "divisible(8)")


def check(seed: int) -> None:
    """The module widens at every α and rounding, and what is built of it runs."""
    network = trace(network_of(seed), (3, 16, 16))
    assert widen(network, 1) == network
    image = torch.zeros(1, 3, 16, 16)
    for alpha in ALPHAS:
        for rounding in ROUNDINGS:
            widened = widen(network, alpha, rounding)
            total = cost(widened)
            with torch.no_grad():
                module = build(widened).eval()
                assert module(image).shape == infer(widened)[-1].output == (1, 10)
            assert total.params == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("seed", range(12))
def test_random_modules_widen(seed: int) -> None:
    """Sums, gates, joins, shuffles, groups and attention hold at any α."""
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 300))
def test_more_random_modules_widen(seed: int) -> None:
    """The same on many."""
    check(seed)


def around(block: Callable[[int, random.Random], nn.Module], c: int) -> nn.Module:
    """A stem, a block and a classifier."""
    part = block(c, random.Random(1))  # noqa: S311 - no secrets
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(3, c, 3, 2, 1), part, pool, nn.Flatten(), nn.Linear(c, 10))


#: Blocks that have no width of their own.
BY_WIDTH = (
    *(residual, gate_of_linears, spatial_gate, ghost, shuffle, halves, normalised, depthwise),
    *(transposed, attention),
)


@pytest.mark.parametrize("block", BY_WIDTH, ids=lambda block: block.__name__)
def test_half_is_the_module_built_half_as_wide(block: Any) -> None:
    """Nothing that could follow α stays behind: parameters that are added follow too."""
    wide, narrow = (trace(around(block, c).eval(), (3, 16, 16)) for c in (32, 16))
    assert cost(widen(wide, "1/2")) == cost(narrow)


def net(*layers: Any) -> Network:
    """A network of some layers behind an image."""
    return Network("net", (Input("image", (1, 3, 8, 8)), *layers))


def test_a_shortcut_is_the_sum_of_the_branches_beside_it() -> None:
    """Of 20 + 12 channels at α = 1/2 each is rounded, and the shortcut has as many as both."""
    network = net(
        Conv("short", 32, 1),
        Conv("a", 20, 1),
        Conv("b", 12, 1, inputs="short"),
        Concat("ab", inputs=("a", "b")),
        Add("sum", inputs=("short", "ab")),
        Conv("out", Fixed(5), 1),
    )
    made = widen(network, "1/2")
    assert [made[name].out_channels for name in ("a", "b", "short")] == [10, 8, 18]  # 12·½ < 8
    assert Widths.of(network).columns == {"a": 1, "b": 1}
    widths = width_function(network)
    assert widths([10, 8], 8) == cost(made) == cost_function(network)(0.5, 8)


def test_what_is_added_to_the_image_keeps_its_channels() -> None:
    """α leaves a layer alone whose output is added to what it cannot change."""
    network = net(Conv("a", 8, 1), Conv("b", 3, 1), Add("sum", inputs=("image", "b")))
    assert [widen(network, 2)[name].out_channels for name in ("a", "b")] == [16, 3]


def test_a_size_said_by_number_is_refused_by_name() -> None:
    """An operator known by its sizes alone names the layer whose width it keeps, and a remedy."""
    network = net(
        Conv("a", 8, 1), ir.Recorded("odd", "index_select", ((1, 8, 8, 8),), (1, 4, 8, 8))
    )
    assert widen(network, 1) == network
    with pytest.raises(CostModelError, match=r"^a: its width of 8 cannot become 16, since odd "):
        widen(network, 2)


def test_a_layer_of_ones_own_divides_without_being_listed() -> None:
    """A rule that divides a size is all that α needs to keep it a multiple: a grouped norm of 7."""
    network = net(Conv("a", 21, 1), ir.Affine("norm", "group_norm", groups=7, tensors=2))
    assert widen(network, "1/2")["a"].out_channels == 14  # 10 rounded down is 7, the least is 8


def test_widths_are_worked_out_once() -> None:
    """A network, and the same at another resolution, is lowered for its ties once."""
    network = net(Conv("a", 8, 1))
    assert Widths.of(resize(network, resolution=16)) is Widths.of(network)
