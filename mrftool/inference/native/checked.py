"""Native code in place of ONNX Runtime, once its first voxels are those of the graph."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from threading import Lock

from mrftool.arrays import Array
from mrftool.inference.native.comparison import Estimates, excess_shares, rounded_otherwise
from mrftool.inference.native.instructions import NotTranslatableError
from mrftool.inference.native.machine import NativeGraph, is_available, native_graph
from mrftool.inference.native.translation import ports, translated

_COMPARED = 1024  # voxels
_MOST_PLACES = 1 << 15  # of columns, which take 10 MB
Feeds = Mapping[str, Array]
Reference = Callable[[Feeds], list[Array]]


class CheckedGraph:
    """A graph in native code, for the voxels of one scan.

    Its first voxels are computed by ONNX Runtime too. Where both do not agree to rounding, ONNX
    Runtime computes all of them.
    """

    def __init__(self, graph: NativeGraph, *, is_trusted: bool | None = None) -> None:
        self.graph = graph
        self._lock = Lock()
        self._is_trusted = is_trusted

    def run(self, feeds: Feeds, n_voxels: int, reference: Reference) -> list[Array]:
        """All outputs of `n_voxels` voxels; `reference` gives them by ONNX Runtime."""
        if self._is_trusted is False:
            return reference(feeds)
        found = self.graph.run(feeds, n_voxels)
        if found is None or not self._agrees(found, feeds, reference):
            return reference(feeds)
        return found

    def _agrees(self, found: list[Array], feeds: Feeds, reference: Reference) -> bool:
        """Whether the first voxels are those of the graph; only the first call compares."""
        with self._lock:
            if self._is_trusted is None and len(found[0]):
                first = {name: values[:_COMPARED] for name, values in feeds.items()}
                part = [values[:_COMPARED] for values in found]
                self._is_trusted = not self._excess(part, first, reference)
            return self._is_trusted is not False

    def _excess(self, found: list[Array], feeds: Feeds, reference: Reference) -> dict[str, float]:
        def otherwise() -> Estimates:
            changed = {name: rounded_otherwise(values) for name, values in feeds.items()}
            return self._named(reference(changed))

        return excess_shares(self._named(found), self._named(reference(feeds)), otherwise)

    def _named(self, outputs: list[Array]) -> dict[str, Array]:
        names = [port.name for port in self.graph.outputs]
        return dict(zip(names, outputs, strict=True))


def checked_graph(
    content: bytes, outputs: Sequence[str], *, is_trusted: bool | None = None
) -> CheckedGraph | None:
    """Native code of the model in `content`, for the voxels of one scan.

    None where it was not built, or does not run this model. is_trusted: whether all voxels are its
    own, without a comparison; by default its first voxels decide.
    """
    if not is_available():
        return None
    graph = _native_graph(content, tuple(outputs))
    if graph is None:
        return None
    return CheckedGraph(graph, is_trusted=is_trusted)


@lru_cache(maxsize=4)
def _native_graph(content: bytes, outputs: tuple[str, ...]) -> NativeGraph | None:
    """Whatever there is that this cannot read, ONNX Runtime reads."""
    import onnx

    try:
        graph = onnx.load_model_from_string(content).graph
        code = translated(graph, outputs)
        found = native_graph(code, *ports(graph, outputs))
    except (NotTranslatableError, ValueError, TypeError, LookupError, OverflowError):
        return None
    if found.n_columns > _MOST_PLACES:
        return None
    return found
