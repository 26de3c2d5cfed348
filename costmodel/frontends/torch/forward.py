"""Tracing: any torch module as a network, from one forward pass over tensors without data.

A public `TorchFunctionMode` sees every call. It runs each on the meta device, with a twin of
every tensor that is the caller's, so nothing is allocated and the module is never touched.
"""

from __future__ import annotations

import inspect
import random
import sys
import warnings
from collections import OrderedDict
from collections.abc import MutableMapping
from contextlib import ExitStack, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from costmodel import layers as ir
from costmodel.core.lower import lower
from costmodel.core.network import Network
from costmodel.errors import CostModelError, said
from costmodel.frontends.origins import Notice, Origin, Traced
from costmodel.frontends.torch.batched import Each, interpret_each, is_batched, whole
from costmodel.frontends.torch.calls import Call, Extent, Graph, Value
from costmodel.frontends.torch.functions import interpret
from costmodel.frontends.torch.names import told
from costmodel.frontends.torch.relations import checked, related

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Sizes = tuple[int, ...]

#: Functions that need a tensor's values: a branch on data.
_VALUES = frozenset(
    "item tolist numpy nonzero __bool__ __int__ __float__ __index__ is_nonzero unique".split()  # noqa: SIM905 - on one line
)
_DEVICES = frozenset({"cpu", "cuda"})
#: Functions whose output is like their first input, always or where the others are like it too.
#: Torch works out in Python what even a sum of meta tensors is like, which takes most of a pass.
_LIKE_FIRST = dict.fromkeys(["batch_norm", "group_norm", "instance_norm", "rms_norm"]) | {
    "layer_norm": torch.contiguous_format
}
_ARITHMETIC = frozenset(
    "add sub mul div __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__".split()  # noqa: SIM905 - on one line
)


def trace(
    module: nn.Module,
    input_size: tuple[int, ...] = (3, 224, 224),
    *,
    example_inputs: Any = None,
    strict: bool = False,
) -> Network:
    """The network that a torch module computes on one input of `input_size` (batch apart).

    `example_inputs` are the inputs of a model that takes several, or other than floats: a tuple
    or a dict, by name, of tensors or of sizes with the batch, or of lists, tuples and dicts of
    them, however deep, where the model takes such. The module's mode (train or eval)
    is kept, and nothing of it is changed, computed or copied. Layers are named after the modules
    that run them; functions are numbered within theirs. A parameter that no layer holds (a table
    of positions, or one that nothing uses) is a `Constant`.

    >>> from torch import nn
    >>> from costmodel import cost, resize
    >>> net = trace(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU()), (3, 32, 32))
    >>> cost(resize(net, rho=2)).macs == 9 * 3 * 16 * 62 * 62
    True

    At other sizes the model is taken to make the same calls, except where it branched on the
    remainder of a size, which then has to stay; a branch on a comparison of sizes is not seen.

    A function without a rule is a layer of unknown cost; with `strict` it raises. Raises
    CostModelError for what is no module, a forward pass that fails or needs the values of a
    tensor, and where a layer's shapes are not what torch has.
    """
    watch, outputs = _watched(module, input_size, example_inputs)
    network = _network(watch, outputs)
    if strict:
        _check_strict(network)
    return network


def trace_origins(
    module: nn.Module, input_size: tuple[int, ...] = (3, 224, 224), *, example_inputs: Any = None
) -> Traced:
    """The network of `trace`, how torch was called for its layers, and which tools that misleads.

    Meanwhile the names that tools replace in torch tell that they were looked up.

    >>> from torch import nn
    >>> trace_origins(nn.Sequential(nn.ReLU()), (3, 8, 8)).origins
    {'0': Origin(function='relu', module='torch.nn.ReLU', named=True, detail='')}

    Raises CostModelError as `trace` does.
    """
    watch, outputs = _watched(module, input_size, example_inputs, by_name=True)
    if len(watch.paths) != len(list(module.named_modules(remove_duplicate=False))):
        watch.graph.noticed.add(Notice.TWO_NAMES)
    if not watch.parameters:
        watch.graph.noticed.add(Notice.NO_PARAMETERS)
    network = _network(watch, outputs)
    used = {name for layer in network.layers for name in layer.inputs} | set(outputs)
    if any(layer.inputs and layer.name not in used for layer in network.layers):
        watch.graph.noticed.add(Notice.UNUSED)
    return Traced(network, watch.graph.origins, frozenset(watch.graph.noticed))


