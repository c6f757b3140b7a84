"""Sessions with the MRD server: the maps of a file, or a reason."""

import numpy as np
import pytest
from mrd_scans import (
    coefficient_images,
    session,
    write_coefficient_scan,
    write_image_scan,
    write_raw_scan,
)

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.formats.coefficients.read import open_coefficients
from mrftool.formats.coefficients.write import folder_files
from mrftool.formats.dicom.write.quantity import quantified, stored_image
from mrftool.formats.mrd.append import growing_file, stored_images, stored_readouts
from mrftool.formats.mrd.image import MrdImage
from mrftool.formats.open_scan import open_scan
from mrftool.formats.sequence.mrd.header import read_header_text
from mrftool.quantities import quantity
from mrftool.servers.mrd.client import as_mrd
from mrftool.servers.mrd.messages import Kind, Readout, Text
from mrftool.servers.mrd.service import Service, parse_configs
from mrftool.workflows.kspace.quantify_coefficients import (
    CoefficientScan,
    quantify_coefficient_scan,
)
from mrftool.workflows.quantify import quantify_scan
from mrftool.workflows.steps.scan import ScanFiles

SERIES = {"t1": 101, "t2": 102, "sd_t1": 103, "sd_t2": 104, "m0": 105}
LAST = 1 << 24


@pytest.fixture(scope="module")
def raw(tmp_path_factory, short_sequence):
    return write_raw_scan(tmp_path_factory.mktemp("raw") / "scan.mrd", short_sequence)


@pytest.fixture(scope="module")
def images(tmp_path_factory, shelf):
    return write_image_scan(tmp_path_factory.mktemp("images") / "scan.mrd", shelf / "brain.nii.gz")


@pytest.fixture(scope="module")
def coefficients(tmp_path_factory, short_sequence):
    images = coefficient_images(short_sequence)
    path = tmp_path_factory.mktemp("coefficients") / "scan.mrd"
    return write_coefficient_scan(path, images, short_sequence), images


def _sending(path, config="", flags=0, times=1, protocol=""):
    """Sends an MRD file; `flags` are added to its last readout, `protocol` to its header."""

    def send(connection):
        connection.send_config_name(config)
        start, end, name = read_header_text(path).decode().rpartition("</")
        connection.send_text(start + protocol + end + name, Kind.HEADER)
        for _ in range(times):
            readouts = [Readout(*parts) for parts in stored_readouts(path)]
            if readouts:
                readouts[-1].head["flags"] |= flags
            for readout in readouts:
                connection.send_readout(readout)
            for image in stored_images(path):
                connection.send_image(image)
        connection.send_close()

    return send


def _series(answers, number):
    planes = [item for item in answers if isinstance(item, MrdImage) and item.series == number]
    planes.sort(key=lambda image: int(image.head["slice"][0]))
    return np.stack([image.values[0, 0].T for image in planes], axis=2)


def _assert_same_maps(answers, maps):
    for name, image in maps.images():
        if name in SERIES:
            expected = stored_image(quantified(name, image, quantity(name).unit.name)).integers
            np.testing.assert_array_equal(_series(answers, SERIES[name]), expected)


def _texts(answers):
    return [item.text for item in answers if isinstance(item, Text)]


@pytest.mark.slow
def test_raw_data_give_the_maps_of_the_file_to_the_bit(raw, tmp_path):
    answers, fault = session(_sending(raw), Service(threads=1))
    assert fault is None
    scan = CoefficientScan(raw, threads=1)
    result = quantify_coefficient_scan(scan, tmp_path / "maps", SilentReporter())
    assert np.count_nonzero(result.maps.t1) > 20
    assert {image.series for image in answers if isinstance(image, MrdImage)} == set(
        SERIES.values()
    )
    _assert_same_maps(answers, result.maps)


@pytest.mark.slow
def test_each_measurement_is_answered_when_its_last_readout_comes(raw, tmp_path):
    service = Service(threads=1, save=tmp_path)
    answers, fault = session(_sending(raw, flags=LAST, times=2), service)
    assert fault is None
    assert [image.series for image in answers if isinstance(image, MrdImage)] == [
        *SERIES.values(),
        *SERIES.values(),
    ]
    assert len(list(tmp_path.glob("session-*/scan_*.mrd"))) == 2
    assert len(list(tmp_path.glob("session-*/scan_*/T1map.nii.gz"))) == 2


@pytest.mark.slow
def test_images_give_the_maps_of_the_file_to_the_bit(images, model, tmp_path):
    service = Service(parse_configs([f"mrf={model}"]), threads=1)
    answers, fault = session(_sending(images, "mrf"), service)
    assert fault is None
    result = quantify_scan(ScanFiles(images), tmp_path, SilentReporter(), model=model, threads=1)
    _assert_same_maps(answers, result.maps)
    first = next(item for item in answers if isinstance(item, MrdImage))
    np.testing.assert_allclose(first.head["position"][0], (3.0, -4.0, 0.0), atol=1e-4)
    assert "<value>Quantitative</value>" in first.attributes


