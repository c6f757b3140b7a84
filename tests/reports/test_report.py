import json
import re
from pathlib import Path

import numpy as np
import pytest
from front_door import command, refuses, save, works
from report_page import Page, a_method, a_run, good_maps

from mrftool.errors import ArgumentError
from mrftool.inference.model.manifest import Manifest
from mrftool.inference.session import Model
from mrftool.maps import Maps
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.reports.page import make_report, visible
from mrftool.reports.run import method_of
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style></title><h1>",
    "{{ 7 * 7 }}{% for %}",
    "javascript:alert(1)",
    "scan\u202egii.exe\u2028\x00\x1b[31m",
    "caf\udcff\N{GREEK SMALL LETTER ALPHA}\N{CJK UNIFIED IDEOGRAPH-6C34}.nii",
    "a" * 100_000,
    "&lt;b&gt; &amp; %s",
    "",
]


@pytest.fixture
def good(short_sequence: PulseSequence):
    return a_run(good_maps(), a_method(short_sequence))


def test_a_page_is_valid_whole_and_alone(good):
    page = Page(make_report(good).html)
    assert page.faults == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    named = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    assert named and set(named) <= set(ids)
    assert [tag for tag, _ in page.elements].count("h1") == 1
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {"script", "link", "iframe", "object", "a", "form", "base"}
    )
    assert page.all("html") == [{"lang": "en"}]
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    assert all("aria-labelledby" in table for table in page.all("table"))
    assert all(svg["aria-label"] for svg in page.all("svg"))


def test_a_page_names_no_other_place(good):
    html = make_report(good).html
    page = Page(html)
    policy = next(
        a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert (
        re.findall(
            r"https?:|//[a-z]|url\(|@import|srcset|\bon\w+=", re.sub(r"base64,[^\"]*", "", html)
        )
        == []
    )
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))


def test_pictures_speak_to_those_who_do_not_see_them(good):
    images = Page(make_report(good).html).all("img")
    alts = [image["alt"] for image in images]
    assert len(alts) == len(set(alts)) == 7
    t1 = next(alt for alt in alts if alt.startswith("T1 [ms]"))
    median = 1e3 * np.median(good.maps.t1[good.maps.flags == 0])
    assert "slices 1 to 3" in t1 and "from 0 to 3e+03" in t1 and f"median {median:.0f}" in t1


def test_a_page_says_what_was_read_and_assumed(good):
    text = Page(make_report(good).html).text
    for words in (
        "Good",
        "millimetres are assumed.",
        "scans/scan.nii.gz",
        "NIfTI, 123 kB",
        "12 x 10 x 3",
        "2 x 2 x 5 mm",
        "left, front, head (LAS)",
        "ab" * 32,
        "flip angle [deg]",
        "option mask mask.nii",
        "description MRF axial",
        "scanner Acme One, 2.89 T",
        "open the scan 0.50 0.40",
        "mrftool 1.2.3",
        "2026-01-02T03:04:05+00:00",
    ):
        assert words in text, words


