"""Trains of plain numbers are read without the schema, and as the schema reads them."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.formats.sequence import yaml_file
from mrftool.formats.sequence.plain_train import plain_train
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_to_dict
from mrftool.sequence import PulseSequence

PLAIN = sequence_to_dict(read_sequence("fisp"))


def by_schema(data: dict[str, Any]) -> PulseSequence:
    return yaml_file._checked(copy.deepcopy(data), {}, [], Path(), "test")


def changed(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in {**PLAIN, **values}.items() if value is not ...}


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        changed(inversion=..., uncertainty=..., description="x", source="y"),
        changed(inversion={"efficiency": 0.95, "time_ms": 21}, tr_ms=15),
        changed(train={"repeats": 3, "wait_ms": 500.5}, spoiling="none"),
        changed(rf_phase_deg=[0.0, 180.0] * 500),
    ],
)
def test_a_plain_train_is_what_the_schema_makes_of_it(data: dict[str, Any]) -> None:
    found, expected = plain_train(data), by_schema(data)
    assert found is not None
    assert found.sequence_id == expected.sequence_id
    assert found.uncertainty == expected.uncertainty
    assert sequence_to_dict(found) == sequence_to_dict(expected)
    for column in ("flip_angle", "rf_phase", "tr", "te"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))


@pytest.mark.parametrize(
    "data",
    [
        changed(mrftool_sequence=2),
        changed(mrftool_sequence=True),
        changed(name=""),
        changed(repetitions=999),
        changed(repetitions=1000.0),
        changed(te_ms=True),
        changed(te_ms="10"),
        changed(te_ms=float("nan")),
        changed(te_ms=10**400),
        changed(te_ms=[10.0]),
        changed(te_ms=10.0, tr_ms=5.0),
        changed(flip_angle_deg={"rule": "cycle", "values": [10.0]}),
        changed(flip_angle_deg=[1e6] * 1000),
        changed(train=None),
        changed(train={"repeats": 1.0, "wait_ms": 0.0}),
        changed(train={"repeats": 0, "wait_ms": 0.0}),
        changed(inversion={"efficiency": 95.0, "time_ms": 0.0}),
        changed(inversion={"efficiency": 1.0}),
        changed(inversion={"efficiency": 1.0, "time_ms": -1.0}),
        changed(spoiling="perfect"),
        changed(uncertainty={"b1_percent": -3.0}),
        changed(uncertainty={"b2_percent": 3.0}),
        changed(uncertainty=[3.0]),
        changed(description=3),
        changed(te_ms=...),
    ],
)
def test_what_is_not_plainly_sound_is_left_to_the_schema(data: dict[str, Any]) -> None:
    assert plain_train(data) is None


def test_a_fault_is_told_as_the_schema_tells_it() -> None:
    with pytest.raises(InputError, match=r"inversion\.efficiency: .*percent"):
        yaml_file.sequence_from_dict(changed(inversion={"efficiency": 95.0, "time_ms": 0.0}))


def test_the_sequence_of_a_model_is_read_without_the_schema() -> None:
    code = (
        "import json, sys\n"
        "from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict\n"
        "sequence_to_dict(sequence_from_dict(json.load(sys.stdin)))\n"
        "sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], input=json.dumps(PLAIN), text=True, check=True)
