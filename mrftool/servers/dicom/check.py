"""What can be said of a node's settings before it runs."""

import os
import socket
from collections.abc import Callable
from functools import partial

from mrftool.errors import InputError, MrftoolError
from mrftool.inference.session import load_model
from mrftool.servers.dicom.association import check_destination
from mrftool.servers.dicom.settings import NodeSettings
from mrftool.servers.dicom.tls import server_context


def check_node(settings: NodeSettings) -> dict[str, str]:
    """Try everything that a node needs: what it is, and "good" or what is wrong with it."""
    found = {f"folder {settings.folder}": _outcome(partial(_check_folder, settings))}
    found[f"port {settings.port} at {settings.host}"] = _outcome(partial(_check_port, settings))
    for rule in settings.rules:
        found[f"model of {rule.name}"] = _outcome(partial(load_model, rule.model))
    tls = settings.tls
    if tls is not None:
        found["tls"] = _outcome(partial(server_context, tls))
    for name, destination in settings.destinations.items():
        found[f"destination {name}"] = _outcome(partial(check_destination, destination, settings))
    return found


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (MrftoolError, OSError) as error:
        return str(error)
    return "good"


def _check_folder(settings: NodeSettings) -> None:
    settings.folder.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.folder, os.W_OK | os.X_OK):
        raise InputError("cannot be written to")


def _check_port(settings: NodeSettings) -> None:
    with socket.create_server((settings.host, settings.port)):
        pass
