from __future__ import annotations

import ast
import importlib
import time
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")
transformers = pytest.importorskip(
    "transformers", reason="no transformers: pip install -e '.[dev]'"
)

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from costmodel import CostModelError, cost, cost_function, from_json, resize, to_json, widen  # noqa: E402
from costmodel.core import infer  # noqa: E402
from costmodel.frontends.torch.forward import trace  # noqa: E402
from costmodel.reports import closed_form  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

#: Other people's models warn of many things; none of it is this test's.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

#: pytorchcv's models, at least one of every family that runs on the meta device.
_NAMES = """
airnet50_1x64d_r16 airnext50_32x4d_r2 alexnet bagnet9 bam_resnet18 bninception cbam_resnet18
cgnet_cityscapes channelnet condensenet74_c4_g4 ctxnet_cityscapes dabnet_cityscapes darknet_ref
darknet53 deeplabv3_resnetd50b_voc densenet121 densenet40_k12_cifar10 dicenet_w1 diracnet18v2
dla34 dpn68 drnc26 edanet_cityscapes efficientnet_b0 efficientnet_b0b efficientnet_edge_small_b
enet_cityscapes erfnet_cityscapes espcnet_cityscapes espnetv2_w1 fastscnn_cityscapes fbnet_cb
fdmobilenet_w1 fishnet99 ghostnet hardnet39ds hrnet_w18_small_v1 ibn_resnet50 ibnb_resnet50
igcv3_w1 inceptionv3 inceptionv4 inceptionresnetv2 irevnet301 lednet_cityscapes linknet_cityscapes
menet108_8x1_g3 mixnet_s mnasnet_b1 mobilenet_w1 mobilenetb_w1 mobilenetv2_w1 mobilenetv3_large_w1
nasnet_4a1056 nin_cifar10 octresnet10_ad2 peleenet pnasnet5large polynet preresnet18
proxylessnas_cpu pspnet_resnetd50b_voc pyramidnet101_a360 regnetx002 regnety004 resattnet56
resnesta18 resnet10 resnet18 resnet50 resneta10 resnetd50b resnext14_16x4d revnet38 scnet50
segnet_cityscapes selecsls42 senet16 sepreresnet10 seresnet18 seresnext50_32x4d shufflenet_g3_w1
shufflenetv2_w1 shufflenetv2b_w1 sinet_cityscapes sknet50 sparsenet121 spnasnet squeezenet_v1_1
squeezenet_v1_0 sqnxt23_w1 tresnet_m unet_cityscapes vgg11 bn_vgg16 vovnet27s wrn50_2 xception
zfnet
"""
PYTORCHCV = _NAMES.split()


def _transformer(kind: str, config: str, **settings: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(transformers, kind)(getattr(transformers, config)(**settings))


SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 1000,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}
IMAGE = {"pixel_values": (1, 3, 224, 224)}
TOKENS = {"input_ids": (1, 16)}
PAIR = {"input_ids": (1, 16), "decoder_input_ids": (1, 8)}
#: Models of transformers from configurations alone, and their inputs.
TRANSFORMERS: dict[str, tuple[Callable[[], nn.Module], dict[str, tuple[int, ...]]]] = {
    **{
        kind: (_transformer(f"{kind}ForImageClassification", f"{kind}Config"), IMAGE)
        for kind in (
            *("MobileNetV1", "MobileNetV2", "ResNet", "ConvNext", "ConvNextV2", "RegNet", "Bit"),
            *("ViT", "DeiT", "Beit", "Swin", "Swinv2", "Cvt", "Levit", "PoolFormer", "Pvt"),
            *("PvtV2", "FocalNet", "SwiftFormer"),
        )
    },
    "EfficientNet": (
        _transformer("EfficientNetForImageClassification", "EfficientNetConfig"),
        IMAGE,
    ),
    "SegFormer": (_transformer("SegformerForSemanticSegmentation", "SegformerConfig"), IMAGE),
    "MobileViT": (
        _transformer("MobileViTForImageClassification", "MobileViTConfig"),
        {"pixel_values": (1, 3, 256, 256)},
    ),
    "MobileViTV2": (
        _transformer("MobileViTV2ForImageClassification", "MobileViTV2Config"),
        {"pixel_values": (1, 3, 256, 256)},
    ),
    "YOLOS": (
        _transformer("YolosForObjectDetection", "YolosConfig", num_hidden_layers=2),
        {"pixel_values": (1, 3, 512, 864)},
    ),
    "UperNet": (_transformer("UperNetForSemanticSegmentation", "UperNetConfig"), IMAGE),
    "CLIP": (_transformer("CLIPModel", "CLIPConfig"), TOKENS | IMAGE),
    "Bert": (_transformer("BertForMaskedLM", "BertConfig", **SMALL), TOKENS),
    "Albert": (
        _transformer("AlbertForMaskedLM", "AlbertConfig", embedding_size=32, **SMALL),
        TOKENS,
    ),
    "GPT2": (_transformer("GPT2LMHeadModel", "GPT2Config", n_embd=64, n_layer=2, n_head=4), TOKENS),
    "Llama": (_transformer("LlamaForCausalLM", "LlamaConfig", **GROUPED), TOKENS),
    "Mistral": (_transformer("MistralForCausalLM", "MistralConfig", **GROUPED), TOKENS),
    "Qwen2": (_transformer("Qwen2ForCausalLM", "Qwen2Config", **GROUPED), TOKENS),
    "Bloom": (
        _transformer("BloomForCausalLM", "BloomConfig", hidden_size=64, n_layer=2, n_head=4),
        TOKENS,
    ),
    "T5": (
        _transformer("T5ForConditionalGeneration", "T5Config", d_model=64, d_ff=128, num_layers=2),
        PAIR,
    ),
    "Whisper": (
        _transformer(
            *("WhisperForConditionalGeneration", "WhisperConfig"),
            d_model=64,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
        ),
        {"input_features": (1, 80, 3000), "decoder_input_ids": (1, 8)},
    ),
    "Wav2Vec2": (
        _transformer("Wav2Vec2ForCTC", "Wav2Vec2Config", **SMALL),
        {"input_values": (1, 16000)},
    ),
    "Mamba": (
        _transformer("MambaForCausalLM", "MambaConfig", hidden_size=64, num_hidden_layers=2),
        TOKENS,
    ),
    "VideoMAE": (
        _transformer("VideoMAEForVideoClassification", "VideoMAEConfig", num_hidden_layers=2),
        {"pixel_values": (1, 16, 3, 224, 224)},
    ),
}