def _watched(
    module: nn.Module, input_size: Any, example_inputs: Any, *, by_name: bool = False
) -> tuple[_Watch, list[str]]:
    """A watched forward pass and the layers whose outputs it returned."""
    if not isinstance(module, nn.Module):
        raise CostModelError(f"trace takes a torch.nn.Module, got {type(module).__name__}")
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            where = path or type(module).__name__
            raise CostModelError(f"{where}: a ScriptModule's calls are unseen; trace its source")
    for name, tensor in module.named_parameters():
        if nn.parameter.is_lazy(tensor):
            raise CostModelError(f"{name}: has no shape yet; run the model once before tracing")
    owned = {name: tensor.numel() for name, tensor in module.named_parameters()}
    watch = _Watch(module, Graph(owned))
    args, kwargs = _examples(module, input_size, example_inputs, watch)
    with told(watch) if by_name else nullcontext():
        outputs = _run(module, args, kwargs, watch)
    watch.graph.own_the_rest()
    return watch, outputs


def _network(watch: _Watch, outputs: list[str]) -> Network:
    network = Network(watch.name, tuple(watch.graph.layers))
    return related(checked(network, watch.graph), outputs)


def _check_strict(network: Network) -> None:
    if unknown := [x.layer for x in lower(network) if x.state == "unknown"]:
        named = ", ".join(f"{layer.name} ({layer.function})" for layer in unknown)  # type: ignore[attr-defined]
        raise CostModelError(f"no rule for {named}; register one or leave strict off")


@dataclass(slots=True)
class _Seen:
    """A tensor, kept so that its id stays its own, its twin on the meta device and its value."""

    tensor: torch.Tensor
    twin: torch.Tensor | None
    value: Value
    late: torch.Tensor | None = None


