"""`reconcile` on models that nobody here wrote: nine figures each, equal or with a named reason."""

from __future__ import annotations

import ast
import importlib
import os
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")

from costmodel.tools import TOOLS  # noqa: E402
from costmodel.tools.reconciling import Reconciliation, reconcile_model  # noqa: E402

if TYPE_CHECKING:
    from torch import nn

#: Other people's models warn of many things; none of it is this test's.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

OWN = "parameters of a module of one's own"
_EXACT = """
resnet10 resnet18 resnet50 preresnet18 seresnet18 resnext14_16x4d mobilenet_w1 mobilenetv2_w1
mobilenetv3_large_w1 fdmobilenet_w1 squeezenet_v1_0 squeezenet_v1_1 densenet121 shufflenet_g3_w1
shufflenetv2_w1 efficientnet_b0 vgg11 bn_vgg16 alexnet zfnet inceptionv3 bninception xception
hrnet_w18_small_v1 dpn68 darknet53 ghostnet mnasnet_b1 peleenet regnetx002 sknet50
MobileNetV1 MobileNetV2 ResNet RegNet EfficientNet PoolFormer ViT DeiT Beit PvtV2
"""
#: By model, the tools whose figure is not the predicted one, and the deviation that explains it.
MODELS: dict[str, dict[str, str]] = {
    **{name: {} for name in _EXACT.split()},
    "irevnet301": {"torchprofile": "product of sizes"},
    "airnet50_1x64d_r16": dict.fromkeys(
        ("calflops", "calflops FLOPs"), "interpolation of a keyword"
    ),
    "ConvNext": {"torchinfo": OWN},
    "ConvNextV2": {"torchinfo": OWN},
    "FocalNet": {"torchprofile": "product of sizes"},
    "SwiftFormer": {"torchprofile": "product of sizes"},
    "Bit": dict.fromkeys(("fvcore", "calflops FLOPs"), "work on constants"),
    "Swin": {"torchinfo": OWN, "torchprofile": "product of sizes"},
    "Pvt": dict.fromkeys(
        ("fvcore", "ptflops", "torchprofile", "calflops FLOPs"), "work on constants"
    ),
    "Cvt": {
        "torchprofile": "product of sizes",
        **dict.fromkeys(("calflops", "calflops FLOPs"), "einsum of a list"),
    },
}


@cache
def _files() -> dict[str, str]:
    """The module of every function of pytorchcv: its list of all imports what isn't installed."""
    reason = "pytorchcv is not installed: pip install --no-deps pytorchcv==0.0.74"
    pytorchcv = pytest.importorskip("pytorchcv", reason=reason)
    files = Path(pytorchcv.__path__[0], "models").glob("*.py")
    return {
        node.name: file.stem
        for file in sorted(files)
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def built(name: str, device: str) -> nn.Module:
    """A model from its configuration alone."""
    reason = "no transformers: pip install -e '.[dev]'"
    with torch.device(device):
        if name[0].isupper():
            transformers = pytest.importorskip("transformers", reason=reason)
            kind = getattr(transformers, f"{name}ForImageClassification")
            model: Any = kind(getattr(transformers, f"{name}Config")())
        else:
            file = importlib.import_module(f"pytorchcv.models.{_files()[name]}")
            model = getattr(file, name)()
    return model


@cache
def reconciled(name: str) -> Reconciliation:
    """A model made on the meta device, as a file's factory is, and run."""
    model = built(name, "meta")
    return reconcile_model(model, (3, *getattr(model, "in_size", (224, 224))), run=True)


@pytest.mark.parametrize("name", MODELS)
def test_nine_figures(name: str) -> None:
    """Each tool prints what is predicted, but for those listed, whose deviation is named."""
    expected = MODELS[name]
    for made in reconciled(name).reckonings[1:]:
        tool = made.tool.name
        names = {deviation.name for deviation in made.deviations}
        figures = (tool, made.predicted, made.measured, made.problem)
        assert made.status == ("deviation" if tool in expected else "equal"), figures
        assert tool not in expected or expected[tool] in names, figures


@pytest.mark.parametrize("name", ["resnet10", "mobilenetv3_large_w1", "ViT"])
def test_zeros_count_as_weights_do(name: str) -> None:
    """A model with weights has the figures of the one on the meta device."""
    model = built(name, "cpu")
    made = reconcile_model(model, (3, 224, 224), run=True).reckonings
    before = reconciled(name).reckonings
    assert [x.measured for x in made] == [x.measured for x in before]


def test_at_least_twelve_models_are_exact_in_all_figures() -> None:
    """No tool deviates on most of them."""
    assert sum(not tools for tools in MODELS.values()) >= 12


def test_the_table() -> None:
    """RECONCILED.md is what was measured; COSTMODEL_WRITE=1 writes it anew."""
    path = Path(__file__).parents[1] / "benchmarks" / "RECONCILED.md"
    text = table()
    if os.environ.get("COSTMODEL_WRITE"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def table() -> str:
    """A row for each model: equal, or the deviations that explain the figure."""
    tools = TOOLS[1:]
    rows, equal = [], Counter[str]()
    for name in MODELS:
        made = reconciled(name).reckonings[1:]
        equal.update(x.tool.name for x in made if x.status == "equal")
        cells = ["=" if x.status == "equal" else _explained(x) for x in made]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    packages = dict.fromkeys(x.package for x in tools if x.package)
    ran = ", ".join(f"{package} {version(package)}" for package in packages)
    total = " | ".join(f"{equal[x.name]} of {len(MODELS)}" for x in tools)
    head, body = " | ".join(x.name for x in tools), "\n".join(rows)
    return f"""# Reconciled models

What nine figures of seven tools print of {len(MODELS)} models of pytorchcv and transformers, from
configurations only ({ran}).
`=`: exactly what `reconcile_model` predicts. Else predicted → printed, and the deviations of
`costmodel/tools/deviations.py` that the model shows.

| model | {head} |
|---|{":-:|" * len(tools)}
| equal | {total} |
{body}
"""


def _explained(made: Any) -> str:
    printed = "error" if made.measured is None else f"{made.measured:,}"
    names = ", ".join(deviation.name for deviation in made.deviations)
    return f"{made.predicted:,} → {printed}: {names}"
