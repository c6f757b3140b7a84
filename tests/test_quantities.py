"""Every map and flag is described once, and an unknown map is an error everywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrftool.errors import ArgumentError
from mrftool.formats.bids import Provenance, map_description, map_path, map_sidecar
from mrftool.formats.dicom.write.quantity import quantified, stored_image
from mrftool.maps import Maps
from mrftool.matching.dictionary import compress_dictionary, dictionary_from_sequence
from mrftool.matching.match import match_series
from mrftool.pages.styles import style_of
from mrftool.physics.simulate import simulate
from mrftool.quantities import FLAGS, QUANTITIES, Flag, flag_legend, quantity
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence, Spoiler
from mrftool.tissue import Tissue

PROVENANCE = Provenance((), "matching", "FISP")


@pytest.mark.parametrize("key", QUANTITIES)
def test_descriptions_fit_into_every_file_format(key: str) -> None:
    shown = quantity(key)
    assert shown.key == key
    assert shown.label.isascii() and len(shown.label) <= 16  # DICOM SH
    assert len(map_description(key)) < 80  # the field of a NIfTI-1 header
    assert shown.suffix.isalnum()  # BIDS
    assert shown.unit.code[1] == "UCUM"
    assert shown.window is None or shown.window[0] < shown.window[1]


def test_names_of_files_differ_between_maps() -> None:
    for attribute in ("label", "suffix", "caption"):
        assert len({getattr(each, attribute) for each in QUANTITIES.values()}) == len(QUANTITIES)


def test_an_unknown_map_is_an_error_everywhere() -> None:
    image = np.zeros((2, 2, 1), np.float32)
    flags = image.astype(np.uint8)
    calls = (
        lambda: quantity("r9"),
        lambda: map_path("maps", "scan.nii", "r9"),
        lambda: map_description("r9"),
        lambda: map_sidecar("r9", PROVENANCE),
        lambda: quantified("r9", image, "1"),
        lambda: style_of("r9", image),
        lambda: Maps(image, image, image, flags, {"r9": image}),
    )
    for call in calls:
        with pytest.raises(ArgumentError, match="map 'r9' is unknown, expected one of t1, t2"):
            call()


def test_every_map_that_matching_gives_has_its_unit(short_sequence: PulseSequence) -> None:
    """Entries that differ in B1, diffusion and off-resonance give maps of these."""
    n = 12
    tissue = Tissue(
        np.linspace(0.5, 1.5, n),
        np.linspace(0.05, 0.1, n),
        b1=np.linspace(0.9, 1.1, n),
        adc=np.linspace(0, 2e-9, n),
        off_resonance=np.linspace(-20, 20, n),
    )
    sequence = replace(short_sequence, spoiler=Spoiler([20e-3], [3e-3]))
    source = dictionary_from_sequence(sequence, tissue)
    dictionary = compress_dictionary(source, "complex")
    signal = simulate(sequence, tissue).signal
    maps = match_series(series_from_array(signal.reshape(n, 1, 1, -1)), dictionary)
    units = {name: map_sidecar(name, PROVENANCE)["Units"] for name, _ in maps.images()}
    assert units == {
        **{"t1": "s", "t2": "s", "m0": "arbitrary", "flags": "1", "residual": "1"},
        **{"b1": "1", "adc": "m^2/s", "off_resonance": "Hz"},
    }
    np.testing.assert_allclose(maps.extra["off_resonance"].ravel(), tissue.off_resonance, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "unit", "values", "slope", "in_file"),
    [
        ("t1", "s", [0.0, 1.2344], 1.0, [0, 1234]),
        ("t1", "ms", [0.0, 1234.4], 1.0, [0, 1234]),
        ("adc", "m^2/s", [0.0, 0.7e-9], 1.0, [0, 700]),
        ("off_resonance", "Hz", [-153.27, 20.5], 0.01, [-153.27, 20.5]),
        ("b1", "1", [0.9, 1.1], 1e-4, [0.9, 1.1]),
        ("flags", "1", [0, 63], 1.0, [0, 63]),
    ],
)
def test_numbers_are_stored_in_the_unit_of_the_file(
    name: str, unit: str, values: list[float], slope: float, in_file: list[float]
) -> None:
    stored = stored_image(quantified(name, np.reshape(values, (-1, 1, 1)), unit))
    assert stored.slope == pytest.approx(slope)
    found = stored.integers.ravel() * stored.slope + stored.intercept
    np.testing.assert_allclose(found, in_file, atol=stored.slope / 2)
    assert not any(stored.counts.values())


def test_numbers_below_the_signed_range_are_counted() -> None:
    image = np.reshape([-4.0e4, 1.0, 3.0e4], (-1, 1, 1))
    entry = quantified("off_resonance", image, "Hz")
    stored = stored_image(entry)
    assert stored.slope == 10.0 and not any(stored.counts.values())


def test_every_flag_is_described_once() -> None:
    assert set(FLAGS) == set(Flag)
    assert all((int(flag) & (int(flag) - 1)) == 0 for flag in Flag)
    for attribute in ("text", "label", "colour"):
        assert len({getattr(each, attribute) for each in FLAGS.values()}) == len(FLAGS)
    assert flag_legend().startswith("1 outside the model's range, 2 residual too large")


def test_the_documentation_and_the_sidecar_tell_the_flags() -> None:
    page = Path(__file__).parents[1] / "docs" / "how_to" / "what_quantify_writes.md"
    assert flag_legend() in " ".join(page.read_text("utf-8").split())
    levels = map_sidecar("flags", PROVENANCE)["Levels"]
    assert levels == {str(int(flag)): each.text for flag, each in FLAGS.items()}
