"""What an MRD server offers: its settings, and the configurations that a scanner can name."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mrftool.environment.shipped import find_file
from mrftool.errors import ArgumentError, InputError


@dataclass(frozen=True)
class Service:
    """Settings of a server.

    Parameters
    ----------
    configs
        Model file or sequence, by the name of the configuration that the scanner sends.
    most_bytes
        Of data in one session.
    most_memory
        Bytes of memory that one session may take.
    silence
        Longest pause of the other side [s].
    seconds
        How long one session may take in all [s].
    save
        Folder that keeps what came in and the maps; None keeps nothing.
    threads
        Of the arithmetic; None for one per processor.
    allow
        In what the header of a measurement may contradict the sequence.

    """

    configs: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = 8 << 30
    most_memory: int = 2 << 30
    silence: float = 600.0
    seconds: float = 3600.0
    save: Path | None = None
    threads: int | None = None
    allow: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The settings as text, for the process of a session."""
        folder = None
        if self.save is not None:
            folder = str(self.save.absolute())
        return json.dumps({**asdict(self), "save": folder})

    @classmethod
    def from_text(cls, text: str) -> "Service":
        """The reverse of `to_text`."""
        facts: dict[str, Any] = json.loads(text)
        if facts["save"] is not None:
            facts["save"] = Path(facts["save"])
        return cls(**{**facts, "allow": tuple(facts["allow"])})


@contextmanager
def session_folder(service: Service) -> Iterator[Path]:
    """A folder for what comes in; it stays only where the server was told to keep it.

    It belongs to the server: the process of a session may be killed.
    """
    if service.save is not None:
        service.save.mkdir(parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix="session-", dir=service.save))
        return
    with tempfile.TemporaryDirectory(prefix="mrftool-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Target:
    """What a configuration stands for: one of the two is named."""

    model: str | None = None
    sequence: str | None = None


def parse_configs(texts: Iterable[str]) -> dict[str, str]:
    """Configurations by name, of texts such as `mrf=fisp`; each must name a model or sequence.

    Raises
    ------
    ArgumentError
        If a text has another form.
    InputError
        If there is no such model or sequence.

    """
    configs: dict[str, str] = {}
    for text in texts:
        name, equals, target = text.partition("=")
        if not (name and equals and target):
            raise ArgumentError(f"configuration {text!r}, expected NAME=MODEL or NAME=SEQUENCE")
        target_of(target)
        if Path(target).exists():
            target = str(Path(target).absolute())
        configs[name] = target
    return configs


def target_of(name: str) -> Target:
    """The model of this name, or else the sequence. Raises InputError if there is neither."""
    if not name.endswith((".yaml", ".yml")):
        try:
            return Target(model=str(find_file("models", name, ".onnx")))
        except InputError:
            pass
    return Target(sequence=str(find_file("sequences", name, ".yaml")))
