"""The work whose cost `scaling.py` measures, command by command."""

from dataclasses import dataclass, field

_ALLOWED = 1.1


@dataclass(frozen=True)
class Case:
    """Work in which one size doubles twice; more than the allowed exponent of time needs a reason.

    Parameters
    ----------
    name
        As it is printed.
    variable, sizes
        What doubles.
    work
        A command line of mrftool, or Python code; {names} of sizes stand for their values, {round}
        for a number of its own each time.
    before
        The same, run before in the same folder, and not measured.
    fixed
        Other sizes.
    allowed, reason
        Largest exponent of time, and why it may be above the usual one.
    """

    name: str
    variable: str
    sizes: tuple[int, int, int]
    work: str
    before: tuple[str, ...] = ()
    fixed: dict[str, int] = field(default_factory=dict)
    allowed: float = _ALLOWED
    reason: str = ""


_PULSES = """
import numpy as np
from mrftool.sequence import PulseSequence, Invert, Wait, Pulses
def train(n):
    flips = np.deg2rad(10 + 40 * np.abs(np.sin(np.arange(n) * np.pi / 200)))
    return PulseSequence(flips, np.zeros(n), np.full(n, 0.012), np.full(n, 0.003),
                         events=(Invert(), Wait(0.02), Pulses()), name="grown")
"""
_WRITE_PULSES = (
    _PULSES
    + """
import json
from mrftool.formats.sequence.yaml_file import sequence_to_dict
open("grown.yaml", "w").write(json.dumps(sequence_to_dict(train({pulses}))))
"""
)
_TISSUE = """
from mrftool.physics.simulate import simulate
from mrftool.tissue import Tissue
def tissue(n):
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.2), np.log(3.0), n))
    return Tissue(t1, t1 * np.exp(random.uniform(np.log(0.03), 0, n)))
"""
_SIMULATE = _PULSES + _TISSUE + "simulate(train({pulses}), tissue({voxels}), threads=1)"
_EXPORT = (
    _PULSES
    + """
from mrftool.exporting.make import make_model
make_model(train({pulses}), t1_range=(0.1, 4.0), t2_range=(0.01, 2.0))
"""
)
_MATCH = (
    _PULSES
    + _TISSUE
    + """
from mrftool.matching.dictionary import compress_dictionary, dictionary_from_sequence
from mrftool.matching.nearest import match
made = compress_dictionary(dictionary_from_sequence(train(500), tissue({entries})), "complex")
entries = made.matcher.entries
random = np.random.default_rng(2)
rows = entries[random.integers(0, len(entries), {voxels})]
match(made.matcher, rows + 0.01 * random.standard_normal(rows.shape))
"""
)
_TRAIN = (
    _PULSES
    + """
import tempfile, torch
from pathlib import Path
from mrftool.learning.config import TrainConfig
from mrftool.learning.training import prepare_run, train as learn
torch.set_num_threads(1)
config = TrainConfig(decoder="table", steps={steps}, validate_every={steps}, batch={batch})
with tempfile.TemporaryDirectory() as folder:
    run = prepare_run([train({pulses})], config, Path(folder), torch.device("cpu"))
    learn(run, Path(folder), lambda step, losses: None)
"""
)
_SCAN = "mrftool simulate --phantom brain --matrix {matrix} --slices {slices} --snr 50 -q "
_RAW = _SCAN + "--trajectory golden --coils {coils} --seq "
_RECONSTRUCT = "mrftool reconstruct raw.h5 --threads 1 -q"
_OPTIMISE = "mrftool sequence optimise --length {pulses} "
_SUBJECTS = """
from pathlib import Path
from shutil import copy
for k in range({scans}):
    folder = Path(f"study/sub-{{k:03}}/anat")
    folder.mkdir(parents=True)
    copy("scan.nii", folder / f"sub-{{k:03}}_MRF.nii")
Path("study/dataset_description.json").write_text('{{"Name": "n", "BIDSVersion": "1.8.0"}}')
"""
_LONG_T2 = "orders of long T2 grow with the train, up to where they have decayed"

