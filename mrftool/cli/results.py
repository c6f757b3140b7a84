"""What quantification leaves in its folder: maps with sidecars, a picture, and a report in numbers."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.formats.bids import (
    Provenance,
    dataset_texts,
    is_bids,
    map_description,
    map_path,
    map_sidecar,
    versions,
)
from mrftool.formats.nifti_write import write_maps
from mrftool.inference.session import Model
from mrftool.maps import Maps
from mrftool.series import Series


def write_results(maps: Maps, folder: Path, source: Path, series: Series, model: Model) -> list[Path]:
    """Write maps, overview.png and report.json into `folder`; the files that were written."""
    from mrftool.evaluation.figures import overview_figure

    provenance = _provenance(source, model)
    report, picture = folder / "report.json", folder / "overview.png"
    others: dict[Path, str | bytes] = {**(dataset_texts(folder) if is_bids(source) else {})}
    others[report] = json.dumps(_report(maps, source, series, model), indent=2, allow_nan=False) + "\n"
    with tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / picture.name
        overview_figure(maps, series.affine, drawn, title=source.name)
        others[picture] = drawn.read_bytes()
    images = [
        (map_path(folder, source, name), image, map_description(name), map_sidecar(name, provenance))
        for name, image in maps.images()
    ]
    write_maps(images, series.placement, others=others)
    return [*(path for path, *_ in images), report, picture]


def _provenance(source: Path, model: Model) -> Provenance:
    manifest = model.manifest
    polished = f", {manifest.polish} Gauss-Newton steps on the tabulated signals" if manifest.polish else ""
    return Provenance(
        sources=(source.name,),
        algorithm=f"MR fingerprinting, model {manifest.name}: {_start(manifest.encoder)}{polished}",
        pulse_sequence=f"{manifest.sequence_name}, {manifest.n_time} repetitions",
        details=_model_facts(model),
    )


def _start(encoder: str) -> str:
    return "coarse search" if encoder == "none" else "encoder network"


def _model_facts(model: Model) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "model": manifest.name,
        "model_sha256": manifest.weights_sha256,
        "sequence": manifest.sequence_name,
        "sequence_id": manifest.sequence_id,
        "t1_range_ms": [round(x * 1e3, 6) for x in manifest.t1_range],
        "t2_range_ms": [round(x * 1e3, 6) for x in manifest.t2_range],
        "adc_m2_per_s": manifest.adc,
    }


def _report(maps: Maps, source: Path, series: Series, model: Model) -> dict[str, Any]:
    return {
        "source": str(source),
        "shape": [*series.shape, series.n_time],
        "form": series.form,
        "assumptions": list(maps.assumptions),
        "model": {"file": model.path.name, **_model_facts(model)},
        "voxels": maps.counts(),
        "statistics": {name: _statistics(image[maps.flags == 0]) for name, image in maps.images() if name != "flags"},
        "maps": {name: str(map_path("", source, name)) for name, _ in maps.images()},
        "versions": versions(),
    }


def _statistics(values: Any) -> dict[str, float | int]:
    """Of the voxels without complaint, in the map's unit."""
    values = np.abs(values[np.isfinite(values)])
    if not values.size:
        return {"n": 0}
    low, median, high = np.percentile(values, [5, 50, 95])
    return {"n": int(values.size), "p5": float(low), "median": float(median), "p95": float(high)}
