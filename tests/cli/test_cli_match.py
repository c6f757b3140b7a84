"""`mrftool match` through the front door: maps against the truth, options, and what is refused."""

import inspect
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from front_door import environment, load, process, refuses, save, untouched, works

from mrftool.cli.commands.match import match as match_command
from mrftool.matching.match import match as run_match

GRID = ("--t1-ms", "200:4000:log40", "--t2-ms", "20:1500:log40")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own; without the pictures, which take most of the time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "mrftool.pages.maps.overview_figure", lambda *_, **__: _[2].write_bytes(b"picture")
    )
    report = SimpleNamespace(warnings=(), html="page", contents={})
    monkeypatch.setattr("mrftool.reports.page.make_report", lambda _: report)


@pytest.fixture(scope="module")
def scan(shelf: Path) -> Path:
    return shelf / "brain.nii.gz"


@pytest.fixture(scope="module")
def dictionary(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dictionary") / "short.npz"
    works("simulate", "--seq", shelf / "short.yaml", *GRID, "-o", path)
    return path


def match(scan: Path, *options: object, into: str = "maps") -> dict[str, Any]:
    """Match, and the maps by name."""
    works("match", scan, "-o", into, *options)
    return {path.name.split(".")[0]: load(path) for path in Path(into).glob("*.nii.gz")}


def test_maps_are_the_truth_up_to_the_grid(scan: Path, dictionary: Path, shelf: Path) -> None:
    found = match(scan, "--dictionary", dictionary)
    assert set(found) == {"T1map", "T2map", "M0map", "residual", "flags"}
    for name in ("T1map", "T2map", "M0map"):
        truth = load(shelf / f"brain_truth_{name}.nii.gz")
        inside = truth > 0
        ratio = found[name][inside] / truth[inside]
        assert abs(np.log(ratio)).max() < 0.25, name
        assert abs(np.log(ratio)).mean() < 0.05, name  # steps are 8 and 12 %
        assert (found[name][~inside] == 0).all()
    simulated = match(scan, "--seq", shelf / "short.yaml", *GRID, into="simulated")
    for name in ("T1map", "T2map", "flags"):
        np.testing.assert_array_equal(found[name], simulated[name])
    for name in (
        "M0map",
        "residual",
    ):  # entries are simulated up to the engine's tolerance, in other company each time
        np.testing.assert_allclose(found[name], simulated[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_report_says_how(
    scan: Path, dictionary: Path, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    out = works("match", scan, "--dictionary", dictionary, "-o", "maps").out
    report = json.loads(Path("maps/report.json").read_text())
    assert report["command"] == "match"
    method = report["method"]
    assert (method["kind"], method["name"], method["n_time"]) == ("dictionary", "short.npz", 40)
    assert method["t1_range_ms"] == pytest.approx([200, 4000]) and method["truncation"] <= 2e-3
    assert method["entries"] == len(np.load(dictionary)["t1"])
    assert report["options"] == {"dictionary": str(dictionary), "tolerance": "0.002"}
    sidecar = json.loads(Path("maps/T1map.json").read_text())
    assert (
        "dictionary short.npz: the entry with the largest inner product"
        in sidecar["EstimationAlgorithm"]
    )
    assert sidecar["mrftool"]["dictionary_sha256"] == method["sha256"]
    for name in ("overview.png", "report.html", "T1map.nii.gz"):
        assert Path("maps", name).exists() and f"maps/{name}" in out
    works("evaluate", "maps", "maps", scan)
    works("match", scan, "--seq", shelf / "short.yaml", *GRID, "-o", "other")
    assert json.loads(Path("other/report.json").read_text())["options"]["t1-ms"] == "200:4000:log40"


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory, scan: Path) -> Path:
    """The scan with noise, as parts and as magnitude and phase, and a mask, in one folder."""
    folder, random, image = tmp_path_factory.mktemp("noisy"), np.random.default_rng(0), load(scan)
    sd = 0.02 * abs(image).max()
    values = (image + sd * random.standard_normal((*image.shape, 2)) @ [1, 1j]).astype("c8")
    save(folder / "scan.nii", values)
    save(folder / "real.nii", values.real.astype("f4"))
    save(folder / "imag.nii", values.imag.astype("f4"))
    save(folder / "abs.nii", abs(values).astype("f4"))
    save(folder / "phase.nii", np.angle(values).astype("f4"))
    mask = np.zeros(image.shape[:3], np.uint8)
    mask[4:20, 4:20] = 1
    save(folder / "mask.nii", mask)
    return folder


SIMULATED = ("--seq", "short.yaml", *GRID)
# Each row: a scan and its options, and one option more, or with another value, that must change the
# maps.
OPTIONS: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
    (
        "dictionary",
        "scan.nii",
        (*SIMULATED[:2], "--t1-ms", "500,900", "--t2-ms", "60"),
        ("--dictionary", "short.npz"),
    ),
    ("seq", "scan.nii", SIMULATED, ("--seq", "other.yaml", *GRID)),
    ("t1_ms", "scan.nii", SIMULATED, (*SIMULATED, "--t1-ms", "300:100:900")),
    ("t2_ms", "scan.nii", SIMULATED, (*SIMULATED, "--t2-ms", "30:10:90")),
    ("b1_grid", "scan.nii", SIMULATED, (*SIMULATED, "--b1-grid", "0.9,1.1")),
    (
        "adc",
        "scan.nii",
        ("--seq", "moving.yaml", *GRID),
        ("--seq", "moving.yaml", *GRID, "--adc", "3e-9"),
    ),
    ("tolerance", "scan.nii", SIMULATED, (*SIMULATED, "--tolerance", "0.3")),
    ("rank", "scan.nii", SIMULATED, (*SIMULATED, "--rank", "2")),
    ("mask", "scan.nii", SIMULATED, (*SIMULATED, "--mask", "mask.nii")),
    ("imag", "real.nii", (*SIMULATED, "--form", "real"), (*SIMULATED, "--imag", "imag.nii")),
    ("phase", "abs.nii", (*SIMULATED, "--form", "real"), (*SIMULATED, "--phase", "phase.nii")),
    ("form", "abs.nii", (*SIMULATED, "--phase", "phase.nii"), (*SIMULATED, "--form", "real")),
]


@pytest.mark.parametrize(
    ("option", "name", "before", "after"), OPTIONS, ids=[row[0] for row in OPTIONS]
)
def test_every_option_makes_a_difference(
    option: str,
    name: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    noisy: Path,
    shelf: Path,
    dictionary: Path,
) -> None:
    text = (shelf / "short.yaml").read_text()
    Path("other.yaml").write_text(text.replace("tr_ms: 12", "tr_ms: 14"))
    spoiled = "spoiling: gradient\nspoiler: {gradient_mt_per_m: [20], duration_ms: [4]}\n"
    Path("moving.yaml").write_text(text.replace("spoiling: gradient\n", spoiled))
    placed = {"short.npz": str(dictionary), "short.yaml": str(shelf / "short.yaml")}
    placed |= {path.name: str(path) for path in noisy.iterdir()}
    results = []
    for n, options in enumerate((before, after)):
        results.append(
            match(noisy / name, *(placed.get(word, word) for word in options), into=f"{n}")
        )
    assert any((results[0][key] != results[1][key]).any() for key in results[0]), option


def test_threads_reach_the_search(
    scan: Path, dictionary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They must not change the maps, so that they act shows only inside."""
    seen = []

    def spied(*arguments: Any, threads: int) -> Any:
        seen.append(threads)
        return run_match(*arguments, threads=threads)

    monkeypatch.setattr("mrftool.matching.match.match", spied)
    one, two = (
        match(scan, "--dictionary", dictionary, "--threads", n, into=str(n)) for n in (1, 2)
    )
    assert set(seen) == {1, 2}
    for name, image in one.items():
        np.testing.assert_array_equal(image, two[name])


def test_no_option_was_forgotten() -> None:
    tested = {row[0] for row in OPTIONS} | {"scan", "output", "threads"}
    of_dicom = {"series", "dicom", "dicom_reference", "dicom_format"}  # see the tests of DICOM
    of_dicom |= {"allow", "overwrite", "strict"}  # see test_cli_header, test_cli_outputs
    of_dicom |= {"axes", "like", "variable", "skip"}  # see test_cli_arrays, test_cli_skip
    of_dicom |= {"anonymous"}  # see test_anonymous
    of_dicom |= {"rr", "basis"}  # see test_cli_heartbeats, test_reconstruct_command
    assert set(inspect.signature(match_command).parameters) - {"context"} == tested | of_dicom


def test_magnitudes_are_matched_with_magnitudes(noisy: Path, dictionary: Path) -> None:
    of_complex = match(
        noisy / "scan.nii", "--dictionary", dictionary, "--form", "magnitude", into="complex"
    )
    of_abs = match(noisy / "abs.nii", "--dictionary", dictionary, into="abs")
    for name in ("T1map", "T2map"):
        assert (
            of_complex[name] == of_abs[name]
        ).mean() > 0.999  # their moduli differ in the last digit


@pytest.mark.parametrize(
    "change", ["length", "sequence", "missing", "damaged", "no_dictionary", "empty"]
)
def test_a_wrong_dictionary_is_refused_and_leaves_nothing(
    change: str, scan: Path, dictionary: Path, shelf: Path, tmp_path: Path
) -> None:
    content, path = dict(np.load(dictionary)), tmp_path / "d.npz"
    says = {
        "length": (4, "brain.nii.gz: 40 time points, expected 39 as the dictionary"),
        "sequence": (4, "expected short (0123456789abcdef) as the dictionary"),
        "missing": (3, "d.npz: No such file"),
        "damaged": (3, "d.npz"),
        "no_dictionary": (3, "d.npz: "),
        "empty": (3, "d.npz: an entry is zero or not finite"),
    }[change]
    if change == "length":
        content["signal"] = content["signal"][:, 1:]
    elif change == "sequence":
        content["sequence_id"] = np.array("0123456789abcdef")
    elif change == "no_dictionary":
        del content["t1"]
    elif change == "empty":
        content["signal"][7] = 0
    if change != "missing":
        np.savez(path, **content)
    if change == "damaged":
        path.write_bytes(path.read_bytes()[:3000])
    with untouched(tmp_path):
        refuses(says[0], "match", scan, "--dictionary", path, says=(says[1],))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--dictionary", "d.npz", "--seq", "fisp"),
            "--seq goes with a simulated dictionary, not with a file",
        ),
        (("--dictionary", "d.npz", "--t1-ms", "1,2"), "--t1-ms goes with a simulated dictionary"),
        (("--dictionary", "d.npz", "--adc", "1e-9"), "--adc goes with a simulated dictionary"),
        (("--t1-ms", "100,200"), "expected values of both T1 and T2"),
        (("--tolerance", 0), "--tolerance 0"),
        (("--tolerance", 1), "--tolerance 1"),
        (("--rank", 0), "rank 0"),
        (("--rank", 3, "--tolerance", 0.1), "--rank replaces --tolerance"),
        (("--threads", 0), "--threads 0, expected 1 to 256"),
        (("--form", "imaginary"), "--form"),
    ],
)
def test_absurd_options_are_refused(
    options: tuple[object, ...], says: str, scan: Path, shelf: Path, tmp_path: Path
) -> None:
    extra = (
        () if {"--dictionary", "--t1-ms"} & set(options) else ("--seq", shelf / "short.yaml", *GRID)
    )
    with untouched(tmp_path):
        refuses(2, "match", scan, *extra, *options, says=(says,))


def test_outputs_never_replace_the_dictionary(scan: Path, dictionary: Path, tmp_path: Path) -> None:
    Path("maps").mkdir()
    taken = Path("maps/report.json")
    taken.write_bytes(dictionary.read_bytes())
    with untouched(tmp_path):
        refuses(
            2, "match", scan, "--dictionary", taken, says=("is an input, expected another place",)
        )


@pytest.mark.slow
def test_matching_needs_no_torch(scan: Path, dictionary: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    found = process("match", scan, "--dictionary", dictionary, cwd=tmp_path)
    assert found.code == 0, (found, environment())
