"""Raw data (MRD) and coefficient images: a changed file, and the command that reads it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz.mutations import change_bytes, change_text, change_tree, odd_value, one_of

_HEAD_FIELDS = (
    "number_of_samples", "active_channels", "trajectory_dimensions", "flags", "center_sample",
    "sample_time_us", "discard_pre", "discard_post",
)  # fmt: skip
_COUNTERS = ("repetition", "slice", "contrast", "set", "kspace_encode_step_1", "average")


def make_kspace_seeds(folder: Path, sequence: str) -> list[list[str]]:
    """The commands that make the seeds of these formats. sequence: text of a file.

    As many pulses as spiral arms cover k-space.
    """
    content = yaml.safe_load(sequence) | {"name": "spiral", "tr_ms": 12}
    content["flip_angle_deg"] = {"rule": "lobes", "peaks": [60], "lengths": [48], "minimum": 5}
    path = folder / "spiral.yaml"
    path.write_text(yaml.safe_dump(content))
    raw, recon = str(folder / "raw.mrd"), str(folder / "recon")
    simulate = ["simulate", "--seq", str(path), "--kspace", raw, "--matrix", "16", "--coils", "2"]
    return [simulate, ["reconstruct", raw, "-o", recon, "--rank", "3", "--replicas", "1"]]


def raw_data(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """MRD raw data: damaged bytes, or values that no scanner writes."""
    path = folder / "r.mrd"
    content = (seeds / "raw.mrd").read_bytes()
    if rng.random() < 0.4:
        path.write_bytes(change_bytes(rng, content))
    else:
        path.write_bytes(content)
        _change_records(rng, path)
    return ["reconstruct", str(path), "-o", "out/recon", "--rank", "3", "--replicas", "0"]


def coefficients(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A folder of a reconstruction, one file of which is damaged."""
    shutil.copytree(seeds / "recon", folder / "recon")
    names = ("coefficients.json", "coefficients.nii", "basis.npy", "covariance.nii", "mask.nii.gz")
    path = folder / "recon" / one_of(rng, names)
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_text(json.dumps(change_tree(rng, json.loads(path.read_text()))))
    elif rng.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(change_bytes(rng, path.read_bytes()))
    return ["quantify", "recon", "-o", "out/maps"]


def _change_records(rng: np.random.Generator, path: Path) -> None:
    """Change the header, or some readouts, of a valid file."""
    import h5py

    with h5py.File(path, "r+") as file:
        group = file["dataset"]
        if rng.random() < 0.3:
            text = change_text(rng, group["xml"][0].decode())
            group["xml"][0] = text.replace("\0", " ").encode("utf-8", "replace")
            return
        if rng.random() < 0.1:
            del group[one_of(rng, ("xml", "data"))]
            return
        data = group["data"]
        for row in rng.integers(len(data), size=int(one_of(rng, (1, 1, 3, 20)))):
            record = data[row]
            _change_record(rng, record)
            data[row] = record


def _change_record(rng: np.random.Generator, record: Any) -> None:
    kind = rng.integers(4)
    if kind == 0:
        _put(record["head"], one_of(rng, _HEAD_FIELDS), odd_value(rng))
    elif kind == 1:
        _put(record["head"]["idx"], one_of(rng, _COUNTERS), odd_value(rng))
    else:
        name = one_of(rng, ("data", "traj"))
        values = record[name].copy()
        if kind == 2:
            values[rng.integers(values.size)] = one_of(rng, (np.nan, np.inf, 1e38, -1.0, 0.0))
        else:
            values = values[: rng.integers(values.size)]
        record[name] = values


def _put(record: Any, name: str, value: Any) -> None:
    """Store a value, wrapped to what the field holds; other things become 0."""
    kind = record.dtype[name]
    number = 0
    if isinstance(value, int | float) and np.isfinite(float(value)):
        number = int(value)
    if kind.kind in "iu":
        number %= 1 << (8 * kind.itemsize - 1)
    record[name] = number
