"""Settings of a DICOM node: a YAML file that names peers, destinations and rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from mrftool.environment.shipped import find_file
from mrftool.errors import InputError
from mrftool.formats.regular_file import read_regular
from mrftool.formats.sequence.reading.yaml_text import load_mapping
from mrftool.inference.protocol import NAMES

SCHEMA = 1
_SCHEMA_KEY = "mrftool_dicom_node"
_MOST_BYTES = 1_000_000  # of the file
_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")  # PS3.5, AE
_PATTERNS = {
    "station": "StationName",
    "protocol": "ProtocolName",
    "description": "SeriesDescription",
}
_KEYS = {
    "node": {
        _SCHEMA_KEY, "ae_title", "host", "port", "folder", "quiet_seconds", "peers",
        "destinations", "rules", "tls", "max_bytes", "max_pending", "max_memory", "max_seconds",
    },
    "destination": {"ae_title", "host", "port", "tls"},
    "rule": {"name", "model", "destinations", "allow", *_PATTERNS},
    "tls": {"certificate", "key", "authority"},
}  # fmt: skip


@dataclass(frozen=True)
class Destination:
    """A node that maps are sent to."""

    name: str
    ae_title: str
    host: str
    port: int
    tls: bool = False


@dataclass(frozen=True)
class Rule:
    """Which series go through which model, and where their maps go.

    Parameters
    ----------
    name
        For messages.
    patterns
        What an attribute must look like, by its keyword; * and ? stand for any letters.
    model
        Model file.
    destinations
        Their names.
    allow
        In what the header may contradict the sequence of the model.

    """

    name: str
    patterns: Mapping[str, str]
    model: Path
    destinations: tuple[str, ...]
    allow: tuple[str, ...] = ()

    def matches(self, attributes: Mapping[str, str]) -> bool:
        """Whether a series with these attributes is meant; upper and lower case count."""
        return all(
            fnmatchcase(attributes.get(name, ""), pattern)
            for name, pattern in self.patterns.items()
        )


@dataclass(frozen=True)
class Tls:
    """Files (PEM) of the node's certificate and key, and of who signs those of its peers."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class NodeSettings:
    """All that a node needs to know.

    Parameters
    ----------
    folder
        Holds images, maps and the journal.
    rules
        The first that matches a series counts.
    destinations
        By name.
    peers
        Address of each node that may send images, by AE title; "" for any address.
    ae_title, host, port
        Of the node itself.
    quiet_seconds
        How long no image has come when a series is complete [s].
    tls
        None for connections without encryption.
    most_bytes
        Of data in one association.
    most_pending
        Bytes of images that are under way at the same time, in all associations.
    most_memory
        Bytes of memory that the work on one series may take.
    seconds
        How long the work on one series may take [s].

    """

    folder: Path
    rules: tuple[Rule, ...]
    destinations: Mapping[str, Destination]
    peers: Mapping[str, str]
    ae_title: str = "MRFTOOL"
    host: str = "127.0.0.1"
    port: int = 11112
    quiet_seconds: float = 30.0
    tls: Tls | None = None
    most_bytes: int = 8 << 30
    most_pending: int = 4 << 30
    most_memory: int = 4 << 30
    seconds: float = 3600.0
    source: Path = field(default_factory=Path)

    def rule_for(self, attributes: Mapping[str, str]) -> Rule | None:
        """The first rule that means a series, or None."""
        for rule in self.rules:
            if rule.matches(attributes):
                return rule
        return None


def read_settings(path: Path) -> NodeSettings:
    """The settings in a YAML file. Relative paths in it start from its folder.

    Raises
    ------
    InputError
        If the file cannot be read, or says something that is unknown or makes no sense.

    """
    content = _mapping(_load(path), "node", f"{path}")
    if content.get(_SCHEMA_KEY) != SCHEMA:
        raise InputError(f"{path}: {_SCHEMA_KEY} is not {SCHEMA}, expected that schema number")
    try:
        return _settings(path, content)
    except InputError as error:
        raise InputError(f"{path}: {error}", hint=error.hint) from error


