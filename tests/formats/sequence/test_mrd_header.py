from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.apart import read_apart
from mrftool.formats.sequence.importing import import_sequence
from mrftool.formats.sequence.sources import Given

ismrmrd = pytest.importorskip("ismrmrd")

GIVEN = Given(rf_phase=np.zeros(1), inversion_efficiency=0.95, spoiling="gradient")


def write(
    path: Path, users: Any = None, repetitions: int | None = None, **lists: list[float]
) -> Path:
    """A raw-data file by the ismrmrd package, with a header and nothing else."""
    from ismrmrd import xsd

    limits = xsd.encodingLimitsType()
    if repetitions is not None:
        limits.repetition = xsd.limitType(minimum=0, maximum=repetitions - 1, center=0)
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=64, y=64, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=256, y=256, z=5),
    )
    encoding = xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        encodingLimits=limits,
        trajectory=xsd.trajectoryType.SPIRAL,
    )
    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=128_000_000),
        encoding=[encoding],
        sequenceParameters=xsd.sequenceParametersType(**lists) if lists else None,
        userParameters=users,
    )
    data = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    data.write_xml_header(xsd.ToXML(header))
    data.close()
    return path


def test_lists_of_the_header_become_columns(tmp_path: Path) -> None:
    from ismrmrd import xsd

    flips, tr = [10.0, 20.5, 30.0], [12.0, 13.5, 12.0]
    users = xsd.userParametersType(
        userParameterDouble=[xsd.userParameterDoubleType(name="spoil_mT_m", value=8.0)]
    )
    path = write(tmp_path / "a.mrd", users, 4, flipAngle_deg=flips, TR=tr, TE=[2.0], TI=[20.6])
    result = import_sequence(path, GIVEN)
    sequence = result.sequence
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), flips)
    np.testing.assert_allclose(sequence.tr, np.array(tr) * 1e-3)
    np.testing.assert_allclose(sequence.te, 2e-3)
    assert sequence.train.inversion is not None
    assert (sequence.train.inversion.time, sequence.train.inversion.efficiency) == (
        pytest.approx(0.0206),
        0.95,
    )
    notes = " ".join(result.notes)
    assert "not used: spoil_mT_m" in notes
    assert "counts 4 in repetition, and has 3 flip angles" in notes
    assert "rf_phase is 0 deg, as the user says" in notes


def test_a_list_of_echo_times_is_one_per_repetition(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", flipAngle_deg=[10.0, 20.0], TR=[12.0], TE=[2.0, 3.0], TI=[20.0])
    np.testing.assert_allclose(import_sequence(path, GIVEN).sequence.te, [2e-3, 3e-3])


def test_all_that_the_header_leaves_open_must_be_given(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5", flipAngle_deg=[10.0, 20.0, 30.0], TR=[12.0, 13.0], TE=[], TI=[0.0]
    )
    with pytest.raises(InputError) as caught:
        import_sequence(path)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("5 faults in the sequence")
    for expected in (
        "rf_phase: the file does not say the RF phase, expected it [deg]",
        "tr: TR has 2 values, expected 1 or 3",
        "te: the file does not say TE, expected it [ms]",
        "inversion: TI is 0 ms, expected one above 0 with the pulse's efficiency, or no inversion",
        "spoiling: the file does not say",
    ):
        assert any(expected in line for line in lines), expected
    assert caught.value.arguments == ("rf_phase", "tr", "te", "spoiling", "inversion")


@pytest.mark.parametrize("flips", [[], [30.0]])
def test_one_flip_angle_is_no_train(tmp_path: Path, flips: list[float]) -> None:
    path = write(tmp_path / "a.h5", flipAngle_deg=flips, TR=[12.0], TE=[2.0], TI=[20.0])
    with pytest.raises(InputError, match=f"flipAngle_deg has {len(flips)} values"):
        import_sequence(path, GIVEN)


@pytest.mark.slow
def test_damaged_files_stop_with_one_line(tmp_path: Path) -> None:
    import h5py

    good = write(tmp_path / "good.h5", flipAngle_deg=[10.0, 20.0], TR=[12.0], TE=[2.0], TI=[20.0])
    with h5py.File(good) as file:
        xml = bytes(file["dataset/xml"][0])
    cases = {
        "truncated": (
            good.read_bytes()[: good.stat().st_size // 2],
            "expected an ISMRMRD file in HDF5",
        ),
        "stream": (b"yardl" + bytes(500), "expected an ISMRMRD file in HDF5"),
        "broken": (xml[:200], "header cannot be read"),
        "wrong": (
            xml.replace(b">10.0<", b">ten<").replace(b">10<", b">ten<"),
            "header cannot be read",
        ),
        "entity": (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + xml, "declares a document type"),
        "empty": (None, "0 groups with a header"),
        "bare": (write(tmp_path / "bare.h5").read_bytes(), "no sequenceParameters"),
    }
    for name, (content, expected) in cases.items():
        path = tmp_path / f"{name}.h5"
        if content is not None and not content.startswith(b"<"):
            path.write_bytes(content)
        else:
            with h5py.File(path, "w") as file:
                if content is not None:
                    file.create_dataset(
                        "dataset/xml",
                        data=np.array([content], dtype=object),
                        dtype=h5py.string_dtype(),
                    )
        with pytest.raises(InputError) as caught:
            import_sequence(path, GIVEN)
        assert str(caught.value).startswith(f"{path}:") and expected in str(caught.value), name


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5", flipAngle_deg=[10.0, 20.0], TR=[12.0], TE=[2.0])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        import_sequence(path)
    assert "'h5py>=" in str(caught.value.hint)


def header_file(path: Path, header: str) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        text = np.array([header], h5py.string_dtype())
        file.create_group("dataset").create_dataset("xml", data=text)
    return path


PLAIN = (
    '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><measurementInformation>'
    "</measurementInformation><sequenceParameters><TR>12</TR><TE>2</TE><TI>20</TI>"
    "<flipAngle_deg>10</flipAngle_deg><flipAngle_deg>20</flipAngle_deg></sequenceParameters>"
    "</ismrmrdHeader>"
)


def test_a_header_that_breaks_the_schema_elsewhere_is_read(tmp_path: Path) -> None:
    """measurementInformation has no patientPosition, which the schema requires."""
    sequence = import_sequence(header_file(tmp_path / "a.h5", PLAIN), GIVEN).sequence
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), [10, 20])


@pytest.mark.parametrize("number", ["nan", "1e999", "", "1,5", "0x10"])
def test_what_is_no_finite_number_is_refused(tmp_path: Path, number: str) -> None:
    path = header_file(tmp_path / "a.h5", PLAIN.replace("<TR>12", f"<TR>{number}"))
    with pytest.raises(InputError, match="TR"):
        import_sequence(path, GIVEN)


@pytest.mark.slow
def test_a_reader_that_does_not_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless_reader.py").write_text("import time\ntime.sleep(60)\n")
    (tmp_path / "crashing_reader.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "a.h5"
    path.touch()
    with pytest.raises(InputError, match=r"a\.h5: its reader did not end within 1 s"):
        read_apart("endless_reader", path, "an MRD file", seconds=1)
    with pytest.raises(InputError, match=r"a\.h5: its reader failed, expected an MRD file"):
        read_apart("crashing_reader", path, "an MRD file")
