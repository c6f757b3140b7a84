"""Arrays in NumPy's .npy and .npz files. Never pickle."""

from pathlib import Path

from numpy.lib import format as npy

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.arrays.choice import choose_variable
from mrftool.formats.arrays.mapped import map_values
from mrftool.formats.npz.members import array_shape, map_member, member_names, reading_npz
from mrftool.formats.regular_file import require_regular


def read_npy(path: Path) -> Array:
    """The array in a .npy file.

    Raises
    ------
    InputError
        If it is damaged, or holds objects.
    """
    require_regular(path, "a .npy file")
    with path.open("rb") as file:
        try:
            version = npy.read_magic(file)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(file)
        except Exception as error:  # a damaged header makes NumPy's parser raise all kinds
            raise InputError(f"{path}: has a damaged header, expected a .npy file") from error
        offset = file.tell()
    if dtype.kind not in "biufc":
        raise InputError(f"{path}: holds {dtype}, expected numbers")
    return map_values(path, shape or (1,), dtype, offset, "CF"[is_fortran])  # type: ignore[arg-type]


def read_npz_array(path: Path, variable: str | None) -> Array:
    """One array of a .npz file.

    Raises
    ------
    InputError
        If it is damaged, or has several arrays to choose from.
    """
    with reading_npz(path) as archive:
        shapes = {name: array_shape(archive, name) for name in sorted(member_names(archive))}
        return map_member(archive, choose_variable(path, shapes, variable))
