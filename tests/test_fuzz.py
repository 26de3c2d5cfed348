"""Networks in JSON as an enemy writes them, through every command that reads one."""

from __future__ import annotations

import json
import random
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import typer

from costmodel import ZOO, Layer, cli, from_json, to_json
from costmodel.cli import app, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_SECONDS = 5
#: What `main` makes of the options each time, and is slow to make.
COMMAND = typer.main.get_command(app())
COMMANDS = (
    ("report", "--no-check"),
    ("report", "--no-check", "--json", "--alpha", "0.6", "--resolution", "20"),
    ("sweep", "--alphas", "0.5,1", "--resolutions", "16,24"),
    ("plan", "--max-macs", "1M", "--max-flash", "1MiB", "--resolutions", "16,24"),
    ("reconcile",),
    ("compare",),
    ("explore", "-o", "/dev/null"),
)

IMAGE = {"type": "Input", "name": "x", "shape": [1, 8, 12, 12]}
TOKENS = {"type": "Input", "name": "x", "shape": [1, 6, 8]}


def _network(image: dict[str, Any], *layers: dict[str, Any]) -> dict[str, Any]:
    named = ({"name": f"l{i}"} | layer for i, layer in enumerate(layers))
    return {"name": "net", "layers": [image, *named]}


def _conv(channels: Any, kernel: int = 1, **fields: Any) -> dict[str, Any]:
    return {"type": "Conv", "out_channels": channels, "kernel": kernel, **fields}


def _of(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


#: Between them every type of layer that JSON may name.
SEEDS = [
    _network(
        IMAGE,
        _conv(16, 3, padding=1, bias=True),
        _of("BatchNorm"),
        _of("Activation"),
        _conv({"times": 1}, 3, groups={"times": 1}, stride=2, dilation=2, padding=2),
        _conv({"atleast": 24}),
        _of("Pool", kind="max", kernel=2, stride=2, ceil_mode=True),
        _of("AdaptivePool"),
        _of("Flatten"),
        _of("Linear", out_features={"fixed": 10}),
    ),
    _network(
        IMAGE,
        _conv(8),
        _of("Add", inputs=["x", "l0"]),
        _of("Concat", inputs=["x", "l1"]),
        _of("TransposedConv", out_channels=8, kernel=2, stride=2),
        _of("Filter", out_channels={"times": 1}, kernel=3, groups={"times": 1}),
        _of("Pad", amounts=[[0, 1], [1, 0]]),
        _of("PadSame", kernel=3, stride=2),
        _of("Resample", numerator=2, denominator=3),
        _of("Combine", function="mul", inputs=["l7", "l7"]),
        _of("CropAndResize", proposals=3, output_size=4),
        _of("Slice", items=[[0, 2, 1], [0, None, 2]]),
        _of("Reduce", over=[2, 3]),
    ),
    _network(
        TOKENS,
        _of("Affine", function="layer_norm", along=[-1], tensors=2),
        _of("Linear", out_features=16),
        _of("Split", parts=2, along=2),
        _of("Einsum", equation="bqc,bkc->bqk", inputs=["l2", "l2"]),
        _of("WithNumbers", function="div", numbers=[2.5]),
        _of("DotProductAttention", inputs=["x", "x", "x"]),
        _of("Permute", order=[0, 2, 1]),
        _of("Reshape", runs=[[1, [-1]], [2, [4, -1]]]),
        _of("Constant", sizes=[1, 4, 2], parameters=8),
        _of("Join", along=2, inputs=["l7", "l8"]),
        _of("Repeat", times=[2, 1, 1]),
        _of("FixedSize", sizes=[-1, 4, -1]),
        _of("Recorded", function="index", reads=[[2, 4, 14]], sizes=[2, 4]),
        _of("Unknown", function="fft", reads=[[2, 4]], sizes=[2, 4], inputs=["l12"]),
    ),
    _network(
        _of("Input", name="ids", shape=[1, 6]),
        _of("Embedding", out_features=8, rows=20),
        _of("Affine", function="group_norm", groups=2),
        _of("DotProductAttention", heads=2, inputs=["l1", "l1", "l1"]),
        _of("Linear", out_features=4, shares=""),
    ),
    _network(
        {"type": "Input", "name": "x", "shape": [1, 8, "H", "W"]},
        _conv(6, 3, padding=1),
        _of("Pool", kind="average", kernel=3, stride=2),
    ),
]
VALUES: list[Any] = [
    *(0, -1, 1, 2, 3, 7, 1000, 10**7, 10**9, 10**18, 10**40, -(10**18), 2**63, 1.5, 1e308),
    *(None, True, False, "", "x", "l0", "nowhere", "H", "alpha", "1/0", "2*H+1", "9**9"),
    *("\ud800", "[red]a[/b]", "\x1b[31m\n", "=1+1", "x" * 5000, "9" * 5000, float("nan")),
    *([], {}, [[]], [0], [1, 1], [1, 1, 1], [2, 2, 2, 2, 2], [[1, 2], [3, 4]], ["x", "x"]),
    *({"times": 0}, {"times": 3}, {"times": 2, "of": "l0"}, {"fixed": 5}, {"atleast": 0}),
    *("max", "relu", "softmax", "prelu", "batch_norm", "layer_norm", "bij,bjk->bik", "fft"),
]


FIELDS = ("type", "groups", "bias", "inputs", "shares", "function", "stride", "padding", "along")


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: what holds it, and the key or index there."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _nodes(value[key])


#: What an integer is changed to, mostly: values that many a network has, and some that none has.
NUMBERS = (0, -1, 1, 1, 2, 2, 3, 4, 5, 7, 8, 9, 12, 16, 33, 1000, 10**5, 10**9, 10**18, 10**40)


def _mutate(document: dict[str, Any], chance: random.Random) -> None:
    """Change one thing: a value, an amount, an order, or what is there."""
    nodes = list(_nodes(document))
    (holder, key), (other, place) = chance.choice(nodes), chance.choice(nodes)
    change = chance.randrange(6)
    if chance.randrange(2) and (amounts := [x for x in nodes if type(x[0][x[1]]) is int]):
        holder, key = chance.choice(amounts)
        holder[key] = chance.choice(NUMBERS)
    elif change == 0:
        holder[key] = deepcopy(chance.choice(VALUES))
    elif change == 1:
        holder[key] = deepcopy(other[place])
    elif change == 2:
        del holder[key]
    elif change == 3:
        holder[key], other[place] = deepcopy(other[place]), deepcopy(holder[key])
    elif isinstance(holder, list):
        holder.insert(key, deepcopy(chance.choice([holder[key], *VALUES])))
    else:
        holder[chance.choice(FIELDS)] = deepcopy(chance.choice(VALUES))


def _seeds() -> list[dict[str, Any]]:
    """Those above, and the beginnings of the zoo's networks, at 32 px."""
    zoo = [json.loads(to_json(ZOO[name].build())) for name in ZOO]
    for data in zoo:
        data["layers"] = data["layers"][:14]
        data["layers"][0]["shape"] = [1, 3, 64, 64]
    return [*SEEDS, *zoo]


def mutants(count: int, seed: int) -> Iterator[str]:
    """Documents, each one to three changes away from a network."""
    chance, seeds = random.Random(seed), _seeds()  # noqa: S311
    for _ in range(count):
        document = deepcopy(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2))):
            if isinstance(document, dict) and document:
                _mutate(document, chance)
        text = json.dumps(document)
        if not chance.randrange(40):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(("", '"', "}", "[" * 9999, "\x00")) + text[at + 1 :]
        yield text


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, float]:
    """A command's exit code, what it says on standard error, and the seconds that it takes."""
    monkeypatch.setattr(sys, "argv", ["costmodel", *arguments])
    monkeypatch.setattr(cli, "app", lambda: COMMAND)
    said, started = StringIO(), time.process_time()
    with redirect_stdout(StringIO()), redirect_stderr(said), pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0), said.getvalue(), time.process_time() - started


