"""Slice profiles as plain numbers under the keys of a sequence file, and in words."""

from typing import Any

from mrftool.sequence import SelectivePulse, SliceProfile


def profile_block(profile: SliceProfile | SelectivePulse) -> dict[str, Any]:
    """The block `slice_profile` of a sequence file."""
    if isinstance(profile, SelectivePulse):
        return _pulse_block(profile)
    return {"flip_factor": profile.flip_factor.tolist(), "weight": profile.weight.tolist()}


def _pulse_block(pulse: SelectivePulse) -> dict[str, Any]:
    block: dict[str, Any] = {
        "pulse": pulse.shape,
        "time_bandwidth": pulse.time_bandwidth,
        "duration_ms": round(pulse.duration * 1e3, 9),
        "apodisation": pulse.apodisation,
        "positions": pulse.positions,
        "rephasing": pulse.rephasing,
    }
    if pulse.extent is not None:
        block["extent"] = pulse.extent
    if pulse.thickness is not None:
        block["thickness_mm"] = round(pulse.thickness * 1e3, 9)
    return block


def profile_in_words(profile: SliceProfile | SelectivePulse | None) -> str:
    """What a person wants to know of a slice profile."""
    if profile is None:
        return "none"
    if isinstance(profile, SliceProfile):
        return f"{len(profile.weight)} positions"
    window = ""
    if profile.apodisation != "none":
        window = f", {profile.apodisation} window"
    return (
        f"{profile.shape} pulse of {profile.duration * 1e3:g} ms, time-bandwidth "
        f"{profile.time_bandwidth:g}{window}; {profile.positions} positions over "
        f"{profile.width:g} slice thicknesses"
    )
