"""`mrftool simulate` through the front door: results, options, and everything that can go wrong
with them.
"""

import inspect
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from front_door import (
    assert_refused,
    command,
    files,
    load,
    process,
    refuses,
    save,
    untouched,
    works,
)

from mrftool.cli.commands.simulate import simulate as simulate_command
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_to_dict
from mrftool.phantoms.brainweb import read_brainweb
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.outputs.places import tell_size

DICTIONARY = ("--t1-ms", "100,500,1000", "--t2-ms", "20,80")
PHANTOM = ("--phantom", "vials", "--matrix", 8)
TUBES = [f"T2-{n}" for n in range(1, 15)]
PAIRS = [(t1, t2) for t1 in (0.1, 0.5, 1.0) for t2 in (0.02, 0.08)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own, so that what they leave there shows."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def seq(tmp_path_factory: pytest.TempPathFactory, short_sequence: PulseSequence) -> Path:
    """The short sequence, with the spoiler waveform that diffusion needs."""
    path = tmp_path_factory.mktemp("seq") / "spoiled.yaml"
    spoiler = {"gradient_mt_per_m": [20.0], "duration_ms": [4.0]}
    path.write_text(yaml.safe_dump({**sequence_to_dict(short_sequence), "spoiler": spoiler}))
    return path


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tissue maps, as NIfTI and as .npz."""
    folder = tmp_path_factory.mktemp("maps")
    t1, t2 = np.linspace(0.5, 2, 24).reshape(4, 3, 2), np.linspace(0.05, 0.2, 24).reshape(4, 3, 2)
    save(folder / "t1.nii", t1.astype("f4"))
    save(folder / "t2.nii", t2.astype("f4"))
    save(folder / "m0.nii", (2 + t1).astype("f4"))
    save(folder / "b1.nii", (0.8 + t1 / 10).astype("f4"))
    save(folder / "mask.nii", (t1 > 1).astype("u1"))
    np.savez(folder / "tissue.npz", t1=t1, t2=t2)
    return folder


def signal(path: Path) -> Any:
    with np.load(path) as file:
        return file["signal"]


def test_a_dictionary_holds_what_the_engine_says(seq: Path, tmp_path: Path) -> None:
    outcome = works("simulate", "--seq", seq, *DICTIONARY, "-o", "d.npz")
    assert outcome.out.split() == ["d.npz"]
    assert sorted(files(tmp_path)) == ["d.npz"]
    with np.load("d.npz") as file:
        t1, t2 = np.array(PAIRS).T
        np.testing.assert_allclose(file["t1"], t1)
        np.testing.assert_allclose(file["t2"], t2)
        np.testing.assert_allclose(
            file["signal"], simulate(read_sequence(seq), Tissue(t1, t2)).signal, atol=1e-6
        )
        assert str(file["sequence_id"]) == read_sequence(seq).sequence_id
        assert json.loads(str(file["sequence_json"]))["name"] == "short"


def test_an_image_holds_the_fingerprint_of_the_truth_beside_it(seq: Path, tmp_path: Path) -> None:
    outcome = works("simulate", "--seq", seq, *PHANTOM, "--b1-spread", 0.2, "-o", "vials.nii.gz")
    assert sorted(outcome.out.split()) == sorted(files(tmp_path))
    sidecar = json.loads(Path("vials.json").read_text())
    assert sidecar["sequence_id"] == read_sequence(seq).sequence_id
    truth = {name: load(Path(file)) for name, file in sidecar["truth"].items()}
    inside = truth["t1"] > 0
    columns = {name: truth[name][inside].astype(float) for name in ("t1", "t2", "m0", "b1")}
    expected = simulate(read_sequence(seq), Tissue(**columns)).signal
    image = load(Path("vials.nii.gz"))
    assert image.dtype == np.complex64
    np.testing.assert_allclose(image[inside], expected, atol=1e-5)
    assert not image[~inside].any()
    assert [sidecar["classes"][int(n) - 1] for n in np.unique(truth["labels"][inside])] == TUBES


def test_noise_has_the_snr_that_was_asked_for(seq: Path) -> None:
    works("simulate", "--seq", seq, "--phantom", "vials", "--matrix", 32, "-o", "clean.nii")
    works(
        "simulate",
        "--seq",
        seq,
        "--phantom",
        "vials",
        "--matrix",
        32,
        "--snr",
        10,
        "-o",
        "noisy.nii",
    )
    clean, noisy = load(Path("clean.nii")), load(Path("noisy.nii"))
    inside = clean.any(axis=-1)
    noise = (noisy - clean)[inside]
    rms = np.sqrt(np.mean(abs(clean[inside]) ** 2))
    assert abs(rms / noise.real.std() / 10 - 1) < 0.02
    assert abs(rms / noise.imag.std() / 10 - 1) < 0.02
    assert json.loads(Path("noisy.json").read_text())["noise_sd"] == pytest.approx(
        noise.real.std(), rel=0.02
    )


def test_tissue_maps_in_nifti_and_npz_give_the_same_series(seq: Path, maps: Path) -> None:
    works("simulate", "--seq", seq, "--t1", maps / "t1.nii", "--t2", maps / "t2.nii", "-o", "a.nii")
    outcome = works("simulate", "--seq", seq, "--phantom", maps / "tissue.npz", "-o", "b.nii")
    assert "no affine" in outcome.err
    np.testing.assert_allclose(load(Path("a.nii")), load(Path("b.nii")), atol=1e-6)


def test_without_an_output_the_sequence_names_it(seq: Path, tmp_path: Path) -> None:
    works("simulate", "--seq", seq, *DICTIONARY)
    works("simulate", "--seq", seq, *PHANTOM)
    assert {"short.npz", "short.nii.gz", "short.json"} <= set(files(tmp_path))


def test_a_sequence_cannot_name_a_place_outside(seq: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.chdir("in")
    Path("evil.yaml").write_text(
        yaml.safe_dump({**yaml.safe_load(seq.read_text()), "name": "../../a /b\n\x1b[31m"})
    )
    works("simulate", "--seq", "evil.yaml", *DICTIONARY)
    assert sorted(files(tmp_path)) == ["in", "in/a_b_31m.npz", "in/evil.yaml"]


# Each row: what is simulated, and an option that must make a difference to it.
OPTIONS = [
    (DICTIONARY, "t1_ms", "200,300"),
    (DICTIONARY, "t2_ms", "30"),
    (DICTIONARY, "b1_grid", "0.9,1.1"),
    (DICTIONARY, "adc", 2e-9),
    (DICTIONARY, "r2_prime", 15),
    (DICTIONARY, "snr", 10),
    ((*DICTIONARY, "--snr", 10), "seed", 5),
    (("--t1-ms", "100", "--t2-ms", "5,10"), "tolerance", 0.9),
    (DICTIONARY, "n_states", 2),
    (PHANTOM, "phantom", "brain"),
    (PHANTOM, "matrix", 9),
    (PHANTOM, "slices", 2),
    (PHANTOM, "b1_spread", 0.1),
    (PHANTOM, "m0_phase", 45),
    (PHANTOM, "adc", 2e-9),
    (PHANTOM, "r2_prime", 15),
    (PHANTOM, "snr", 10),
    (("--phantom", "brain", "--matrix", 4), "seed", 5),
    ((*PHANTOM, "--b1-spread", 0.1), "seed", 5),
    (PHANTOM, "form", "magnitude"),
    (("--phantom", "vials", "--matrix", 16), "tolerance", 0.9),
    (PHANTOM, "n_states", 2),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "t1", "b1.nii"),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "t2", "t1.nii"),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "m0", "m0.nii"),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "b1", "b1.nii"),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "mask", "mask.nii"),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "adc", 2e-9),
    (("--t1", "t1.nii", "--t2", "t2.nii"), "r2_prime", 15),
    (("--phantom", "tissue.npz"), "adc", 2e-9),
    (("--phantom", "tissue.npz"), "r2_prime", 15),
]


@pytest.mark.parametrize(("base", "option", "value"), OPTIONS)
def test_every_option_makes_a_difference(
    base: tuple[object, ...], option: str, value: object, seq: Path, maps: Path, tmp_path: Path
) -> None:
    for name in ("t1", "t2", "m0", "b1", "mask"):
        (tmp_path / f"{name}.nii").symlink_to(maps / f"{name}.nii")
    (tmp_path / "tissue.npz").symlink_to(maps / "tissue.npz")
    output = "out.npz" if base[0] == "--t1-ms" else "out.nii"
    works("simulate", "--seq", seq, *base, "-o", output)
    before = Path(output).read_bytes()
    works("simulate", "--seq", seq, *base, f"--{option.replace('_', '-')}", value, "-o", output)
    assert Path(output).read_bytes() != before


def test_the_same_options_give_the_same_bytes(seq: Path) -> None:
    for n in (1, 2):
        works(
            "simulate", "--seq", seq, *PHANTOM, "--snr", 10, "--b1-spread", 0.2, "-o", f"{n}.nii.gz"
        )
        works("simulate", "--seq", seq, *DICTIONARY, "--snr", 10, "-o", f"{n}.npz")
    assert Path("1.nii.gz").read_bytes() == Path("2.nii.gz").read_bytes()
    np.testing.assert_array_equal(signal(Path("1.npz")), signal(Path("2.npz")))


def test_no_option_was_forgotten() -> None:
    tested = {option for _, option, _ in OPTIONS} | {"seq", "output", "brainweb"}
    tested |= {"rr", "overwrite"}  # see test_cli_heartbeats and test_foreign_files
    # see test_reconstruct_command
    tested |= {"kspace", "coils", "trajectory", "fine", "b0_hz", "stack", "coverage"}
    assert set(inspect.signature(simulate_command).parameters) - {"context"} == tested


@pytest.mark.parametrize(
    ("arguments", "option", "places"),
    [
        ((*DICTIONARY, "--matrix", 8), "--matrix", "a phantom"),
        ((*DICTIONARY, "--form", "complex"), "--form", "a phantom"),
        (("--mask", "m.nii"), "--mask", "tissue maps"),
        (("--m0", "m.nii"), "--m0", "tissue maps"),
        ((*PHANTOM, "--t1-ms", "1,2"), "--t1-ms", "a dictionary"),
        ((*PHANTOM, "--b1", "b.nii"), "--b1", "tissue maps"),
        (("--phantom", "tissue.npz", "--matrix", 8), "--matrix", "a phantom"),
        (("--phantom", "tissue.npz", "--b1-spread", 0), "--b1-spread", "a phantom"),
        (("--t1", "a.nii", "--t2", "b.nii", "--slices", 1), "--slices", "a phantom"),
        (("--brainweb", "folder", "--matrix", 8), "--matrix", "a phantom"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    arguments: tuple[object, ...], option: str, places: str, seq: Path, tmp_path: Path
) -> None:
    with untouched(tmp_path):
        refuses(
            2, "simulate", "--seq", seq, *arguments, says=(f"{option} does nothing for", places)
        )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*PHANTOM[:2], "--matrix", 0), "--matrix 0, expected 1 to 4096"),
        ((*PHANTOM[:2], "--matrix", -5), "--matrix -5"),
        (("--phantom", "brain", "--matrix", 100000000), "--matrix 100000000"),
        (("--phantom", "vials", "--matrix", 100000000), "--matrix 100000000"),
        (
            (*PHANTOM[:2], "--matrix", 4096, "--slices", 4096),
            "4096 x 4096 x 4096 voxels, expected at most",
        ),
        ((*PHANTOM[:2], "--matrix", "x"), "--matrix"),
        ((*PHANTOM[:2], "--matrix", 8.5), "--matrix"),
        ((*PHANTOM, "--slices", 0), "--slices 0"),
        ((*PHANTOM, "--snr", "nan"), "--snr nan"),
        ((*PHANTOM, "--snr", 0), "--snr 0"),
        ((*PHANTOM, "--snr", -3), "--snr -3"),
        ((*PHANTOM, "--snr", 1e-300), "--snr 1e-300"),
        ((*PHANTOM, "--seed", -1), "--seed -1"),
        ((*PHANTOM, "--seed", 10**30), "--seed 1000000"),
        ((*PHANTOM, "--b1-spread", "nan"), "--b1-spread nan, expected 0 to 1"),
        ((*PHANTOM, "--b1-spread", 5), "--b1-spread 5"),
        ((*PHANTOM, "--m0-phase", "inf"), "--m0-phase inf"),
        ((*PHANTOM, "--adc", -1), "--adc -1"),
        ((*PHANTOM, "--adc", "nan"), "--adc nan"),
        ((*PHANTOM, "--form", "real"), "--form"),
        ((*PHANTOM, "--tolerance", "nan"), "tolerance nan, expected more than 0"),
        ((*PHANTOM, "--tolerance", 0), "tolerance 0"),
        ((*PHANTOM, "--n-states", 0), "0 states"),
        ((*PHANTOM, "--n-states", 3, "--tolerance", 0.1), "--n-states replaces --tolerance"),
        (("--t1-ms", "0:0:0", "--t2-ms", "10"), "'0:0:0', expected start:step:stop"),
        (("--t1-ms", "100:-10:50", "--t2-ms", "10"), "'100:-10:50'"),
        (("--t1-ms", "100,nan", "--t2-ms", "10"), "'100,nan'"),
        (("--t1-ms", "-100,200", "--t2-ms", "10"), "'-100,200'"),
        (("--t1-ms", "", "--t2-ms", "10"), "''"),
        (("--t1-ms", "1:1e-9:100", "--t2-ms", "10"), "expected at most 100000"),
        (("--t1-ms", "1:2:log99999999999999999999", "--t2-ms", "10"), "expected at most 100000"),
        (
            ("--t1-ms", "1:2:log90000", "--t2-ms", "0.1:1:log90000"),
            "8100000000 combinations, expected at most",
        ),
        (("--t1-ms", "100", "--t2-ms", "200"), "T2 <= T1"),
        (("--t1-ms", "100"), "expected values of both T1 and T2"),
        (("--b1-grid", "1"), "those of B1 only with them\nhint: see --t1-ms, --t2-ms, --b1-grid"),
        (
            ("--t1", "a.nii"),
            "a T1 map with a T2 map\nhint: see --phantom, --brainweb, --t1, --t2",
        ),
        (("--phantom", "brain", "--brainweb", "x"), "expected one of"),
        (("--phantom", "head"), "there is no phantom head, expected brain, vials or a .npz file"),
        ((*DICTIONARY, "-o", "d.nii"), "d.nii: a dictionary is a .npz file"),
        ((*PHANTOM, "-o", "d.npz"), "d.npz: an image of a phantom is a NIfTI file"),
        ((*PHANTOM, "-o", ""), "expected .nii or .nii.gz"),
    ],
)
def test_absurd_numbers_are_refused_with_the_option_and_what_was_expected(
    arguments: tuple[object, ...], says: str, seq: Path, tmp_path: Path
) -> None:
    with untouched(tmp_path):
        refuses(2, "simulate", "--seq", seq, *arguments, says=(says,))


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (2, ("--phantom", "brian"), "brian"),
        (3, ("--phantom", "none.npz"), "none.npz"),
        (3, ("--phantom", "text.npz"), "text.npz"),
        (3, ("--brainweb", "nowhere"), "nowhere: no such folder"),
        (3, ("--t1", "none.nii", "--t2", "t2.nii"), "none.nii: no such file, expected"),
        (3, ("--t1", "text.nii", "--t2", "t2.nii"), "text.nii: is no NIfTI file"),
        (
            3,
            ("--t1", "t1.nii", "--t2", "t2.nii", "--mask", "t1.nii"),
            "t1.nii: holds 24 different values",
        ),
        (
            4,
            ("--t1", "t1.nii", "--t2", "small.nii"),
            "small.nii: has 3 x 3 x 2 voxels, expected 4 x 3 x 2",
        ),
        (
            4,
            ("--t1", "t1.nii", "--t2", "t2.nii", "--m0", "moved.nii"),
            "moved.nii: its voxels lie up to 7 mm away",
        ),
        (
            3,  # a map of T2 on other voxels: it is resampled, and is no map of B1
            ("--t1", "t1.nii", "--t2", "t2.nii", "--b1", "small.nii"),
            "small.nii: its median is 0.145",
        ),
    ],
)
def test_bad_tissue_is_refused_by_name(
    code: int, arguments: tuple[object, ...], says: str, seq: Path, maps: Path, tmp_path: Path
) -> None:
    for name in ("t1.nii", "t2.nii"):
        (tmp_path / name).write_bytes((maps / name).read_bytes())
    save(tmp_path / "small.nii", load(maps / "t2.nii")[1:])
    save(
        tmp_path / "moved.nii", load(maps / "m0.nii"), np.diag([1.0, 1, 1, 1]) + 7 * np.eye(4, k=3)
    )
    for name in ("text.nii", "text.npz"):
        (tmp_path / name).write_text("neither" * 100)
    with untouched(tmp_path):
        refuses(code, "simulate", "--seq", seq, *arguments, "-o", "out.nii", says=(says,))


def test_diffusion_needs_a_spoiler_waveform(shelf: Path, tmp_path: Path) -> None:
    with untouched(tmp_path):
        refuses(
            4,
            "simulate",
            "--seq",
            shelf / "short.yaml",
            *PHANTOM,
            "--adc",
            1e-9,
            says=("no spoiler waveform",),
        )


def test_an_output_never_replaces_an_input(seq: Path, maps: Path, tmp_path: Path) -> None:
    for name in ("t1", "t2"):
        (tmp_path / f"brain_truth_{name.upper()}map.nii.gz").write_bytes(b"")
        save(tmp_path / f"brain_truth_{name.upper()}map.nii.gz", load(maps / f"{name}.nii"))
    (tmp_path / "brain.json").write_text(json.dumps(yaml.safe_load(seq.read_text())))
    names = ("--t1", "brain_truth_T1map.nii.gz", "--t2", "brain_truth_T2map.nii.gz")
    with untouched(tmp_path):
        refuses(
            2,
            "simulate",
            "--seq",
            seq,
            *names,
            "-o",
            "brain.nii",
            says=("T1map.nii.gz is an input",),
        )
        refuses(
            2,
            "simulate",
            "--seq",
            "brain.json",
            *PHANTOM,
            "-o",
            "brain.nii",
            says=("brain.json is an input",),
        )


@pytest.mark.parametrize("output", ["no/such/folder/out", "file/out", "/proc/out"])
@pytest.mark.parametrize(
    ("base", "suffix"), [(DICTIONARY, ".npz"), (PHANTOM, ".nii"), (PHANTOM, ".nii.gz")]
)
def test_a_place_that_cannot_be_written_is_named(
    output: str, base: tuple[object, ...], suffix: str, seq: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with untouched(tmp_path):
        refuses(
            3,
            "simulate",
            "--seq",
            seq,
            *base,
            "-o",
            output + suffix,
            says=(output + suffix, "cannot be written"),
        )


def limit_file_size() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "output"),
    [(("--t1-ms", "100:1:400", "--t2-ms", "20"), "d.npz"), (PHANTOM, "b.nii.gz")],
)
def test_no_space_is_said_and_leaves_what_was_there(
    base: tuple[object, ...], output: str, seq: Path, tmp_path: Path
) -> None:
    (tmp_path / output).write_text("an earlier result")
    with untouched(tmp_path):
        outcome = process(
            "simulate",
            "--seq",
            seq,
            *base,
            "--overwrite",
            "-o",
            output,
            cwd=tmp_path,
            preexec_fn=limit_file_size,
        )
    assert_refused(outcome, 3, ("File too large",))


def test_a_disk_that_is_too_full_shows_before_the_work(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs(tmp_path)
    usage = type("Usage", (), {"free": 100, "total": full.f_blocks, "used": 0})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr(
        "mrftool.workflows.simulate.simulate_blocks", None
    )  # the work must not begin
    with untouched(tmp_path):
        refuses(3, "simulate", "--seq", seq, *DICTIONARY, "-o", "d.npz", says=("free, expected",))
        refuses(3, "simulate", "--seq", seq, *PHANTOM, "-o", "d.nii", says=("free, expected",))


@pytest.mark.parametrize(
    ("base", "output"), [(DICTIONARY, "d.npz"), (PHANTOM, "b.nii"), (PHANTOM, "b.nii.gz")]
)
def test_an_interruption_leaves_an_earlier_result_as_it_was(
    base: tuple[object, ...],
    output: str,
    seq: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    works("simulate", "--seq", seq, *base, "-o", output)
    monkeypatch.setattr(
        "mrftool.workflows.simulate.simulate_blocks", interrupted_after_one_block(base)
    )
    with untouched(tmp_path):
        outcome = command("simulate", "--seq", seq, *base, "-o", output)
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "mrftool: interrupted\n")


def interrupted_after_one_block(base: tuple[object, ...]) -> Callable[..., Any]:
    def blocks(sequence: PulseSequence, tissue: Tissue, **_: Any) -> Any:
        yield simulate(sequence, tissue[:1]).signal
        raise KeyboardInterrupt

    return blocks


def test_names_with_spaces_accents_and_brackets_work(seq: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Ünï cödé [" / "b] $x$"  # [/b] ends bold type, if taken for markup
    folder.mkdir(parents=True)
    (folder / "s é q.yaml").write_bytes(seq.read_bytes())
    outcome = works(
        "simulate", "--seq", folder / "s é q.yaml", *PHANTOM, "-o", folder / "größe [red].nii.gz"
    )
    assert str(folder / "größe [red].nii.gz") in outcome.out
    assert len(files(folder)) == 8


def test_a_folder_of_the_name_of_a_shipped_sequence_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "fisp").mkdir()
    works("simulate", "--seq", "fisp", "--t1-ms", "900", "--t2-ms", "80", "-o", "d.npz")
    assert signal(Path("d.npz")).shape == (1, 1000)


def test_brainweb_gives_its_middle_slices(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (4, 3, 7)
    (tmp_path / "brainweb").mkdir()
    for tag in ("csf", "gry", "wht", "fat", "m+s", "skn", "skl", "gli", "mit"):
        volume = np.zeros(shape, np.uint8)
        volume[
            ..., {"wht": slice(2, 4), "csf": slice(4, 5), "fat": slice(0, 2)}.get(tag, slice(0))
        ] = 255
        (tmp_path / "brainweb" / f"phantom_1.0mm_normal_{tag}.rawb").write_bytes(
            volume.tobytes(order="F")
        )
    monkeypatch.setattr("mrftool.workflows.steps.scene.BRAINWEB_SHAPE", shape)
    monkeypatch.setattr(
        "mrftool.workflows.steps.scene.read_brainweb", partial(read_brainweb, shape=shape)
    )
    base = ("simulate", "--seq", seq, "--brainweb", "brainweb")
    works(*base, "--slices", 3, "-o", "b.nii")
    classes, labels = (
        json.loads(Path("b.json").read_text())["classes"],
        load(Path("b_truth_dseg.nii.gz")),
    )
    assert labels.shape == (4, 3, 3)
    assert [classes[int(n) - 1] for n in labels[0, 0]] == ["white_matter", "white_matter", "csf"]
    works(*base, "-o", "one.nii")
    np.testing.assert_array_equal(load(Path("one.nii"))[:, :, 0], load(Path("b.nii"))[:, :, 1])
    refuses(
        2,
        *base,
        "--slices",
        8,
        says=("8 slices, expected at most the 7 of BrainWeb\nhint: see --slices",),
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((*DICTIONARY, "-o", "d.npz"), "mrftool: d.npz will take 2.1 GB\n"),
        ((*PHANTOM, "-o", "a.nii"), "mrftool: a.nii will take 2.1 GB\n"),
        ((*PHANTOM, "-o", "a.nii.gz"), "mrftool: a.nii.gz will take 2.1 GB before compression\n"),
    ],
)
def test_the_size_of_a_large_file_is_told_first(
    options: tuple[object, ...], says: str, seq: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def as_if_large(path: Path, n_bytes: int, reporter: Any) -> None:
        asked.append(n_bytes)
        tell_size(path, int(2.1e9), reporter)

    monkeypatch.setattr("mrftool.workflows.simulate.tell_size", as_if_large)
    outcome = works("simulate", "--seq", seq, *options)
    assert outcome.err == says
    written = Path(str(options[-1]))
    if written.suffix != ".gz":
        assert asked[0] <= written.stat().st_size < asked[0] + 40_000
    with untouched(Path.cwd()):
        tell_size(written, int(0.99e9), None)  # type: ignore[arg-type]  not worth a word