CASES = (
    Case("simulate_over_voxels", "voxels", (40000, 80000, 160000), _SIMULATE, (), {"pulses": 500}),
    Case(
        "simulate_over_pulses",
        "pulses",
        (1000, 2000, 4000),
        _SIMULATE,
        (),
        {"voxels": 16000},
        1.5,
        _LONG_T2,
    ),
    Case(
        "quantify_over_slices",
        "slices",
        (8, 16, 32),
        "mrftool quantify scan.nii --no-report --threads 1 -q -o maps",
        (_SCAN + "--seq fisp -o scan.nii",),
        {"matrix": 96},
    ),
    Case(
        "quantify_with_report_over_slices",
        "slices",
        (8, 16, 32),
        "mrftool quantify scan.nii --threads 1 -q -o maps",
        (_SCAN + "--seq fisp -o scan.nii",),
        {"matrix": 64},
    ),
    Case(
        "quantify_over_pulses",
        "pulses",
        (512, 1024, 2048),
        "mrftool quantify scan.nii --model grown.onnx --threads 1 -q -o maps",
        (
            _WRITE_PULSES,
            "mrftool export --encoder none --seq grown.yaml -q -o grown.onnx",
            _SCAN + "--seq grown.yaml -o scan.nii",
        ),
        {"matrix": 64, "slices": 4},
    ),
    Case(
        "export_over_pulses",
        "pulses",
        (1000, 2000, 4000),
        _EXPORT,
        (),
        {},
        1.5,
        "orders grow as in simulate, and the compression is a factorisation",
    ),
    Case("match_over_entries", "entries", (16000, 32000, 64000), _MATCH, (), {"voxels": 20000}),
    Case("match_over_voxels", "voxels", (100000, 200000, 400000), _MATCH, (), {"entries": 4000}),
    Case(
        "reconstruct_over_coils",
        "coils",
        (8, 16, 32),
        _RECONSTRUCT,
        (_RAW + "liquid_phantom --kspace raw.h5",),
        {"matrix": 32, "slices": 1},
    ),
    Case(
        "reconstruct_over_slices",
        "slices",
        (8, 16, 32),
        _RECONSTRUCT,
        (_RAW + "liquid_phantom --kspace raw.h5",),
        {"matrix": 24, "coils": 2},
    ),
    Case(
        "reconstruct_over_pulses",
        "pulses",
        (512, 1024, 2048),
        _RECONSTRUCT,
        (_WRITE_PULSES, _RAW + "grown.yaml --kspace raw.h5"),
        {"matrix": 32, "slices": 1, "coils": 4},
    ),
    Case("train_over_steps", "steps", (320, 640, 1280), _TRAIN, (), {"pulses": 300, "batch": 512}),
    Case("train_over_batch", "batch", (512, 1024, 2048), _TRAIN, (), {"pulses": 300, "steps": 160}),
    Case(
        "train_over_parameters",  # those of the first layer, which has one row for each pulse
        "pulses",
        (1024, 2048, 4096),
        _TRAIN,
        (),
        {"steps": 160, "batch": 512},
        1.5,
        _LONG_T2,
    ),
    Case(
        "evaluate_model_over_voxels",
        "voxels",
        (5000, 10000, 20000),
        "mrftool evaluate model fisp -n {voxels} --snr 50 -q -o trials",
    ),
    Case(
        "evaluate_maps_over_slices",
        "slices",
        (8, 16, 32),
        "mrftool evaluate maps maps scan.nii -q -o errors",
        (
            _SCAN + "--seq liquid_phantom -o scan.nii",
            "mrftool quantify scan.nii --seq liquid_phantom --no-report -q -o maps",
        ),
        {"matrix": 96},
    ),
    Case(
        "optimise_over_pulses",
        "pulses",
        (480, 960, 1920),
        _OPTIMISE + "--arms 8 --iterations 10 -q -o best{round}.yaml",
        (),
        {},
        1.5,
        _LONG_T2,
    ),
    Case(
        "bids_over_scans",
        "scans",
        (8, 16, 32),
        "mrftool bids study maps{round} participant -q",
        (_SCAN + "--seq fisp -o scan.nii", _SUBJECTS),
        {"matrix": 16, "slices": 1},
    ),
)