def _settings(path: Path, content: Mapping[str, Any]) -> NodeSettings:
    base = path.absolute().parent
    destinations = {
        str(name): _destination(str(name), each)
        for name, each in _plain(content.get("destinations"), "destinations").items()
    }
    rules = tuple(
        _rule(number, each, base, destinations)
        for number, each in enumerate(_list(content.get("rules"), "rules"), start=1)
    )
    peers = _plain(content.get("peers"), "peers")
    if not peers or not rules or not destinations:
        raise InputError("peers, rules and destinations must not be empty, expected one of each")
    return NodeSettings(
        folder=base / _text(content, "folder"),
        rules=rules,
        destinations=destinations,
        peers={_title(name): _address(name, address) for name, address in peers.items()},
        ae_title=_title(content.get("ae_title", NodeSettings.ae_title)),
        host=_host({"host": NodeSettings.host, **content}),
        port=int(_number(content, "port", NodeSettings.port, 1, 65535)),
        quiet_seconds=_number(content, "quiet_seconds", NodeSettings.quiet_seconds, 0.1, 86400),
        tls=_tls(content.get("tls"), base),
        most_bytes=int(_number(content, "max_bytes", NodeSettings.most_bytes, 1, 1e15)),
        most_pending=int(_number(content, "max_pending", NodeSettings.most_pending, 1, 1e15)),
        most_memory=int(_number(content, "max_memory", NodeSettings.most_memory, 1 << 20, 1e15)),
        seconds=_number(content, "max_seconds", NodeSettings.seconds, 1, 1e6),
        source=path,
    )


def _load(path: Path) -> Mapping[str, Any]:
    """The file's content as plain values, each key once."""
    data = read_regular(path, _MOST_BYTES, "settings in YAML")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read: {error}, expected YAML") from error
    content, _, repeated = load_mapping(text, f"{path}: cannot be read", key=_SCHEMA_KEY)
    if repeated:
        raise InputError(f"{path}: {repeated[0]}")
    return content


def _mapping(value: Any, kind: str, where: str) -> Mapping[str, Any]:
    """A mapping whose keys are all known."""
    content = _plain(value, where)
    unknown = sorted(str(key) for key in content if key not in _KEYS[kind])
    if unknown:
        known = ", ".join(sorted(_KEYS[kind]))
        raise InputError(f"{where}: {', '.join(unknown)} is unknown, expected {known}")
    return content


def _plain(value: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is no mapping, expected names with values")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where} is no list, expected entries that begin with -")
    return value


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise InputError(f"{key} is {value!r}, expected a text without null characters")
    return value


def _title(value: Any) -> str:
    text = str(value).strip()
    if not _TITLE.fullmatch(text):
        raise InputError(f"AE title {text!r}, expected 1 to 16 ASCII characters")
    return text


def _address(name: object, value: Any) -> str:
    """An address in its usual form; "" for any."""
    if value in (None, ""):
        return ""
    try:
        return str(ip_address(str(value)))
    except ValueError as error:
        raise InputError(
            f"peer {name}: its address is {value!r}, expected one such as 10.0.0.5, or nothing"
        ) from error


def _number(content: Mapping[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = content.get(key, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise InputError(f"{key} is {value!r}, expected {low:g} to {high:g}")
    return float(value)


def _host(content: Mapping[str, Any]) -> str:
    """A name or address that the system's resolver takes."""
    host = _text(content, "host")
    try:
        is_name = bool(host.encode("idna"))
    except UnicodeError:
        is_name = False
    if not is_name:
        raise InputError(f"host is {host[:80]!r}, expected a name or an address")
    return host


def _destination(name: str, value: Any) -> Destination:
    content = _mapping(value, "destination", f"destination {name}")
    port = int(_number(content, "port", 0, 1, 65535))
    uses_tls = content.get("tls", False)
    if not isinstance(uses_tls, bool):
        raise InputError(f"destination {name}: tls is {uses_tls!r}, expected true or false")
    title = _title(content.get("ae_title", ""))
    return Destination(name, title, _host(content), port, uses_tls)


def _rule(number: int, value: Any, base: Path, known: Mapping[str, Destination]) -> Rule:
    content = _mapping(value, "rule", f"rule {number}")
    names = tuple(str(name) for name in _list(content.get("destinations"), "destinations"))
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise InputError(
            f"rule {number}: destinations {', '.join(missing) or 'none'}, expected of those named "
            f"above: {', '.join(known)}"
        )
    patterns = {_PATTERNS[key]: str(content[key]) for key in _PATTERNS if key in content}
    if not patterns:
        raise InputError(f"rule {number}: expected one or more of {', '.join(_PATTERNS)}")
    model = _text(content, "model")
    beside = base / model
    if beside.is_file():
        model = str(beside)
    path = find_file("models", model, ".onnx").absolute()
    allow = tuple(str(name) for name in _list(content.get("allow", []), "allow"))
    unknown = [name for name in allow if name not in NAMES]
    if unknown:
        raise InputError(f"rule {number}: allow {', '.join(unknown)}, expected {', '.join(NAMES)}")
    return Rule(str(content.get("name", f"rule {number}")), patterns, path, names, allow)


def _tls(value: Any, base: Path) -> Tls | None:
    if value is None:
        return None
    content = _mapping(value, "tls", "tls")
    files = [base / _text(content, key) for key in ("certificate", "key", "authority")]
    for file in files:
        if not file.is_file():
            raise InputError(f"tls: {file}: no such file, expected a PEM file")
    return Tls(*files)
