"""Runs to report on, and what a browser would make of a page, read without one."""

from collections import Counter
from html.parser import HTMLParser
from typing import Any

import numpy as np

from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.grid import Placement
from mrftool.maps import Maps
from mrftool.quantities import Flag
from mrftool.reports.run import Method, Run
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence

VOID = {"meta", "img", "br", "path", "link", "input"}
SHAPE = (12, 10, 3)
AFFINE = np.array([[-2.0, 0, 0, 20], [0, 2, 0, -30], [0, 0, 5, 7], [0, 0, 0, 1]])


def a_method(sequence: PulseSequence | None, **changes: Any) -> Method:
    facts: dict[str, Any] = {
        "kind": "model",
        "name": "a model",
        "file": "a.onnx",
        "sha256": "ab" * 32,
        "sequence_name": "short",
        "sequence_id": "12" * 8,
        "sequence": None if sequence is None else sequence_to_dict(sequence),
        "t1_range": (0.1, 4.5),
        "t2_range": (0.01, 2.0),
        "words": {"encoder": "none"},
        "numbers": {"form": "complex"},
    }
    return Method(**(facts | changes))


def good_maps(shape: tuple[int, int, int] = SHAPE, *, residual: float = 0.07) -> Maps:
    """A brain-like image in a frame of masked voxels."""
    random = np.random.default_rng(3)
    inside = np.zeros(shape, bool)
    inside[2:-2, 2:-2] = True
    t1 = np.where(inside, random.uniform(0.5, 2.5, shape), 0).astype(np.float32)
    t2 = np.where(inside, random.uniform(0.03, 0.25, shape), 0).astype(np.float32)
    extra = {"residual": np.where(inside, residual, 0), "sd_t1": 0.02 * t1, "sd_t2": 0.03 * t2}
    flags = np.where(inside, 0, Flag.MASKED).astype(np.uint8)
    return Maps(
        t1,
        t2,
        (0.8j * inside).astype(np.complex64),
        flags,
        {k: v.astype(np.float32) for k, v in extra.items()},
    )


def a_series(maps: Maps, **changes: Any) -> Series:
    facts: dict[str, Any] = {
        "shape": maps.t1.shape,
        "placement": Placement(AFFINE),
        "n_time": 40,
        "form": "complex",
        "read": lambda voxels: np.zeros((len(voxels), 40), np.complex64),
        "sidecar": {
            "sequence_id": "12" * 8,
            "SeriesDescription": "MRF axial",
            "Manufacturer": "Acme",
            "ManufacturersModelName": "One",
            "MagneticFieldStrength": 2.89,
        },
        "name": "scan.nii.gz",
    }
    return Series(**(facts | changes))


def a_run(
    maps: Maps, method: Method, *, series: dict[str, Any] | None = None, **changes: Any
) -> Run:
    facts: dict[str, Any] = {
        "command": "quantify",
        "source": "scans/scan.nii.gz",
        "kind": "NIfTI",
        "series": a_series(maps, **(series or {})),
        "maps": maps,
        "method": method,
        "files": {name: f"{name}.nii.gz" for name, _ in maps.images()},
        "n_bytes": 123456,
        "options": {"mask": "mask.nii"},
        "assumptions": ("millimetres are assumed.",),
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": {"open the scan": (0.5, 0.4)},
        "versions": {"mrftool": "1.2.3"},
    }
    return Run(**(facts | changes))


class Page(HTMLParser):
    """Elements in order (tag, attributes), all text, and every fault of nesting."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"{tag} stays open" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len({name for name, _ in attrs}) < len(attrs):
            self.faults.append(f"{tag} has an attribute twice")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"{tag} closes what is not open")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def structure(self) -> Counter[tuple[str, ...]]:
        """How often each element with each set of attributes occurs."""
        return Counter((tag, *sorted(attributes)) for tag, attributes in self.elements)