SAID = (
    "sequence_id",
    "snr",
    "SeriesDescription",
    "ProtocolName",
    "Manufacturer",
    "ManufacturersModelName",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_files_say_is_shown_and_never_obeyed(short_sequence, text):
    def report(word: str) -> tuple[Page, dict]:
        method = a_method(
            short_sequence,
            name=word,
            file=word,
            sha256=word,
            sequence_name=word,
            sequence_id=word,
            words={"x": word},
            numbers={"x": word},
            scores={"snr_20": {"t1": {word: 1.0, "rmse_over_bound": 1.0, "coverage_95": 0.95}}},
        )
        run = a_run(
            good_maps(),
            method,
            series={
                "name": word,
                "sidecar": dict.fromkeys(SAID, word) | {"MagneticFieldStrength": 10**400},
            },
            source=word,
            kind=word,
            options={"mask": word},
            assumptions=(word,),
            started=word,
            seconds={word: (1.0, 1.0)},
            versions={word: word},
        )
        made = make_report(run)
        made.html.encode("utf-8")
        return Page(made.html), made.contents

    page, facts = report(text)
    calm, _ = report("calm" if text else "")
    assert page.faults == []
    assert page.structure() == calm.structure()
    assert facts["method"]["name"] == facts["input"]["path"] == text
    assert " ".join(visible(text).split()) in page.text


def test_texts_show_all_their_characters_and_end():
    assert visible("a\u202eb\x00\udcff\u2028") == "a\\u202eb\\u0000\\udcff\\u2028"
    assert (
        visible("caf\u00e9 \N{GREEK SMALL LETTER ALPHA}")
        == "caf\u00e9 \N{GREEK SMALL LETTER ALPHA}"
    )
    assert len(visible("x" * 10**6)) < 500 and "1000000 characters" in visible("x" * 10**6)
    assert visible(3) == 3


def test_a_hostile_manifest_is_reported(short_sequence):
    deep: dict = {}
    for _ in range(900):
        deep = {"d": deep}
    scores = {
        "snr_nan": {"t1": {}},
        "snr_20": "x",
        "snr_5": {"t1": 3, "t2": {"z": 10**400, "y": float("nan")}},
        "d": deep,
    }
    manifest = Manifest(
        "m",
        {"flip_angle_deg": "x"},
        "id",
        "s",
        "complex",
        40,
        {"t1": (0.1, 4), "t2": (0.01, 2)},
        scores=scores,
    )
    method = method_of(Model(Path("m.onnx"), manifest, b""))
    report = make_report(a_run(good_maps(), method))
    assert Page(report.html).faults == []
    facts = report.contents
    assert facts["method"]["scores"]["snr_5"]["t2"] == {"z": 10**400, "y": None}
    assert "sequence_unreadable" in [remark["code"] for remark in facts["remarks"]]


def test_every_key_is_documented(short_sequence):
    said = set(
        re.findall(
            r"`([a-z_0-9.]+)`",
            Path(__file__).parents[2].joinpath("docs/report.md").read_text("utf-8"),
        )
    )
    manifest = Manifest("m", {}, "id", "short", "complex", 40, {"t1": (0.1, 4), "t2": (0.01, 2)})
    method = method_of(Model(Path("m.onnx"), manifest, b""))
    facts = make_report(a_run(good_maps(residual=0.99), method)).contents
    from_model = {f"method.{key}" for key in facts["method"]}
    facts = make_report(a_run(good_maps(residual=0.99), a_method(short_sequence))).contents
    inner = {
        f"{key}.{name}" for key in ("input", "method", "sequence", "voxels") for name in facts[key]
    } | from_model
    listed = {
        *facts,
        *inner,
        *facts["remarks"][0],
        *facts["voxels"]["flags"][0],
        *facts["statistics"]["t1"],
    }
    listed |= {*facts["statistics"]["t1"]["histogram"], *facts["seconds"]["open the scan"]}
    whole = {
        "input",
        "method",
        "sequence",
        "voxels",
        "statistics",
        "seconds",
        "histogram",
    }  # documented by their parts
    assert listed - said - whole == set()


def test_numbers_are_those_of_the_maps(good):
    maps = good.maps
    maps.flags[5, 5, :] = Flag.MISFIT
    maps.t1[5, 5, :] = 100.0
    maps.t1[6, 5, 0] = 3.5
    facts = make_report(good).contents
    values = maps.t1[maps.flags == 0].astype(np.float64)
    t1 = facts["statistics"]["t1"]
    assert t1["unit"] == "s" and t1["n"] == values.size
    assert t1["p25"] == pytest.approx(np.percentile(values, 25)) and t1["mean"] == pytest.approx(
        values.mean()
    )
    histogram = t1["histogram"]
    assert (histogram["from"], histogram["to"], histogram["below"], histogram["above"]) == (
        0,
        3,
        0,
        1,
    )
    expected = np.histogram(values[values <= 3], 60, (0, 3))[0]
    assert histogram["counts"] == expected.tolist()
    misfit = next(flag for flag in facts["voxels"]["flags"] if flag["name"] == "misfit")
    assert (misfit["bit"], misfit["voxels"], misfit["with_signal"]) == (2, 3, 3)
    assert facts["voxels"]["measured"] == int((maps.flags != Flag.MASKED).sum())
    assert facts["sequence"]["flip_angle_deg"][0] == 5.0
    assert facts["maps"]["t1"] == "t1.nii.gz"


def test_maps_without_extras_or_signal_are_reported_too(short_sequence):
    shape = (4, 4, 1)
    zeros = np.zeros(shape, np.float32)
    masked = np.full(shape, Flag.MASKED, np.uint8)
    report = make_report(a_run(Maps(zeros, zeros, zeros, masked), a_method(None), n_bytes=None))
    page = Page(report.html)
    assert page.faults == [] and len(page.all("img")) == 4
    assert "Look at this" in page.text and "No voxel holds any signal." in page.text
    other = good_maps()
    other.extra["off_resonance"] = np.ones_like(other.t1)
    run = a_run(other, a_method(short_sequence, kind="dictionary"))
    assert "off-resonance [Hz]" in Page(make_report(run).html).text
    assert make_report(run).contents["statistics"]["off_resonance"]["unit"] == "Hz"
    other.extra["my_map"] = np.ones_like(other.t1)
    with pytest.raises(ArgumentError, match="map 'my_map' is unknown, expected one of t1, t2"):
        make_report(run)


def test_the_worst_volume_stays_under_two_megabytes(short_sequence):
    """Noise in every voxel of every map, which no compression makes smaller."""
    random, shape = np.random.default_rng(0), (256, 256, 12)
    t1, t2, m0, left, sd_t1, sd_t2 = (
        random.random(shape, np.float32) * top for top in (3, 0.3, 1, 0.2, 0.15, 0.015)
    )
    flags = random.integers(0, 16, shape).astype(np.uint8)
    maps = Maps(t1, t2, m0, flags, {"residual": left, "sd_t1": sd_t1, "sd_t2": sd_t2})
    html = make_report(a_run(maps, a_method(short_sequence))).html
    assert len(html.encode()) < 2e6
    assert "Each pixel is the mean of 2 x 2 voxels." in Page(html).text


@pytest.fixture(scope="module")
def short_model(tmp_path_factory, short_sequence: PulseSequence) -> Path:
    from mrftool.exporting.make import make_model
    from mrftool.inference.model.onnx_file import write_model

    path = tmp_path_factory.mktemp("model") / "short <b>.onnx"
    write_model(make_model(short_sequence, check=False)[0], path)
    return path


def a_scan(path: Path, sequence: PulseSequence) -> Path:
    random = np.random.default_rng(1)
    tissue = Tissue(random.uniform(0.5, 2, 36), random.uniform(0.04, 0.2, 36))
    signal = simulate(sequence, tissue).signal
    noise = random.normal(size=(2, *signal.shape)) * abs(signal).mean() / 30
    return save(path, (signal + noise[0] + 1j * noise[1]).astype(np.complex64).reshape(6, 6, 1, -1))


@pytest.mark.slow
def test_quantify_leaves_a_report_with_its_maps(tmp_path, short_model, short_sequence):
    name = "a<i>\u00e9&'\".nii.gz"
    scan, maps = a_scan(tmp_path / name, short_sequence), tmp_path / "maps"
    done = works("quantify", scan, "--model", short_model, "-o", maps, "--noise-sd", "0.01")
    assert str(maps / "report.html") in done.out
    page, facts = (
        Page((maps / "report.html").read_text("utf-8")),
        json.loads((maps / "report.json").read_text()),
    )
    assert page.faults == [] and name in page.text and "short <b>.onnx" in page.text
    assert facts["input"]["name"] == name and facts["options"] == {"noise-sd": "0.01"}
    assert (
        "short of the model" in facts["assumptions"][-1] and facts["assumptions"][-1] in page.text
    )
    codes = [remark["code"] for remark in facts["remarks"]]
    assert codes[-2:] == ["sequence_not_named", "typical_uncertainty"]
    assert set(facts["seconds"]) >= {
        "read the model",
        "open the scan",
        "read and quantify",
        "picture",
    }
    assert all((maps / file).is_file() for file in facts["maps"].values())


@pytest.mark.slow
def test_quantify_says_its_warnings_on_stderr_too(tmp_path, short_model, short_sequence):
    noise = np.random.default_rng(2).normal(size=(6, 6, 1, 40)).astype(np.complex64)
    done = command(
        "quantify",
        save(tmp_path / "noise.nii", noise),
        "--model",
        short_model,
        "-o",
        tmp_path / "maps",
    )
    facts = json.loads((tmp_path / "maps" / "report.json").read_text())
    warnings = [remark["text"] for remark in facts["remarks"] if remark["level"] == "warning"]
    assert facts["status"] == "look" and warnings
    assert all(f"mrftool: {text}\n" in done.err for text in warnings)


@pytest.mark.slow
def test_no_report_without_maps(tmp_path, short_model, short_sequence):
    scan, maps = a_scan(tmp_path / "scan.nii", short_sequence), tmp_path / "maps"
    (maps / "report.html").mkdir(parents=True)
    refuses(
        3,
        "quantify",
        scan,
        "--model",
        short_model,
        "-o",
        maps,
        says=("report.html", "regular file"),
    )
    assert [path.name for path in maps.iterdir()] == ["report.html"]
