"""The signal of voxels from the planes of a series: stored integers to real or complex numbers,
over time.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, groupby, product

import numpy as np

from mrftool.arrays import Float32Array
from mrftool.errors import InputError
from mrftool.formats.channels import from_magnitude_and_phase, from_parts
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.read.parts import Part
from mrftool.formats.dicom.read.pixels import Stored, is_compressed, is_plain, stored_rows
from mrftool.formats.dicom.read.plane import Component, Layout, Plane, check_pixels, layout_of
from mrftool.formats.dicom.read.scale import Padding, Scale, padding_of, scale_of
from mrftool.scan.series import Signal, Voxels
from mrftool.scan.stream import FramesInOrder, KeptSignals, StreamingReader, frames_at_once

_THREADS = 4  # codecs work outside Python's lock
_PLAIN_AT_ONCE = 16  # images that a thread reads in one go: a cache line of float32 holds a pixel
_FEW_TIMES = 8  # that a thread reads of one slice


@dataclass(frozen=True)
class Image:
    """A plane that is ready to be read."""

    plane: Plane
    layout: Layout
    scale: Scale
    padding: Padding | None = None


@dataclass(frozen=True)
class SignalReader(StreamingReader):
    """parts: images `[slice][time]` of each component, in the order in which they make up the
    signal.

    is_plain: single rows can be read alone. kept: see `StreamingReader`.
    """

    parts: Mapping[Component, Sequence[Sequence[Image]]]
    rows: int
    columns: int
    is_plain: bool
    kept: KeptSignals = field(default_factory=KeptSignals)

    @property
    def notes(self) -> tuple[str, ...]:
        """How stored integers become numbers."""
        return tuple(
            f"{name.capitalize()} images are scaled by: {', '.join(sorted(origins))}."
            for name, slices in self.parts.items()
            if (origins := {image.scale.origin for images in slices for image in images})
        )

    @property
    def n_time(self) -> int:
        """Samples of a signal."""
        return len(self._first_part[0])

    @property
    def n_pixels(self) -> int:
        """Of a slice."""
        return self.rows * self.columns

    @property
    def _first_part(self) -> Sequence[Sequence[Image]]:
        return next(iter(self.parts.values()))

    @property
    def streams(self) -> bool:
        """See `StreamingReader`: of complex signals, since each file is then opened once."""
        return len(self.parts) > 1

    def prepare(self) -> None:
        """Nothing takes long before voxels can be read."""

    def __call__(self, positions: Voxels) -> Signal:
        """`(voxel, time)` of voxels in file order (column fastest), ascending; complex64, or
        float32 for magnitude.
        """
        dtype: type[np.complex64 | np.float32] = np.float32
        if self.streams:
            dtype = np.complex64
        out = np.empty((len(positions), self.n_time), dtype)
        slices = positions // self.n_pixels
        edges = np.flatnonzero(np.diff(slices)) + 1
        with lenient(), ThreadPoolExecutor(_THREADS) as threads:
            for piece in np.split(np.arange(len(positions)), edges):
                if len(piece):
                    within = positions[piece] % self.n_pixels
                    place = out[piece[0] : piece[-1] + 1]
                    self._read_slice(int(slices[piece[0]]), within, place, threads)
        return out

    def _read_slice(
        self, number: int, pixels: Voxels, out: Signal, threads: ThreadPoolExecutor
    ) -> None:
        """Signals of pixels of one slice, into `out` `(pixel, time)`."""
        at_once = 1
        if self.is_plain:  # quick to read: a thread takes many
            at_once = _PLAIN_AT_ONCE

        def fill(start: int) -> None:
            times = range(start, min(start + at_once, self.n_time))
            out[:, times.start : times.stop] = self._frames(number, times, pixels).T

        for _ in threads.map(fill, range(0, self.n_time, at_once)):
            pass

    def frames(self) -> FramesInOrder:
        """See `StreamingReader`."""
        at_once = frames_at_once(8 * len(self._first_part) * self.n_pixels)
        with ThreadPoolExecutor(_THREADS) as threads:
            for first in range(0, self.n_time, at_once):
                yield first, self._tile(range(first, min(first + at_once, self.n_time)), threads)

    def _tile(self, times: range, threads: ThreadPoolExecutor) -> Signal:
        """Frames `(time, voxel)`, complex64."""
        out = np.empty((len(times), len(self._first_part), self.n_pixels), np.complex64)
        every = np.arange(self.n_pixels)

        def fill(place: tuple[int, int]) -> None:
            number, start = place
            chosen = times[start : start + _FEW_TIMES]
            out[start : start + len(chosen), number] = self._frames(number, chosen, every)

        starts = range(0, len(times), _FEW_TIMES)
        with lenient():
            for _ in threads.map(fill, product(range(out.shape[1]), starts)):
                pass
        return out.reshape(len(times), -1)

    def _frames(self, number: int, times: range, pixels: Voxels) -> Signal:
        """`(time, pixel)` of pixels of one slice."""
        return _combined(
            {
                name: self._filled([slices[number][time] for time in times], pixels)
                for name, slices in self.parts.items()
            }
        )

    def _filled(self, images: Sequence[Image], pixels: Voxels) -> Float32Array:
        """Values `(image, pixel)` of pixels of images."""
        first, last = int(pixels[0]) // self.columns, int(pixels[-1]) // self.columns + 1
        within: Voxels | slice = slice(None)
        if len(pixels) < (last - first) * self.columns:
            within = pixels - first * self.columns
        out, start = np.empty((len(images), len(pixels)), np.float32), 0
        for (layout, _), group in groupby(images, _kind):
            few = list(group)
            stored = stored_rows([image.plane for image in few], layout, first, last)
            place = out[start : start + len(few)]
            _scale_into(place, stored.reshape(len(few), -1)[:, within], few)
            start += len(few)
        return out


def _kind(image: Image) -> tuple[Layout, tuple[int, int]]:
    """What images that are read together share."""
    return image.layout, image.plane.corner


def _scale_into(values: Float32Array, stored: Stored, images: Sequence[Image]) -> None:
    """Values `(image, pixel)` of stored integers; padding is 0."""
    slopes = np.array([[image.scale.slope] for image in images], np.float32)
    intercepts = np.array([[image.scale.intercept] for image in images], np.float32)
    np.multiply(stored, slopes, out=values, casting="unsafe")
    np.add(values, intercepts, out=values)
    for row, numbers, image in zip(values, stored, images, strict=True):
        if image.padding is not None:
            row[image.padding.covers(numbers)] = 0
    _require_legal(values, images)


def _combined(values: Mapping[Component, Float32Array]) -> Signal:
    """The signal of its components."""
    if "real" in values:
        return from_parts(values["real"], values["imaginary"])
    if "phase" in values:
        return from_magnitude_and_phase(values["magnitude"], values["phase"])
    return values["magnitude"]


def _require_legal(values: Float32Array, images: Sequence[Image]) -> None:
    """Raises InputError for magnitudes below 0, and for phases beyond the range that their unit was
    taken from.
    """
    for low, high, row, image in zip(
        values.min(axis=1), values.max(axis=1), values, images, strict=True
    ):
        if low < image.scale.low or high > image.scale.high:
            raise _illegal(row, image)


def _illegal(values: Float32Array, image: Image) -> InputError:
    low, high = image.scale.low, image.scale.high
    odd = values[(values < low) | (values > high)][0]
    if high == np.inf:
        return InputError(
            f"{image.plane.name}: holds the negative number {odd:g}, expected magnitudes",
            hint="real and imaginary images must say what they are (ImageType, "
            "ComplexImageComponent)",
        )
    return InputError(
        f"{image.plane.name}: has a phase of {odd:.4g} rad, expected {low:.4g} to {high:.4g}"
    )


def signal_reader(parts: Sequence[Part]) -> SignalReader:
    """Check every image of the parts, and make them ready to be read.

    Raises
    ------
    InputError
        If an image is damaged, has another size than the first, or is scaled by other attributes.
    """
    ready = {
        part.component: [[_image(plane, part) for plane in planes] for planes in part.planes]
        for part in parts
    }
    by_part = [list(chain.from_iterable(slices)) for slices in ready.values()]
    images = list(chain.from_iterable(by_part))
    size = _require_one_size(images)
    for images_of_part in by_part:
        _require_one_scaling(images_of_part)
    return SignalReader(ready, *size, all(is_plain(image.layout, image.plane) for image in images))


def _require_one_size(images: Sequence[Image]) -> tuple[int, int]:
    """Rows and columns of all images."""
    size = (images[0].layout.rows, images[0].layout.columns)
    for image in images:
        if (image.layout.rows, image.layout.columns) != size:
            other = f"{image.layout.rows} x {image.layout.columns}"
            raise InputError(
                f"{image.plane.name}: has {other} pixels, expected {size[0]} x {size[1]} as the "
                "others"
            )
    return size


def _require_one_scaling(images: Sequence[Image]) -> None:
    origin = images[0].scale.origin
    for image in images:
        if image.scale.origin != origin:
            said = f"scaled by {image.scale.origin}, others of its series by {origin}"
            raise InputError(f"{image.plane.name}: is {said}: expected one kind of scaling")


def _image(plane: Plane, part: Part) -> Image:
    layout = layout_of(plane)
    check_pixels(plane, layout, is_compressed(layout, plane))
    padding = None
    if part.component != "phase":  # its magnitude says where it counts
        padding = padding_of(plane, layout)
    return Image(plane, layout, scale_of(plane, part.component, layout), padding)
