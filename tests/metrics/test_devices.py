"""Devices: what a file says, and what it may have wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from costmodel import CostModelError
from costmodel.metrics import Device, device, time
from costmodel.metrics.devices import Constants, shipped
from costmodel.zoo import mobilenet_v1

if TYPE_CHECKING:
    from pathlib import Path

PIXEL = device("pixel_1_tflite")
#: As a file has it, with another kind beside the two that a device must have.
PLAIN = asdict(replace(PIXEL, kinds={**PIXEL.kinds, "depthwise": Constants(1e-6, 5e9)}))


def refusal(text: str, tmp_path: Path) -> str:
    """What is said of a file with this text."""
    path = tmp_path / "mine.json"
    path.write_text(text, "utf-8")
    with pytest.raises(CostModelError) as error:
        device(str(path))
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{path}: ")


def changed(where: str, name: str, value: str) -> str:
    """A device's file with a constant of a kind, or an entry of its own, written otherwise."""
    plain = json.loads(json.dumps(PLAIN))
    (plain["kinds"][where] if where else plain)[name] = "HERE"
    return json.dumps(plain).replace('"HERE"', value)


@pytest.mark.parametrize("made", [*shipped(), replace(PIXEL, kinds=dict(PIXEL.kinds), threads=4)])
def test_round_trip(made: Device, tmp_path: Path) -> None:
    """What is saved is read as it was, every constant and every word."""
    made.save(tmp_path / "mine.json")
    assert device(str(tmp_path / "mine.json")) == made
    assert json.loads(made.to_json()).keys() == {f.name for f in fields(Device)}


def test_a_file_as_notepad_saves_it(tmp_path: Path) -> None:
    """A byte order mark before the text is no part of it."""
    path = tmp_path / "mine.json"
    path.write_text(PIXEL.to_json(), "utf-8-sig")
    assert device(str(path)) == PIXEL


def test_a_device_is_itself() -> None:
    """A Device is taken for its name, and shipped names find what is shipped."""
    assert device(PIXEL) is PIXEL
    assert [device(made.name) for made in shipped()] == list(shipped())
    assert time(mobilenet_v1(), PIXEL) > 0


BAD = ["-1", "NaN", "Infinity", "-Infinity", "true", '"fast"', "[]", f"1{'0' * 400}", "1e999"]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", [f.name for f in fields(Constants)])
def test_a_constant_is_a_finite_number(name: str, value: str, tmp_path: Path) -> None:
    """Each constant that is negative, not finite or no number is named with file and kind.

    The mutation: without the check of bool, `true` would be a rate of one byte a second.
    """
    message = refusal(changed("depthwise", name, value), tmp_path)
    assert message.startswith(f"depthwise: {name} must be a finite number, ")


def test_zero_and_null(tmp_path: Path) -> None:
    """A rate of zero would take for ever; no time to start is 0, and no time at all is null."""
    zero = refusal(changed("depthwise", "work_per_s", "0"), tmp_path)
    assert zero.startswith("depthwise: work_per_s must be a finite number, positive")
    assert "start_s must be" in refusal(changed("depthwise", "start_s", "null"), tmp_path)
    assert Constants(0, None).seconds(10**9, 10**9) == 0


@pytest.mark.parametrize("name", [f.name for f in fields(Constants)])
def test_a_missing_constant(name: str, tmp_path: Path) -> None:
    """A kind says each of its constants: one that is left out is not taken for no time."""
    plain = json.loads(json.dumps(PLAIN))
    del plain["kinds"]["depthwise"][name]
    assert refusal(json.dumps(plain), tmp_path) == f"depthwise: {name} is missing; add it"


@pytest.mark.parametrize("name", [f.name for f in fields(Device)])
def test_a_missing_entry(name: str, tmp_path: Path) -> None:
    """So does a device."""
    plain = {key: value for key, value in PLAIN.items() if key != name}
    assert refusal(json.dumps(plain), tmp_path) == f"{name} is missing; add it"


@pytest.mark.parametrize(
    ("where", "name", "value", "said"),
    [
        ("", "speed", "1", "unknown entry 'speed'; a device has name, machine, "),
        ("depthwise", "speed", "1", "depthwise: unknown entry 'speed'; a kind has start_s, "),
        ("", "kinds", "[]", "kinds must be an object of JSON, got []"),
        ("", "kinds", "{}", "kinds has no elementwise, which says"),
        ("", "threads", "true", "threads must be a positive integer, got True"),
        ("", "threads", "0", "threads must be a positive integer, got 0"),
        ("", "dtype", '"int4"', "dtype must be one of float32, float16, int8, got 'int4'"),
        ("", "name", "7", "name must be a text, got 7"),
        ("", "machine", '""', "machine must be a text, got ''"),
        ("", "error", "NaN", "error must be a finite number, at least 0; got nan"),
        ("", "spread", "-0.5", "spread must be a finite number, at least 0; got -0.5"),
        ("", "error", f"1{'0' * 400}", "error must be a finite number, at least 0; got 1000"),
    ],
)
def test_a_wrong_entry(where: str, name: str, value: str, said: str, tmp_path: Path) -> None:
    """Each wrong entry is named, with the rule."""
    assert refusal(changed(where, name, value), tmp_path).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON ("),
        ("{", "no JSON ("),
        ("[" * 100_000, "no JSON ("),
        ("[]", "a device must be an object of JSON, got []"),
        ("[" * 500 + "]" * 500, "a device must be an object of JSON, got [[[[[[[...]]]]]]]"),
        ("null", "a device must be an object of JSON, got None"),
        (json.dumps(PLAIN | {"kinds": {"product": 3}}), "product: a kind must be an object of"),
    ],
)
def test_no_device(text: str, said: str, tmp_path: Path) -> None:
    """What is no JSON, or another's, is said in a line however deep it is."""
    assert refusal(text, tmp_path).startswith(said)


def test_no_file(tmp_path: Path) -> None:
    """A file that is missing, a folder, no text; and a name that is neither file nor shipped."""
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name, why in {
        "none.json": "No such file or directory",
        "folder.json": "Is a directory",
        "binary.json": "not UTF-8 text",
    }.items():
        with pytest.raises(CostModelError) as error:
            device(str(tmp_path / name))
        assert str(error.value) == (f"cannot read {tmp_path / name}: {why}; name a device's file")
    with pytest.raises(CostModelError, match="device must be one of pixel_1_tflite, stm32h7"):
        device("pixel")


def test_kinds_without_constants_of_their_own() -> None:
    """A kind's own constants come first, then those of all products, or of all others."""
    made = replace(PIXEL, kinds={**PIXEL.kinds, "max_pool": Constants(2e-6)})
    chosen: list[tuple[Any, str]] = [
        (made.constants("max_pool", product=False), "max_pool"),
        (made.constants("sigmoid", product=False), "elementwise"),
        (made.constants("grouped", product=True), "product"),
        (made.constants("linear", product=True), "linear"),
    ]
    assert all(constants is made.kinds[name] for constants, name in chosen)
