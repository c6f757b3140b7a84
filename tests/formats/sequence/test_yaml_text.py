"""YAML by libyaml, where it is at hand, is YAML as PyYAML reads it."""

import random
from typing import Any

import pytest
import yaml

from mrftool.environment.shipped import shipped_files
from mrftool.errors import InputError
from mrftool.formats.sequence.reading import yaml_text

SHIPPED = [path.read_text() for path in shipped_files("sequences") if path.suffix == ".yaml"]
SHORT = [
    "a: 1\na: 2\n",
    "a: 0x1F\nb: 0o17\nc: 1e3\nd: .5\ne: ~\nf: yes\ng: 012\n",
    "a: >-\n  x\n\n  y\nb: 'it''s'\n",
    "{a:1}",
    "a: [b: c, 'd', \"e\"]",
    "a: b #c\n",
    "a: 1\n---\nb: 2",
    "- a\n- {b: [1, 2]}\n",
    "a: " + 11 * "[" + 11 * "]",
    "a: " + "9" * 400,
]


def read_by(kind: Any, text: str) -> Any:
    """What a loader makes of a text; None where it refuses it."""
    lines: yaml_text.Lines = {}
    repeated: list[yaml_text.Fault] = []
    try:
        root, raw = yaml_text._loaded_by(kind, text, "test")
    except (InputError, yaml.YAMLError, ValueError):
        return None
    if root is not None:
        yaml_text._note_lines(root, (), lines, repeated)
    return repr(raw), lines, repeated


def mutated(text: str, random_: random.Random) -> str:
    place = random_.randrange(len(text))
    added = random_.choice([*"\n :-[]{},#'\">%a1", ""])
    return text[:place] + added + text[place + random_.randrange(3) :]


@pytest.mark.parametrize("text", SHIPPED + SHORT)
def test_libyaml_reads_what_pyyaml_reads(text: str) -> None:
    assert read_by(yaml_text._FastLoader, text) == read_by(yaml_text._Loader, text)


def test_what_libyaml_takes_pyyaml_takes_alike() -> None:
    random_, taken = random.Random(0), 0
    for _ in range(400):
        text = mutated(mutated(random_.choice(SHORT), random_), random_)
        if yaml_text._UNUSUAL.search(text) is None:
            found = read_by(yaml_text._FastLoader, text)
            assert found is None or found == read_by(yaml_text._Loader, text), text
            taken += found is not None
    assert taken > 100


@pytest.mark.parametrize("text", ["a: !", "a: |# c", "a: &x 1\nb: *x", "a: \u00e9", "%YAML 1.1\n"])
def test_texts_that_libyaml_may_read_otherwise_are_left_to_pyyaml(text: str) -> None:
    assert yaml_text._UNUSUAL.search(text)
