"""A network as a user names it: of the zoo, in a JSON file, or a torch model of their own."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.algebra.numbers import positive_integer
from costmodel.errors import CostModelError
from costmodel.layers.serial import from_json
from costmodel.planners.limits import integers
from costmodel.zoo import ZOO, architecture

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import nn

    from costmodel.algebra.arithmetic import Dim
    from costmodel.core.network import Network

#: The network where none is named, and the input of a torch model where none is given.
DEFAULT = "mobilenet_v1"
DEFAULT_INPUT = "3,224,224"


def base_network(
    network: str | Network, classes: Dim | None = None, rounding: str | None = None
) -> tuple[Network, int | None]:
    """The network at α = 1 and ρ = 1, and its number of classes; its rounding, if one is given."""
    named = isinstance(network, str) and not network.endswith(".json")
    entry = architecture(str(network)) if named else None
    count = entry.classes if entry else None
    if classes is not None and count is None:
        what = f"{network} has no classes to set" if named else "edit the network's own layer"
        raise CostModelError(f"classes {classes} applies to classifiers of the zoo; {what}")
    if entry and count:
        count = count if classes is None else positive_integer(classes, "classes")
        base = entry.build(classes=count)
    elif entry:
        base = entry.build()
    else:
        base = _read(network) if isinstance(network, str) else network
    return (base if rounding is None else replace(base, rounding=rounding)), count


def _read(path: str) -> Network:
    try:
        return from_json(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise CostModelError(
            f"cannot read {path}: {why}; give a network in JSON or a name of the zoo"
        ) from None


def with_classes(network: str | Network, base: Network, classes: Dim) -> Network:
    """The network of that name with so many classes, or a symbol for them; else the base itself."""
    entry = ZOO.get(network) if isinstance(network, str) else None
    return entry.build(classes=classes) if entry and entry.classes else base


def named_or_traced(
    network: str | None, model: str | None = None, sizes: str | None = None
) -> tuple[str | Network, nn.Module | None]:
    """The name of a network, or a torch model traced at an input, batch apart, with its module.

    >>> named_or_traced("alexnet")
    ('alexnet', None)

    Raises CostModelError for both at once, for an input without a model, and as `trace` does.
    """
    if model is None:
        if sizes is not None:
            raise CostModelError("--input is the input of a --model; give --resolution")
        return DEFAULT if network is None else network, None
    if network is not None:
        raise CostModelError(f"{network} and --model {model} are two networks; give one")
    from costmodel.frontends.torch.forward import trace
    from costmodel.frontends.torch.models import load_model

    written = DEFAULT_INPUT if sizes is None else sizes
    shape = tuple(positive_integer(size, "input") for size in written.split(","))
    with running(model):
        module = load_model(model)
        return trace(module, shape), module


def running(model: str | None) -> AbstractContextManager[None]:
    """While the user's model, if it is one, may run."""
    if model is None:
        return nullcontext()
    from costmodel.frontends.torch.models import running as while_running

    return while_running(model)


def require_image(network: Network, remedy: str = "") -> None:
    """Refuse a network whose inputs have no sides, and so no resolution.

    Raises CostModelError with the remedy, if there is one.
    """
    if not any(layer.shape[2:] for layer in network.inputs):
        raise CostModelError(f"{network.name} has no image whose resolution could be set{remedy}")


def resolutions_of(network: Network, given: str | None, default: str) -> tuple[int, ...]:
    """The resolutions; one that changes nothing for a network without an image.

    >>> from costmodel import mobilenet_v1
    >>> resolutions_of(mobilenet_v1(), None, "160:224:32")
    (160, 192, 224)

    Raises CostModelError as `integers` does, and for resolutions of a network without an image.
    """
    if given is not None:
        require_image(network, "; leave --resolutions out")
    elif not any(layer.shape[2:] for layer in network.inputs):
        return (1,)
    return integers(default if given is None else given, "resolutions")
