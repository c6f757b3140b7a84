"""The node: receives, works and delivers at the same time, until it is stopped."""

import threading
from collections.abc import Callable

from mrftool.environment.reporter import Reporter
from mrftool.servers.dicom.deliver import Courier
from mrftool.servers.dicom.receive import listening
from mrftool.servers.dicom.settings import NodeSettings
from mrftool.servers.dicom.storage import Storage
from mrftool.servers.dicom.work import Worker

_PAUSE = 0.25  # between looks at what there is to do [s]


def serve(
    settings: NodeSettings,
    reporter: Reporter,
    *,
    stop: threading.Event | None = None,
    ready: Callable[[int], None] = lambda port: None,
) -> None:
    """Run a node until it is interrupted, or `stop` is set.

    Parameters
    ----------
    settings
        Of the node.
    reporter
        Hears what became of each series.
    stop
        Ends the node when it is set.
    ready
        Told the port as soon as images are taken.

    Raises
    ------
    InputError
        If another node uses the folder, or the port is taken.

    """
    stop = stop or threading.Event()
    storage = Storage(settings.folder)
    with storage.locked():
        storage.open()
        worker = Worker(settings, storage, reporter, stop.is_set)
        courier = Courier(settings, storage, reporter, stop.is_set)
        with listening(settings, storage, reporter) as port:
            ready(port)
            delivery = threading.Thread(target=_repeat, args=(courier.step, stop, reporter))
            delivery.start()
            try:
                _repeat(worker.step, stop, reporter)
            finally:
                stop.set()
                delivery.join()


def _repeat(step: Callable[[], None], stop: threading.Event, reporter: Reporter) -> None:
    """Call `step` again and again; a full disk or the like is told, and does not end the node.

    Nor does an error of ours: images that come in are kept, and the next start works on them.
    """
    last = ""
    while not stop.is_set():
        try:
            step()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if text != last:
                reporter.note(text)
            last = text
        stop.wait(_PAUSE)
