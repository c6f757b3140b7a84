"""Is a sound scan called good? Scans of the phantoms with nothing wrong in them.

Every row must be "good": a false alarm teaches people not to listen. Exit code 1 where one is not.
Run: python sound_inputs.py [PART OF A NAME]. Models are kept in $MRFTOOL_BENCH_MODELS.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from trust_tools import command, load, model, models_folder, must, save, verdict

SEQUENCES = ("cao", "delics", "fisp_jiang", "liquid_phantom", "spline11noisy", "spline5")
MATRIX = 32


def simulated(folder, sequence, snr, *options):
    """A scan of the brain phantom."""
    scan = folder / "scan.nii"
    size = ("--phantom", "brain", "--matrix", MATRIX)
    must("simulate", "--seq", sequence, *size, "--snr", snr, *options, "-o", scan)
    return scan


def anonymous(scan, array, affine):
    """The same scan as others would send it: without a word of mrftool's in the sidecar."""
    return save(scan.with_name("other.nii"), array, affine)


class Scans:
    """Scans by name; each returns the arguments of `quantify`."""

    def __init__(self, folder, models):
        self.folder, self.models = folder, models

    def of_sequence(self, name, snr):
        """A shipped sequence."""
        scan = simulated(self.folder, name, snr)
        if name == "fisp":
            return (scan,)
        return (scan, "--model", model(self.models, name))

    def magnitudes(self, snr):
        """Magnitudes, with a model for them."""
        path = model(self.models, "fisp_magnitude", "--form", "magnitude", sequence="fisp")
        return simulated(self.folder, "fisp", snr, "--form", "magnitude"), "--model", path

    def with_b1(self, name, snr, error=0.0):
        """A B1 field and its map, with errors of the map that are stated."""
        path = model(self.models, f"{name}_b1", "--b1", 0.7, 1.3, sequence=name)
        scan = simulated(self.folder, name, snr, "--b1-spread", 0.15)
        b1, affine = load(self.folder / "scan_truth_B1map.nii.gz")
        measured = b1 * (1 + error * np.random.default_rng(1).standard_normal(b1.shape))
        given = save(self.folder / "b1.nii", measured, affine)
        if error:
            return scan, "--model", path, "--b1", given, "--uncertainty", f"b1={error}"
        return scan, "--model", path, "--b1", given

    def b1_fitted(self, name, snr):
        """A B1 field that nobody measured."""
        return simulated(self.folder, name, snr, "--b1-spread", 0.15), "--b1", "fit:smooth"

    def in_two_files(self, snr):
        """Real and imaginary part in a file each."""
        array, affine = load(simulated(self.folder, "fisp", snr, "--m0-phase", 170))
        real = save(self.folder / "real.nii", array.real, affine)
        return real, "--imag", save(self.folder / "imag.nii", array.imag, affine)

    def real_only(self, snr):
        """The real part alone, in phase."""
        array, affine = load(simulated(self.folder, "fisp", snr))
        in_phase = (1j * array).real  # pulses about x leave the signal along y
        return save(self.folder / "real.nii", in_phase, affine), "--form", "real"

    def few_voxels(self, snr):
        """A small region, as a phantom of one vial would be."""
        array, affine = load(simulated(self.folder, "fisp", snr))
        return (anonymous(self.folder / "scan.nii", array[10:20, 12:18], affine),)

    def noisy_air(self, snr, form="complex"):
        """A head in a field of view of which most is air, with noise in it."""
        array, affine = load(simulated(self.folder, "fisp", snr))
        level = np.sqrt((abs(array[abs(array[..., 0]) > 0]) ** 2).mean())
        wide = np.pad(array, ((16, 16), (16, 16), (0, 0), (0, 0)))
        random = np.random.default_rng(2)
        parts = random.standard_normal((2, *wide.shape)) * level / snr
        wide = np.where(wide == 0, parts[0] + 1j * parts[1], wide)
        if form == "complex":
            return (anonymous(self.folder / "scan.nii", wide, affine),)
        path = model(self.models, "fisp_magnitude", "--form", "magnitude", sequence="fisp")
        return anonymous(self.folder / "scan.nii", abs(wide), affine), "--model", path

    def cropped(self, snr):
        """A box inside the head, without air."""
        array, affine = load(simulated(self.folder, "fisp", snr))
        return (anonymous(self.folder / "scan.nii", array[9:23, 9:23], affine),)

    def odd_voxels(self, snr):
        """An oblique slice of thick voxels, of two lengths in the plane."""
        array, _ = load(simulated(self.folder, "fisp", snr))
        affine = np.array([[0.3, -0.9, 0, 7], [0.52, 0.52, 0, 3], [0, 0, 20.0, -5], [0, 0, 0, 1]])
        return (anonymous(self.folder / "scan.nii", array, affine),)

    def full_header(self, snr):
        """All that a scanner's header says."""
        array, affine = load(simulated(self.folder, "cao", snr))
        header = {
            "RepetitionTimeExcitation": 0.012,
            "RepetitionTime": 6.02,
            "EchoTime": 0.0007,
            "InversionTime": 0.02,
            "FlipAngle": 70,
            "MagneticFieldStrength": 2.89362,
            "PulseSequenceName": "cao",
            "SeriesDescription": "MRF brain",
        }
        path = model(self.models, "cao")
        return save(self.folder / "other.nii", array, affine, header), "--model", path

    def of_vials(self, snr):
        """The phantom of vials."""
        scan = self.folder / "scan.nii"
        size = ("--phantom", "vials", "--matrix", 48)
        must("simulate", "--seq", "fisp", *size, "--snr", snr, "-o", scan)
        return (scan,)

    def slices(self, snr):
        """Several slices, integers as scanners store them."""
        array, affine = load(simulated(self.folder, "fisp", snr, "--slices", 3))
        scale = 2000 / abs(array).max()
        return (anonymous(self.folder / "scan.nii", np.round(array * scale), affine),)


