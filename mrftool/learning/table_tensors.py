"""A signal table as tensors, so that a checkpoint keeps it beside the weights."""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import Array
from mrftool.manifold.bspline import Axis
from mrftool.manifold.compression import Basis
from mrftool.manifold.parameters import parameters_of
from mrftool.manifold.table import SignalTable

_BASIS_FACTS = ("is_real", "truncation", "reference_floor")
_TABLE_FACTS = ("form", "error", "adc", "sequence_id")
# Axes of tables that were stored without the names of their parameters.
_UNNAMED_PARAMETERS = ("t1", "t2", "b1")


def table_to_tensors(table: SignalTable) -> dict[str, Tensor]:
    """The arrays of a table as tensors, and its other facts as JSON text in a tensor of bytes."""
    basis, phase_factor = table.basis, complex(table.basis.phase_factor)
    facts: dict[str, Any] = {key: getattr(table, key) for key in _TABLE_FACTS}
    facts |= {key: getattr(basis, key) for key in _BASIS_FACTS}
    facts["axes"] = [[axis.start, axis.step, axis.size] for axis in table.axes]
    facts["parameters"] = [parameter.name for parameter in table.parameters]
    facts["turn"] = [phase_factor.real, phase_factor.imag]
    tensors = {
        "table.coefficients": _to_tensor(table.coefficients),
        "table.vectors": _to_tensor(basis.vectors),
    }
    magnitude = table.magnitude_basis
    if magnitude is not None:
        facts["magnitude_basis"] = [magnitude.truncation, magnitude.reference_floor]
        tensors["table.magnitude_vectors"] = _to_tensor(magnitude.vectors)
    text = bytearray(json.dumps(facts).encode())
    return {"table.facts": torch.frombuffer(text, dtype=torch.uint8), **tensors}


def table_from_tensors(tensors: dict[str, Tensor]) -> SignalTable:
    """What table_to_tensors gave."""
    facts = json.loads(bytes(tensors["table.facts"].cpu().tolist()))
    basis = Basis(
        vectors=_to_array(tensors["table.vectors"]),
        phase_factor=complex(*facts["turn"]),
        **{key: facts[key] for key in _BASIS_FACTS},
    )
    magnitude = None
    if "magnitude_basis" in facts:
        vectors = _to_array(tensors["table.magnitude_vectors"])
        magnitude = Basis(vectors, True, 1.0, *facts["magnitude_basis"])
    names = facts.get("parameters", _UNNAMED_PARAMETERS[: len(facts["axes"])])
    return SignalTable(
        axes=tuple(Axis(start, step, int(size)) for start, step, size in facts["axes"]),
        coefficients=_to_array(tensors["table.coefficients"]),
        basis=basis,
        magnitude_basis=magnitude,
        parameters=parameters_of(names),
        **{key: facts[key] for key in _TABLE_FACTS},
    )


def _to_tensor(values: Array) -> Tensor:
    """float64 with a last axis of 1, or of 2 for complex numbers: safetensors stores none."""
    parts = [values]
    if np.iscomplexobj(values):
        parts = [values.real, values.imag]
    return torch.from_numpy(np.stack(parts, axis=-1).astype(np.float64))


def _to_array(tensor: Tensor) -> Array:
    parts = tensor.cpu().numpy()
    values = parts[..., 0]
    if parts.shape[-1] == 2:
        values = values + 1j * parts[..., 1]
    return np.ascontiguousarray(values)
