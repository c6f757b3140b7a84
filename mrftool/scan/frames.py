"""Frames of a scan that are left out: lost, disturbed, or not wanted."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from mrftool.errors import MismatchError
from mrftool.scan.series import Series, Signal, Voxels
from mrftool.scan.stream import prepare


def require_frames(series: Series, skipped: Collection[int]) -> None:
    """Refuse to leave out frames of indices that a series does not have, or all of them.

    Raises MismatchError.
    """
    missing = [index for index in skipped if not 0 <= index < series.n_time]
    if missing:
        raise MismatchError(
            f"{series.name}: no frame {max(missing) + 1} to leave out, expected 1 to "
            f"{series.n_time}",
            arguments=("skip",),
        )
    if len(set(skipped)) == series.n_time:
        raise MismatchError(
            f"{series.name}: all frames are left out, expected some that are not",
            arguments=("skip",),
        )


def without_frames(series: Series, skipped: Collection[int], sequence_id: str | None) -> Series:
    """The series without the frames of indices `skipped`.

    Parameters
    ----------
    series
        All frames.
    skipped
        Indices of frames, from 0.
    sequence_id
        Of the sequence that does not acquire these frames.

    Raises
    ------
    MismatchError
        If there is no frame of an index, or none would be left.
    """
    require_frames(series, skipped)
    kept = np.setdiff1d(np.arange(series.n_time), list(skipped))
    prepare(series)

    def read(voxels: Voxels) -> Signal:
        return np.ascontiguousarray(series.read(voxels)[:, kept])

    sidecar = dict(series.sidecar or {})
    if series.sequence_id is not None:
        sidecar["sequence_id"] = sequence_id
    return replace(series, n_time=len(kept), read=read, sidecar=sidecar, frames=kept)