@pytest.mark.slow
@pytest.mark.parametrize("allow", [(), ("tr",)])
def test_a_header_that_contradicts_the_sequence_is_refused_unless_that_is_allowed(
    images, model, allow
):
    service = Service(parse_configs([f"mrf={model}"]), threads=1, allow=allow)
    assert Service.from_text(service.to_text()) == service
    protocol = "<sequenceParameters><TR>99</TR></sequenceParameters>"
    answers, fault = session(_sending(images, "mrf", protocol=protocol), service)
    if allow:
        assert fault is None
        assert any(text.startswith("allowed (tr): ") for text in _texts(answers))
    else:
        assert "TR" in fault and not any(isinstance(item, MrdImage) for item in answers)


def test_coefficient_images_come_back_from_mrd_as_they_were(coefficients):
    path, images = coefficients
    found = open_coefficients(path)
    np.testing.assert_array_equal(found.images, images.images)
    np.testing.assert_array_equal(found.basis, images.basis)
    np.testing.assert_array_equal(found.mask, images.mask)
    np.testing.assert_allclose(found.covariance, images.covariance, rtol=1e-6)
    np.testing.assert_allclose(found.placement.affine, images.placement.affine, atol=1e-5)


@pytest.mark.slow
def test_coefficient_images_give_the_maps_of_the_file_to_the_bit(coefficients, tmp_path):
    path, _ = coefficients
    answers, fault = session(_sending(path), Service(threads=1))
    assert fault is None
    result = quantify_coefficient_scan(CoefficientScan(path), tmp_path / "maps", SilentReporter())
    _assert_same_maps(answers, result.maps)
    np.testing.assert_allclose(result.maps.t1[1, 1, 0], 0.9, rtol=0.02)
    assert result.maps.t1[0, 0, 1] == 0
    assert 0 < dict(result.maps.images())["sd_t1"][1, 1, 0] < 0.1


def test_a_folder_of_coefficient_images_becomes_mrd(coefficients, tmp_path):
    _, images = coefficients
    named = {"coefficients.nii": (images.images, ""), "covariance.nii": (images.covariance, "")}
    files = folder_files(tmp_path, named, images.basis, images.placement, {"schema": 1})
    for path, content in files.items():
        path.write_bytes(content)
    with as_mrd(tmp_path) as path:
        found = open_coefficients(path)
    np.testing.assert_array_equal(found.images, images.images)
    with as_mrd(path) as same:
        assert same == path


@pytest.mark.parametrize("changed", ["!!!!!!!!", "k05VTVBA"])
def test_a_basis_that_makes_no_sense_is_refused(coefficients, tmp_path, changed):
    path, _ = coefficients
    header = read_header_text(path).decode()
    assert "k05VTVBZ" in header  # "\x93NUMPY" in base64
    with growing_file(tmp_path / "scan.mrd", header.replace("k05VTVBZ", changed)) as file:
        for image in stored_images(path):
            file.add_image(image)
    with pytest.raises(InputError, match=r"no \.npy in base64"):
        open_coefficients(tmp_path / "scan.mrd")


def test_images_are_the_scan_that_they_were_made_from(images, shelf):
    found, expected = open_scan(images), open_scan(shelf / "brain.nii.gz")
    assert found.shape == expected.shape
    for (voxels, signal), (_, other) in zip(found.blocks(), expected.blocks(), strict=True):
        assert len(voxels)
        np.testing.assert_array_equal(signal, other)


@pytest.mark.parametrize(
    ("config", "said"),
    [("", "configuration '' is unknown"), ("other", "expected one of the configurations: mrf")],
)
def test_unknown_configurations_are_refused_by_name(images, model, config, said):
    service = Service(parse_configs([f"mrf={model}"]))
    answers, fault = session(_sending(images, config), service)
    assert said in fault
    assert said in _texts(answers)[-1]


def test_images_without_a_model_are_refused(images):
    answers, _ = session(_sending(images, "mrf"), Service(parse_configs(["mrf=delics"])))
    assert "images need a configuration that names a model" in _texts(answers)[-1]


def test_data_before_the_header_are_refused(raw):
    def send(connection):
        connection.send_config_name("mrf")
        connection.send_readout(Readout(*next(stored_readouts(raw))))
        connection.send_close()

    answers, _ = session(send, Service())
    assert "data before the header" in _texts(answers)[-1]


def test_a_session_without_data_is_an_error(raw):
    def send(connection):
        connection.send_text(read_header_text(raw).decode(), Kind.HEADER)
        connection.send_close()

    answers, _ = session(send, Service())
    assert "no data came" in _texts(answers)[-1]


@pytest.mark.parametrize("text", ["mrf", '{"parameters": {"config": "mrf"}}', '{"config": "mrf"}'])
def test_the_text_of_a_configuration_can_name_it(images, text):
    def send(connection):
        connection.send_text(text, Kind.CONFIG_TEXT)
        connection.send_text(read_header_text(images).decode(), Kind.HEADER)
        connection.send_image(next(stored_images(images)))
        connection.send_close()

    answers, _ = session(send, Service(parse_configs(["mrf=delics"])))
    assert "names a model" in _texts(answers)[-1]


def test_a_configuration_must_name_a_model_or_a_sequence():
    with pytest.raises(ValueError, match="NAME=MODEL"):
        parse_configs(["fisp"])
    with pytest.raises(InputError, match="nothing"):
        parse_configs(["mrf=nothing"])


def test_settings_survive_the_way_to_another_process(tmp_path):
    service = Service({"mrf": "fisp"}, save=tmp_path, threads=2)
    assert Service.from_text(service.to_text()) == service
