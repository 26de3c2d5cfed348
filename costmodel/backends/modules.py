"""The torch modules of a built network where torch has none: the graph itself and its merges."""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costmodel.core.network import Network


class Graph(nn.Module):
    """A network's layers, each a submodule that is called on what the layer reads.

    `module_of` maps a layer's name to its submodule's: the same name, so that the keys of
    `state_dict` are the layers' names with `.weight` and so on. A layer `conv1.norm` stands inside
    the layer `conv1`, if there is one, and is called after it. What torch or fvcore does not
    allow is changed: a slash is an underscore, and underscores follow a part that is empty or
    that its module already has (`train`, or `bias` in a convolution).

    >>> from costmodel import Network
    >>> from costmodel.layers import Activation, Conv, Input
    >>> layers = (Input("image", (1, 3, 8, 8)), Conv("a/b", 4, 3), Activation("train"))
    >>> network = Network("n", layers)
    >>> Graph(network, {"a/b": nn.Conv2d(3, 4, 3), "train": nn.ReLU()}).module_of
    {'a/b': 'a_b', 'train': 'train_'}
    """

    def __init__(self, network: Network, modules: Mapping[str, nn.Module]) -> None:
        """Place the module of every layer but the inputs."""
        super().__init__()
        last = {name: layer.name for layer in network.layers for name in layer.inputs}
        self.inputs = tuple(layer.name for layer in network.inputs)
        self.outputs = tuple(
            layer.name
            for layer in network.layers
            if layer.name not in last and (layer.inputs or layer.name in self.inputs)
        )
        done = defaultdict(list)
        for source, reader in last.items():
            done[reader].append(source)
        self.steps = tuple(
            (layer.name, layer.inputs, tuple(done[layer.name]))
            for layer in network.layers
            if layer.name in modules
        )
        self.module_of: dict[str, str] = {}
        paths = {"": ""}
        for name in modules:
            parts = name.split(".")
            for i in range(len(parts)):
                above, here = ".".join(parts[:i]), ".".join(parts[: i + 1])
                if here not in paths:
                    module = modules[here] if here in modules else nn.Module()
                    paths[here] = self._place(paths[above], parts[i], module)
            self.module_of[name] = paths[name]

    def _place(self, above: str, part: str, module: nn.Module) -> str:
        """Add a module inside another, under a name that is still free there; its path."""
        parent = self.get_submodule(above)
        part = part.replace("/", "_") or "_"  # fvcore takes a slash for a step between modules
        while hasattr(parent, part):
            part += "_"
        parent.add_module(part, module)
        return f"{above}.{part}".lstrip(".")

    def module_named(self, name: str) -> nn.Module:
        """The module of a layer, wherever it stands and whatever it was replaced by.

        As `get_submodule` of `module_of`, and in a tenth of its time: a small layer takes no more.

        >>> from costmodel import build, mobilenet_v1
        >>> build(mobilenet_v1(resolution=32)).module_named("conv1.norm").num_features
        32
        """
        module: nn.Module = self
        for part in self.module_of[name].split("."):
            module = module._modules[part]  # type: ignore[assignment] # noqa: SLF001 - torch's own
        return module

    def forward(self, *images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What no layer reads, in the network's order: a tensor, or a tuple where there are more.

        A constant that nothing reads is no output. Each tensor is let go of after its last reader.
        """
        values = dict(zip(self.inputs, images, strict=True))
        for name, reads, done in self.steps:
            values[name] = self.module_named(name)(*(values[source] for source in reads))
            for source in done:
                del values[source]
        outputs = tuple(values[name] for name in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def side_by_side(graph: Graph) -> Graph:
    """The same graph, now with every layer beside the others and none inside another.

    Tools that look no deeper than a module they know (thop, ptflops), or at the innermost ones
    only (torchinfo), then see all of them.

    >>> from costmodel import build, mobilenet_v1
    >>> list(side_by_side(build(mobilenet_v1(resolution=32))).state_dict())[:2]
    ['conv1.weight', 'conv1_norm.weight']
    """
    modules = {name: graph.get_submodule(path) for name, path in graph.module_of.items()}
    for path, _ in list(graph.named_modules())[:0:-1]:  # what stands inside comes off first
        above, _, part = path.rpartition(".")
        delattr(graph.get_submodule(above), part)
    for name, module in modules.items():
        graph.module_of[name] = graph._place("", name.replace(".", "_"), module)  # noqa: SLF001
    return graph


class Add(nn.Module):
    """The sum of any number of tensors.

    >>> Add()(torch.ones(2), torch.ones(2), torch.ones(2))
    tensor([3., 3.])
    """

    def forward(self, *tensors: Tensor) -> Tensor:
        """One plus the next, and so on."""
        return reduce(torch.add, tensors)


class Concat(nn.Module):
    """Tensors side by side along the channels.

    >>> Concat()(torch.ones(1, 2, 4), torch.ones(1, 3, 4)).shape
    torch.Size([1, 5, 4])
    """

    def forward(self, *tensors: Tensor) -> Tensor:
        """Joined along axis 1."""
        return torch.cat(tensors, dim=1)


class Crop(nn.Module):
    """Crops along the batch; every proposal is the whole map, which costs what any other would.

    >>> Crop(3, 2)(torch.ones(1, 5, 8, 8)).shape
    torch.Size([3, 5, 2, 2])
    """

    def __init__(self, proposals: int, output_size: int) -> None:
        """Remember how many, and the side of each."""
        super().__init__()
        self.proposals = proposals
        self.output_size = output_size

    def forward(self, features: Tensor) -> Tensor:
        """The nearest elements, once for each proposal."""
        size = [self.output_size] * (features.dim() - 2)
        crop = interpolate(features, size, mode="nearest-exact")
        return crop.repeat_interleave(self.proposals, dim=0)


class Function(nn.Module):
    """A function of tensors, as a module without parameters.

    >>> Function(torch.mul)(torch.ones(2), 3 * torch.ones(2))
    tensor([3., 3.])
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        """Remember the function."""
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Tensor:
        """Whatever the function makes of them."""
        return self.function(*tensors)


class Learned(nn.Module):
    """An elementwise function of a tensor and a parameter that is broadcast to it: a layer scale.

    >>> Learned(torch.mul, (3, 1, 1))(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    def __init__(self, function: Callable[..., Tensor], sizes: Sequence[int]) -> None:
        """A parameter of ones."""
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """The function of the tensor and the parameter."""
        return self.function(x, self.weight)


class Constant(nn.Module):
    """A tensor that reads nothing: zeros in a buffer, or made of so many parameters.

    The parameters are repeated until the tensor is full, as they are where a batch expands them.

    >>> Constant((4, 1, 8), parameters=8)().shape
    torch.Size([4, 1, 8])
    """

    def __init__(self, sizes: Sequence[int], parameters: int = 0) -> None:
        """Where they are as many as the tensor's elements, the parameter has its shape."""
        super().__init__()
        self.sizes = tuple(sizes)
        whole = parameters == prod(sizes)
        if parameters:
            self.weight = nn.Parameter(torch.zeros(sizes if whole else (parameters,)))
        else:
            self.register_buffer("weight", torch.zeros(sizes))

    def forward(self) -> Tensor:
        """The tensor."""
        if self.weight.shape == self.sizes:
            return self.weight
        elements = prod(self.sizes)
        repeated = self.weight.repeat(-(-elements // self.weight.numel()))
        return repeated[:elements].reshape(self.sizes)


class Attention(nn.Module):
    """Scaled dot-product attention as two products, which every tool counts.

    >>> x = torch.ones(1, 2, 5, 4)
    >>> Attention()(x, x, x).shape
    torch.Size([1, 2, 5, 4])
    """

    def __init__(self, heads: int = 0) -> None:
        """With heads, the operands are (tokens, batch, features)."""
        super().__init__()
        self.heads = heads

    def forward(self, *tensors: Tensor) -> Tensor:
        """Of queries, keys, values and perhaps a mask that is added to the scores."""
        query, key, value = map(self._apart, tensors[:3]) if self.heads else tensors[:3]
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        for mask in tensors[3:]:
            scores = scores + mask
        attended: Tensor = scores.softmax(-1) @ value
        return attended.permute(2, 0, 1, 3).flatten(2) if self.heads else attended

    def _apart(self, x: Tensor) -> Tensor:
        """(batch, heads, tokens, features of one head)."""
        return x.reshape(*x.shape[:2], self.heads, -1).permute(1, 2, 0, 3)
