"""A manifest in words, for a person."""

from mrftool.arrays import Range
from mrftool.inference.model.manifest import Manifest
from mrftool.inference.model.scores import score_lines
from mrftool.manifold.parameters import parameter_named
from mrftool.manifold.table import snr_of_table

_HIGH_SNR = 1000.0  # beyond which no scan goes


def summary(manifest: Manifest) -> dict[str, str]:
    """What a person wants to know of a model, as label and text."""
    encoder = (
        "none: coarse search"
        if manifest.encoder == "none"
        else f"network that takes {manifest.encoder}"
    )
    return {
        "name": manifest.name,
        "sequence": f"{manifest.sequence_name}, {manifest.n_time} repetitions, id "
        f"{manifest.sequence_id}",
        "input": _inputs(manifest),
        **{_label(name): range_text(name, limits) for name, limits in manifest.ranges.items()},
        **({"diffusion": f"{manifest.adc:g} m2/s"} if manifest.adc else {}),
        "encoder": encoder,
        "polish": f"{manifest.polish} Gauss-Newton steps",
        "table": f"{' x '.join(map(str, manifest.grid))} nodes, rank {manifest.rank}, error "
        f"{manifest.table_error:.1e}, {_hidden_by_noise(manifest)}",
        **score_lines(manifest.scores),
        "weights": f"sha256 {manifest.weights_sha256[:16]}",
        "made with": ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    }


def _hidden_by_noise(manifest: Manifest) -> str:
    """The SNR up to which noise hides the error of the table."""
    snr = min(snr_of_table(manifest.table_error, manifest.form), _HIGH_SNR)
    return f"hidden by noise up to SNR {snr:.0f}"


def _inputs(manifest: Manifest) -> str:
    text = f"{manifest.form} signals"
    if manifest.coils > 1:
        text = f"root sums of squares of {manifest.coils} coils"
    for name in manifest.given:
        text += f" and a {_label(name)} map"
    return text


def _label(name: str) -> str:
    return parameter_named(name).label


def range_text(name: str, limits: Range) -> str:
    """The range of a parameter with its unit, such as "30 to 5000 ms"."""
    unit, factor = parameter_named(name).unit, 1.0
    if unit == "s":
        unit, factor = "ms", 1e3
    text = f"{limits[0] * factor:g} to {limits[1] * factor:g}"
    if unit == "1":
        return text
    return f"{text} {unit}"