def rows(scans):
    """Name and maker of each row."""
    for name in SEQUENCES:
        yield f"{name}, SNR 20", lambda name=name: scans.of_sequence(name, 20)
    for snr in (3, 5, 20, 200):
        yield f"fisp, SNR {snr}", lambda snr=snr: scans.of_sequence("fisp", snr)
    yield "B1 map, fisp, SNR 40", lambda: scans.with_b1("fisp", 40)
    yield "B1 map, delics, SNR 40", lambda: scans.with_b1("delics", 40)
    yield "B1 map, fisp, SNR 400", lambda: scans.with_b1("fisp", 400)
    yield "B1 fitted, fisp, SNR 200", lambda: scans.b1_fitted("fisp", 200)
    yield "B1 map with stated errors, SNR 40", lambda: scans.with_b1("fisp", 40, 0.03)
    yield "magnitudes, SNR 20", lambda: scans.magnitudes(20)
    yield "magnitudes, SNR 5", lambda: scans.magnitudes(5)
    yield "real and imaginary files, SNR 20", lambda: scans.in_two_files(20)
    yield "real part alone, SNR 20", lambda: scans.real_only(20)
    yield "noisy air, SNR 10", lambda: scans.noisy_air(10)
    yield "noisy air, magnitudes, SNR 10", lambda: scans.noisy_air(10, "magnitude")
    yield "cropped to tissue, SNR 20", lambda: scans.cropped(20)
    yield "60 voxels, SNR 3", lambda: scans.few_voxels(3)
    yield "odd oblique voxels, SNR 20", lambda: scans.odd_voxels(20)
    yield "all of a header, cao, SNR 20", lambda: scans.full_header(20)
    yield "vials, SNR 50", lambda: scans.of_vials(50)
    yield "3 slices, rounded to integers", lambda: scans.slices(30)


def main():
    """A line for each scan."""
    alarms = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scans = Scans(folder, models_folder(folder))
        for title, make in rows(scans):
            if not any(part in title for part in sys.argv[1:] or [""]):
                continue
            code, said = command("quantify", *make(), "-o", folder / "maps", "--overwrite")
            result, codes = f"refused ({code}): {said[-200:]}", []
            if not code:
                result, codes = verdict(folder / "maps")
            alarms += result != "good"
            print(f"{title:<36} {result} {' '.join(codes)}", flush=True)
    print(f"{alarms} false alarms")
    raise SystemExit(int(alarms > 0))


if __name__ == "__main__":
    main()