@cache
def _files() -> dict[str, str]:
    """The module of every function of pytorchcv: its list of all imports what isn't installed.

    pytorchcv asks for torchvision, which it does not use, and which is none of this project's.
    """
    reason = "pytorchcv is not installed: pip install --no-deps pytorchcv==0.0.74"
    pytorchcv = pytest.importorskip("pytorchcv", reason=reason)
    files = Path(pytorchcv.__path__[0], "models").glob("*.py")
    return {
        node.name: file.stem
        for file in sorted(files)
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def built(name: str, device: str = "meta") -> tuple[nn.Module, dict[str, Any]]:
    """A model, by default on the meta device, and what it is called with."""
    with torch.device(device):
        if name in TRANSFORMERS:
            make, sizes = TRANSFORMERS[name]
            inputs = {
                key: torch.zeros(size, dtype=torch.long if "ids" in key else None)
                for key, size in sizes.items()
            }
            return make().eval(), inputs
        file = importlib.import_module(f"pytorchcv.models.{_files()[name]}")
        model = getattr(file, name)().eval()
        size = getattr(model, "in_size", (224, 224))
        return model, {"x": torch.empty(1, 3, *size)}


def watched(model: nn.Module, inputs: dict[str, Any]) -> int:
    """MACs by FlopCounterMode."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", [*PYTORCHCV, *TRANSFORMERS])
def test_totals(name: str) -> None:
    """MACs are FlopCounterMode's and parameters numel's, nothing is unknown, and JSON holds it."""
    model, inputs = built(name)
    network = trace(model, example_inputs=inputs)
    total = cost(network)
    assert total.unknown == ()
    assert total.macs == watched(model, inputs)
    assert total.params == sum(parameter.numel() for parameter in model.parameters())
    assert from_json(to_json(network)) == network
    assert cost(widen(network, 1)) == total
    with suppress(CostModelError):  # where the model fixes its widths or its sizes
        form = closed_form(network)
        assert form.macs_at(Fraction(1), Fraction(1)) == total.macs
        assert cost_function(network, relaxed=True)(1, 1) == total


#: Convolutional networks that any resolution fits, and what their first layer is traced at.
RESIZED = (
    *("squeezenet_v1_1", "efficientnet_b0", "regnetx002", "regnety004", "mobilenetv2_w1"),
    *("mobilenetv3_large_w1", "MobileNetV1", "MobileNetV2", "ResNet", "ConvNext"),
    *("EfficientNet", "PoolFormer", "SegFormer"),
)


@pytest.mark.parametrize("name", RESIZED)
@pytest.mark.parametrize("sides", [(256, 256), (288, 320), (231, 237)])
def test_resized_is_traced_again(name: str, sides: tuple[int, int]) -> None:
    """A resized network has, layer by layer, the shapes and costs of tracing at that size."""
    model, inputs = built(name)
    network = resize(trace(model, example_inputs=inputs), resolution=sides)
    (key,) = inputs
    again = trace(model, example_inputs={key: (1, 3, *sides)})
    assert cost(network) == cost(again)
    assert [place.output for place in infer(network)] == [place.output for place in infer(again)]


#: Networks that end in a pooling of 7×7 and the sizes at which it leaves one position.
IN_SYMBOLS = [
    ("resnet18", (193, 219)),
    ("shufflenetv2_w1", (201, 224)),
    ("mobilenet_w1", (224, 195)),
    ("densenet121", (225, 249)),
    ("SegFormer", (231, 180)),
]


@pytest.mark.parametrize(("name", "sides"), IN_SYMBOLS)
def test_the_formula_in_the_resolution(name: str, sides: tuple[int, int]) -> None:
    """In symbols it is exact wherever the model runs, its fixed pooling included."""
    from costmodel.algebra.symbols import H, W

    model, inputs = built(name)
    (key,) = inputs
    formula = cost(resize(trace(model, example_inputs=inputs), resolution=(H, W)))
    again = cost(trace(model, example_inputs={key: (1, 3, *sides)}))
    assert formula.macs.subs(dict(zip((H, W), sides, strict=True))) == again.macs
    assert formula.params == again.params


#: pytorchcv's own wider models: the networks that widening has to give.
WIDER = [
    ("mobilenet_wd2", "mobilenet_w1", "1/2"),
    ("mobilenet_wd4", "mobilenet_w1", "1/4"),
    ("fdmobilenet_wd2", "fdmobilenet_w1", "1/2"),
]


@pytest.mark.parametrize(("narrow", "wide", "alpha"), WIDER)
def test_widened_is_the_narrower_model(narrow: str, wide: str, alpha: str) -> None:
    """α turns a model into its family's own narrower one."""
    networks = [trace(*_model_and_size(name)) for name in (wide, narrow)]
    assert cost(widen(networks[0], alpha)) == cost(networks[1])


def _tokens(of: int, **settings: Any) -> dict[str, Any]:
    """A transformer of a width, with heads of 16 features."""
    names = {"hidden_size": of, "num_attention_heads": of // 16, "intermediate_size": 2 * of}
    return names | {"num_hidden_layers": 2} | settings


#: Models that are their own narrower ones with half the width: kind, inputs and settings.
HALVED = [
    *(
        (f"{kind}ForImageClassification", f"{kind}Config", {"pixel_values": (1, 3, 64, 64)}, of)
        for kind in ("ViT", "DeiT", "Beit")
        for of in [lambda width: _tokens(width, image_size=64)]
    ),
    ("BertForMaskedLM", "BertConfig", TOKENS, lambda width: _tokens(width, vocab_size=100)),
    (
        *("GPT2LMHeadModel", "GPT2Config", TOKENS),
        lambda width: {"n_embd": width, "n_layer": 2, "n_head": width // 16, "vocab_size": 100},
    ),
    (
        *("BloomForCausalLM", "BloomConfig", TOKENS),
        lambda width: {"hidden_size": width, "n_layer": 2, "n_head": 4, "vocab_size": 100},
    ),
]


@pytest.mark.parametrize(("kind", "config", "sizes", "settings"), HALVED, ids=lambda x: str(x)[:5])
def test_half_a_transformer(
    kind: str, config: str, sizes: dict[str, tuple[int, ...]], settings: Any
) -> None:
    """Positions, class tokens, tied embeddings and heads follow α as the narrower model's."""
    networks = []
    for width in (64, 32):
        with torch.device("meta"):
            model = _transformer(kind, config, **settings(width))().eval()
            inputs = {
                key: torch.zeros(size, dtype=torch.long if "ids" in key else None)
                for key, size in sizes.items()
            }
        networks.append(trace(model, example_inputs=inputs))
    assert cost(widen(networks[0], "1/2")) == cost(networks[1])


def _model_and_size(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    model, inputs = built(name)
    return model, tuple(inputs["x"].shape[1:])


REFUSED = [
    ("ViT", {"resolution": 256}, r"vit.embeddings.add: add of 1×257×768 and 1×197×768, one of"),
    ("Swin", {"resolution": 256}, r"swin.embeddings.patch_embeddings.projection.size: .*0 mod 14"),
    ("vgg11", {"resolution": 256}, r"output.fc1.fc.input: fixes its input's size to \*×\*×7×7"),
    ("resnet18", {"resolution": 288}, r"output.input: fixes its input's size to \*×\*×1×1"),
]


@pytest.mark.parametrize(("name", "size", "message"), REFUSED)
def test_what_fixes_the_size_is_named(name: str, size: dict[str, int], message: str) -> None:
    """A table of positions, windows, a classifier: refused by the layer's name."""
    model, inputs = built(name)
    with pytest.raises(CostModelError, match=rf"^{message}"):
        cost(resize(trace(model, example_inputs=inputs), **size))


def test_no_slower_than_flop_counter_mode() -> None:
    """Tracing and costing takes, in the median over models, no longer than watching one pass."""
    ratios = []
    for name in (*PYTORCHCV[::4], *list(TRANSFORMERS)[::4]):
        model, inputs = built(name)
        seconds = []
        for run in (lambda m, i: cost(trace(m, example_inputs=i)), watched):
            run(model, inputs)
            start = time.perf_counter()
            run(model, inputs)
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    assert median(ratios) < 1