def check(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Each command answers or refuses in one line, soon."""
    file = folder / "mutant.json"
    file.write_text(text, encoding="utf-8")
    for command, *options in COMMANDS:
        code, said, seconds = outcome(monkeypatch, command, str(file), *options)
        problem = f"{command} {options}: {code}, {seconds:.1f} s\n{said}\n{text[:3000]}"
        assert code in {0, 1, 2}, problem
        assert seconds < MOST_SECONDS, problem
        if code == 2:
            assert (said.count("\n"), said[:11]) == (1, "costmodel: "), problem


def test_the_seeds_have_every_type_of_layer() -> None:
    """Each type of layer is in a seed, and each seed is a network."""
    seeds = [from_json(json.dumps(seed)) for seed in SEEDS]
    types = {  # but for those of tests and examples
        name
        for name, kind in Layer.types.items()
        if getattr(sys.modules[kind.__module__], name, None) is kind
        and kind.__module__.startswith("costmodel.")
    }
    assert {type(layer).__name__ for seed in seeds for layer in seed.layers} == types


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_a_seed_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    """Unchanged, the first command takes each."""
    (tmp_path / "seed.json").write_text(json.dumps(SEEDS[seed]), "utf-8")
    options = ("--resolution", "16") * (seed == 4)
    arguments = ("report", str(tmp_path / "seed.json"), "--no-check", *options)
    assert outcome(monkeypatch, *arguments)[:2] == (0, "")


def test_a_mutant_is_answered_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """25 mutants × every command: exit code 0, 1 or 2, one line on 2, within five seconds."""
    for text in mutants(25, seed=0):
        check(monkeypatch, tmp_path, text)


@pytest.mark.slow
def test_mutants_are_answered_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """2,000 mutants × every command."""
    for text in mutants(2_000, seed=1):
        check(monkeypatch, tmp_path, text)
