"""T1, T2 and proton density of the tissue classes, with their sources.

1.5 T
    BrainWeb, tissue MR parameters of the simulated brain database
    (C. A. Cocosco et al., NeuroImage 5:S425, 1997; R. K.-S. Kwan et al., IEEE Trans Med Imaging
    18:1085, 1999).
3 T
    Grey and white matter, muscle: G. J. Stanisz et al., Magn Reson Med 54:507 (2005), doi
    10.1002/mrm.20605.
    Fat: C. M. J. de Bazelaire et al., Radiology 230:652 (2004), doi 10.1148/radiol.2303021331,
    subcutaneous.
    CSF: subarachnoid, 4309 +- 147 and 1886 +- 68 ms, by inversion recovery and T2 preparation,
    "Quantification
    of T1 and T2 of subarachnoid CSF: Implications for water exchange between CSF and brain
    tissues", Magn Reson Med (2023).
    Lesion: white matter times BrainWeb's ratio of lesion to white matter, 752 / 500 and 237 / 70;
    no measurement. Skin as muscle, glial matter as grey, connective tissue as white matter; proton
    densities as at 1.5 T.
"""

from collections.abc import Iterable

import numpy as np

from mrftool.errors import InputError
from mrftool.tissue import Tissue

# class: (T1 [ms], T2 [ms], proton density [1]); classes without protons have no times
_NO_SIGNAL = (1000.0, 1000.0, 0.0)
_VALUES: dict[float, dict[str, tuple[float, float, float]]] = {
    1.5: {
        "background": _NO_SIGNAL,
        "csf": (2569, 329, 1.0),
        "grey_matter": (833, 83, 0.86),
        "white_matter": (500, 70, 0.77),
        "fat": (350, 70, 1.0),
        "muscle_skin": (900, 47, 1.0),
        "skin": (2569, 329, 1.0),
        "skull": _NO_SIGNAL,
        "glial_matter": (833, 83, 0.86),
        "connective": (500, 70, 0.77),
        "lesion": (752, 237, 0.76),
    },
    3.0: {
        "background": _NO_SIGNAL,
        "csf": (4309, 1886, 1.0),
        "grey_matter": (1820, 99, 0.86),
        "white_matter": (1084, 69, 0.77),
        "fat": (382, 68, 1.0),
        "muscle_skin": (1412, 50, 1.0),
        "skin": (1412, 50, 1.0),
        "skull": _NO_SIGNAL,
        "glial_matter": (1820, 99, 0.86),
        "connective": (1084, 69, 0.77),
        "lesion": (1084 * 752 / 500, 69 * 237 / 70, 0.76),
    },
}


def class_tissue(classes: Iterable[str], b0: float) -> Tissue:
    """Values of the named classes at field strength `b0` [T]: `(class,)` columns, proton density as
    m0.

    Raises InputError for a class or a field strength that is not in the table.
    """
    if b0 not in _VALUES:
        raise InputError(
            f"field strength {b0:g} T, expected one of {', '.join(f'{b:g}' for b in _VALUES)} T"
        )
    table = _VALUES[b0]
    unknown = [name for name in classes if name not in table]
    if unknown:
        raise InputError(f"tissue class {unknown[0]!r}, expected one of {', '.join(table)}")
    t1, t2, density = np.array([table[name] for name in classes], np.float64).T
    return Tissue(t1=t1 / 1e3, t2=t2 / 1e3, m0=density.astype(np.complex128))