class _Watch(TorchFunctionMode):
    """Runs every call on the meta device and adds its layers to the graph."""

    def __init__(self, module: nn.Module, graph: Graph) -> None:
        super().__init__()
        self.graph, self.name = graph, type(module).__name__
        self.seen: dict[int, _Seen] = {}
        self.inputs: list[Value] = []
        #: Whether the call was made by a name that tools replace; `told` says so.
        self.named = False
        self.parameters = {id(tensor): name for name, tensor in module.named_parameters()}
        self.paths = {id(part): path for path, part in module.named_modules()}
        self.owned = {id(tensor) for part in module.modules() for tensor in _tensors(vars(part))}
        #: The modules that run: each one's path, for one call whether it is a leaf, whether
        #: the module that called it had lost a size, and its class if it has no modules.
        self.running: list[list[Any]] = []

    def enter(self, module: nn.Module, _args: object) -> None:
        """Begin a module: a forward pre-hook."""
        default = self.running[-1][0] if self.running else ""
        path = self.paths.get(id(module), default)
        is_leaf = bool(path) and not module._modules  # noqa: SLF001
        kind = "" if module._modules else _class(module)  # noqa: SLF001
        if kind and not kind.startswith("torch.nn.") and module._parameters:  # noqa: SLF001
            self.graph.noticed.add(Notice.OWN_PARAMETERS)
        self.running.append([path, is_leaf, self.graph.lost_size, kind])
        self.graph.lost_size = False

    def leave(self, _module: nn.Module, _args: object, _output: object) -> None:
        """End a module: a forward hook."""
        self.graph.lost_size = self.running.pop()[2]

    def __torch_function__(
        self, func: Any, _types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.__name__.partition(".")[0]  # of an overload, as `mm.default`
        named_so = self.named
        kwargs = kwargs or {}
        if name == "__get__":
            name = func.__self__.__name__
        if name in {"shape", "size"}:
            return self._size(func, args, kwargs)
        if name in _VALUES:
            return self._value(func, name, args, kwargs)
        twins: list[torch.Tensor | None] = []
        replaced, values = self._pair(args, twins)
        named, named_values = self._pair(kwargs, twins) if kwargs else (kwargs, kwargs)
        if all(twin is None for twin in twins):
            result = func(*args, **kwargs)
        elif name in _DEVICES:
            return args[0]
        elif name in _LIKE_FIRST or (name in _ARITHMETIC and _are_alike(replaced, named)):
            result = torch.empty_like(
                replaced[0] if replaced else named["input"], memory_format=_LIKE_FIRST.get(name)
            )
        else:
            result = func(*replaced, **named)
        tensors = [result] if isinstance(result, torch.Tensor) else list(_tensors(result))
        if name == "__setitem__":
            tensors = [args[0]]
        if tensors and not (name in _ALIASES and tensors[0] is twins[0]):
            detail = _DETAILS[name](*replaced, **named) if name in _DETAILS else ""
            self._interpret(name, values, named_values, tensors, (named_so, detail))
        return result

    def _pair(self, value: Any, twins: list[torch.Tensor | None]) -> tuple[Any, Any]:
        """Arguments with their twins, and with their values, in the tensors' places."""
        if isinstance(value, torch.Tensor):
            seen = self.look(value)
            twins.append(seen.twin)
            return self._twin(seen), seen.value
        kind = type(value)
        if kind is tuple or kind is list:
            pairs = [self._pair(part, twins) for part in value]
            return kind([twin for twin, _ in pairs]), kind([x for _, x in pairs])
        if kind is dict:
            parts = {key: self._pair(part, twins) for key, part in value.items()}
            return {k: v[0] for k, v in parts.items()}, {k: v[1] for k, v in parts.items()}
        if kind is slice:
            ends = self._pair([value.start, value.stop, value.step], twins)
            return slice(*ends[0]), slice(*ends[1])
        return value, value

    def look(self, tensor: torch.Tensor) -> _Seen:
        """What is known of a tensor; a new one is the caller's, and gets a twin.

        One without data that the caller does not own was made by a call that nobody saw.
        """
        seen = self.seen.get(id(tensor))
        if seen is None or seen.tensor is not tensor:
            if is_batched(tensor):
                return self._look_each(tensor)
            twin = torch.empty_like(tensor, device="meta", requires_grad=False)
            name = self.parameters.get(id(tensor))
            value = Value(tuple(tensor.shape), parameters=(name,) if name else ())
            if tensor.is_meta and id(tensor) not in self.owned:
                value = self._unseen(tensor)
            seen = self.seen[id(tensor)] = _Seen(tensor, twin, value)
            self.seen[id(twin)] = _Seen(twin, twin, value)
        return seen

    def _unseen(self, tensor: torch.Tensor) -> Value:
        """What no seen call made: a view of what is known, as vmap returns, or unknown."""
        base = None if tensor._base is None else self.seen.get(id(tensor._base))  # noqa: SLF001
        known = base is not None and base.tensor is tensor._base  # noqa: SLF001
        call = self._call("view" if known else "untraced", [tuple(tensor.shape)], alone=False)
        return call.recorded([base.value]) if base and known else call.unknown(self.inputs)

    def _look_each(self, tensor: torch.Tensor) -> _Seen:
        """What one call under vmap sees of a tensor."""
        seen = self.look(whole(tensor)).value
        value = Each(tuple(tensor.shape), "", seen.parameters, whole=seen)
        value.layer = "" if seen.is_constant else self.graph.read(seen)
        twin = tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")
        for each in (tensor, twin):
            self.seen[id(each)] = _Seen(each, twin, value)
        return self.seen[id(tensor)]

    def _twin(self, seen: _Seen) -> torch.Tensor:
        """Of a tensor made during the pass too, in case it meets one without data."""
        if seen.twin is not None:
            return seen.twin
        if seen.late is None:
            seen.late = torch.empty_like(seen.tensor, device="meta")
            self.seen[id(seen.late)] = _Seen(seen.late, seen.late, seen.value)
        return seen.late

    def take(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """An input of the model; a vector has no batch and is a constant."""
        sizes = tuple(tensor.shape)
        value = Value(sizes)
        if len(sizes) > 1:
            value = self.graph.add(ir.Input(self.graph.unique(name), sizes), sizes)
            self.inputs.append(value)
        self.know(tensor, value)
        return tensor

    def know(self, tensor: torch.Tensor, value: Value) -> None:
        """Remember what a tensor is."""
        self.seen[id(tensor)] = _Seen(tensor, tensor if tensor.is_meta else None, value)

    def _size(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        size = func(*args, **kwargs)
        value = self.look(args[0]).value
        if value.is_constant or isinstance(value, Each):
            self.graph.lost_size |= isinstance(value, Each)
            return size
        if isinstance(size, int):
            axis = args[1] if len(args) > 1 else kwargs["dim"]
            return Extent.of(self.graph, value, axis % len(value.shape))
        return torch.Size([Extent.of(self.graph, value, axis) for axis in range(len(size))])

    def _value(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Any) -> Any:
        tensor = args[0]
        if tensor.is_meta or not self.look(tensor).value.is_constant:
            where = self.running[-1][0] if self.running else ""
            what = f"{where or self.name}: needs the values of a tensor ({name.strip('_')})"
            raise CostModelError(f"{what}, and tracing has only sizes; trace the parts apart")
        return func(*args, **kwargs)

    def _interpret(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Any,
        tensors: list[torch.Tensor],
        how: tuple[bool, int | str],
    ) -> None:
        hidden = any(map(is_batched, tensors))
        wholes = [whole(tensor) for tensor in tensors] if hidden else tensors
        call = self._call(name, [tuple(tensor.shape) for tensor in wholes], how=how)
        before = len(self.graph.layers)
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        if hidden:
            values = interpret_each(call, args, kwargs, tensors)
        else:
            values = interpret(call, args, kwargs)
        for tensor, value in zip(wholes, values, strict=False):
            self.know(tensor, value)
        if len(self.graph.layers) > before and self.running:
            self.running[-1][1] = False

    def _call(
        self,
        name: str,
        shapes: list[Sizes],
        *,
        alone: bool = True,
        how: tuple[bool, int | str] = (False, ""),
    ) -> Call:
        """A call, named as its module where it may be all that the module does."""
        path, is_leaf, _, kind = self.running[-1] if self.running else ("", False, False, "")
        base = path if is_leaf and alone else f"{path}.{name.strip('_')}".lstrip(".")
        return Call(self.graph, path, base, name, shapes, Origin(name, kind, *how))


def _class(module: nn.Module) -> str:
    """A module's class by its whole name; torch's own as users import them."""
    kind = type(module)
    of_torch = kind.__module__.startswith("torch.nn.modules.")
    return f"torch.nn.{kind.__name__}" if of_torch else f"{kind.__module__}.{kind.__qualname__}"


def _contiguity(input: torch.Tensor, *_: object, **__: object) -> str:  # noqa: A002 - torch's name
    return "" if input.is_contiguous() else "apart"


def _axis(_input: object = None, dim: int = -1, *_: object, **__: object) -> int:
    return dim


def _place(
    _input: object = None,
    _slope: float = 0.01,
    inplace: bool = False,  # noqa: FBT001, FBT002 - as torch has it
    **_: object,
) -> str:
    return "in_place" if inplace else ""


def _padding(
    _input: object = None,
    _weight: object = None,
    _bias: object = None,
    _stride: object = 1,
    padding: Any = 0,
    *_: object,
    **__: object,
) -> str:
    return "mode" if isinstance(padding, str) else ""


def _fusion(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> str:
    """Whether torch's own attention takes them on the CPU, and not two products."""
    alike = (
        (x.dim(), x.stride(-1), x.shape[:2], x.shape[-1])
        == (4, 1, query.shape[:2], query.shape[-1])
        for x in (query, key, value)
    )
    return "" if all(alike) else "unfused"


def _kernel(input: torch.Tensor, other: torch.Tensor, **_: object) -> str:  # noqa: A002 - torch's name
    """Which of its operators torch multiplies matrices and a vector by: mv where they are in order.

    See should_fold in ATen/native/LinearAlgebra.cpp.
    """
    if 1 not in {input.dim(), other.dim()}:
        return ""
    matrices = input if other.dim() == 1 else other.mT
    if matrices.dim() <= 2:  # noqa: PLR2004
        return "mv" if other.dim() == 1 else "mm"
    sizes, strides = matrices.shape, matrices.stride()
    in_order = all(strides[i] == strides[i + 1] * sizes[i + 1] for i in range(len(sizes) - 2))
    return "mv" if in_order else "bmm"


#: What else some tool looks at in a call, by function.
_DETAILS: dict[str, Callable[..., int | str]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _padding),
    "linear": _contiguity,
    **dict.fromkeys(("matmul", "linalg_matmul", "__matmul__"), _kernel),
    "softmax": _axis,
    "leaky_relu": _place,
    "scaled_dot_product_attention": _fusion,
}


#: Functions that often return what they were given.
_ALIASES = frozenset(
    "contiguous to float half double type type_as detach dropout expand".split()  # noqa: SIM905 - on one line
)


def _are_alike(args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Whether operands are floats of one shape, and numbers."""
    first = args[0]
    if named or not isinstance(first, torch.Tensor) or not first.is_floating_point():
        return False
    return all(
        other.shape == first.shape and other.dtype == first.dtype
        if isinstance(other, torch.Tensor)
        else type(other) in {int, float}
        for other in args[1:]
    )


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in arguments or in what a call or a module returned."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, slice):
        yield from _tensors((value.start, value.stop, value.step))


def _examples(
    module: nn.Module, input_size: Any, example_inputs: Any, watch: _Watch
) -> tuple[list[Any], dict[str, Any]]:
    """Inputs on the meta device, each the Input of a network."""
    names = list(inspect.signature(module.forward).parameters) or ["input"]
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
    if example_inputs is None:
        example_inputs = ((1, *_sizes(input_size, "input_size")),)
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)

    def tensor(name: str, example: Any) -> Any:
        return _without_data(name, example, dtype, watch)

    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    if isinstance(example_inputs, dict):
        kwargs = {name: tensor(name, each) for name, each in example_inputs.items()}
    elif isinstance(example_inputs, (tuple, list)):
        padded = names + [f"input{i + 1}" for i in range(len(names), len(example_inputs))]
        args = [tensor(*pair) for pair in zip(padded, example_inputs, strict=False)]
    else:
        got = type(example_inputs).__name__
        raise CostModelError(f"example_inputs must be a tuple or a dict, got {got}")
    if not watch.inputs:
        got = ", ".join("×".join(map(str, x.shape)) for x in _tensors((args, kwargs))) or "none"
        raise CostModelError(
            f"example_inputs must have a tensor of two axes or more, its batch first, got {got}; "
            "add an axis"
        )
    return args, kwargs


def _without_data(name: str, example: Any, dtype: torch.dtype | None, watch: _Watch) -> Any:
    """An input on the meta device: a tensor, or a container of some; other values are as given."""
    if isinstance(example, torch.Tensor):
        return watch.take(name, torch.empty_like(example, device="meta"))
    if isinstance(example, (tuple, list)) and _are_numbers(example):
        sizes = _sizes(example, f"example_inputs of {name}")
        return watch.take(name, torch.empty(sizes, dtype=dtype, device="meta"))
    if isinstance(example, MutableMapping):
        parts = copy(example)
        for key, part in example.items():
            parts[key] = _without_data(f"{name}.{key}", part, dtype, watch)
        return parts
    if isinstance(example, (tuple, list)):
        each = [_without_data(name, part, dtype, watch) for part in example]
        return type(example)(*each) if hasattr(example, "_fields") else type(example)(each)
    return example


def _are_numbers(values: Any) -> bool:
    """Whether a tuple or list is a size, right or wrong, and no container of inputs."""
    return bool(values) and all(isinstance(value, (int, float)) for value in values)


def _sizes(value: Any, name: str) -> Sizes:
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not sizes or any(type(size) is not int or size < 1 for size in sizes):
        shown = not sizes or _are_numbers(sizes) or isinstance(value, str)
        got = value if shown else type(value).__name__
        raise CostModelError(f"{name} must be positive integers such as (3, 224, 224), got {got}")
    return sizes


def _run(module: nn.Module, args: list[Any], kwargs: dict[str, Any], watch: _Watch) -> list[str]:
    """The layers whose outputs a forward pass returns, watched."""
    with ExitStack() as stack:
        stack.enter_context(_unchanged(module))
        for register, hook in (
            (hooks.register_module_forward_pre_hook, watch.enter),
            (hooks.register_module_forward_hook, watch.leave),
        ):
            stack.callback(register(hook).remove)
        stack.enter_context(torch.no_grad())
        stack.enter_context(as_written())
        try:
            with watch:
                returned = module(*args, **kwargs)
        except CostModelError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the model raises is its own error
            raise CostModelError(_failure(module, (args, kwargs), error, watch)) from None
    tensors = list(_returned(returned))
    if not tensors:
        got = type(returned).__name__
        raise CostModelError(f"{type(module).__name__} returned no tensor, got {got}")
    return [watch.graph.read(watch.look(tensor).value) for tensor in tensors]


@contextmanager
def as_written() -> Iterator[None]:
    """What torch.compile compiled runs as it was written, so that its calls are seen."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled; to import it takes a second
        yield
        return
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.filterwarnings("ignore", "Using `torch.compile")  # with hooks on all modules
        yield


def _failure(module: nn.Module, given: Any, error: Exception, watch: _Watch) -> str:
    where = watch.running[-1][0] if watch.running else ""
    shapes = ", ".join("×".join(map(str, tensor.shape)) for tensor in _tensors(given))
    what = f"{where or type(module).__name__}: the forward pass on {shapes} failed ({said(error)})"
    return f"{what}; check input_size and example_inputs"


def _returned(value: object) -> Iterator[torch.Tensor]:
    """Every tensor that a model returned, in dataclasses too."""
    if is_dataclass(value) and not isinstance(value, (dict, type)):
        value = [getattr(value, each.name) for each in fields(value)]
    yield from _tensors(value)


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """What a forward pass assigns is undone, and the random numbers it draws given back."""
    before = [(state, state.copy(), _contents(state)) for state in map(vars, module.modules())]
    drawn = torch.get_rng_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(drawn[0])
        random.setstate(drawn[1])
        for state, copy, contents in before:
            state.clear()
            state.update(copy)
            for container, content in contents:
                container.clear()
                (container.extend if isinstance(container, list) else container.update)(content)


def _contents(state: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """The containers among state (parameters, buffers, hooks, …) and copies of them."""
    containers = (value for value in state.values() if type(value) in _CONTAINERS)
    return [(container, container.copy()) for container in containers]


_CONTAINERS = frozenset({dict, OrderedDict, list, set})
