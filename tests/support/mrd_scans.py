"""Small MRD scans, and sessions with a server in this process."""

import socket
import threading

import ismrmrd
import nibabel as nib
import numpy as np

from mrftool.environment.reporter import SilentReporter
from mrftool.formats.coefficients.mrd import coefficient_stream
from mrftool.formats.mrd.append import growing_file
from mrftool.formats.mrd.header import RawHeader, header_xml
from mrftool.formats.mrd.image import MrdImage, image_head_type
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.grid import Placement
from mrftool.physics.simulate import simulate
from mrftool.scan.coefficients import CoefficientImages
from mrftool.servers.mrd.child import serve_session
from mrftool.servers.mrd.messages import Connection
from mrftool.servers.mrd.service import session_folder
from mrftool.tissue import Tissue
from mrftool.workflows.kspace.simulate_kspace import KSpaceSettings, simulate_kspace

COMPLEX_FLOAT, COMPLEX_IMAGE = 7, 5


def write_raw_scan(path, sequence, **changes):
    """Raw data of a phantom with its sequence in the header."""
    chosen = {"matrix": 16, "coils": 2, "samples": 256, "factor": 1, "snr": 50.0} | changes
    simulate_kspace(sequence, KSpaceSettings(**chosen), path, SilentReporter())
    return path


def image_head(size, repetition, index):
    head = np.zeros(1, image_head_type())
    head["version"], head["channels"] = 1, 1
    head["data_type"], head["image_type"] = COMPLEX_FLOAT, COMPLEX_IMAGE
    head["matrix_size"] = (*size, 1)
    head["field_of_view"] = (2.0 * size[0], 2.0 * size[1], 5.0)
    head["position"] = (3.0, -4.0, 6.0 * index)
    head["read_dir"], head["phase_dir"], head["slice_dir"] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    head["repetition"], head["slice"] = repetition, index
    head["image_series_index"] = 1
    return head


def write_image_scan(path, nifti, sequence_id=None):
    """The frames of a NIfTI scan as MRD images, the last slice first."""
    values = np.asarray(nib.load(nifti).dataobj, np.complex64)
    n_x, n_y, n_z, n_time = values.shape
    header = RawHeader((n_x, n_y, 1), (2.0 * n_x, 2.0 * n_y, 5.0), sequence_id=sequence_id)
    with growing_file(path, header_xml(header)) as file:
        for repetition in range(n_time):
            for index in reversed(range(n_z)):
                plane = np.ascontiguousarray(values[:, :, index, repetition].T)
                head = image_head((n_x, n_y), repetition, index)
                file.add_image(MrdImage(head, "", plane[None, None]))
    return path


def coefficient_images(sequence, rank=5):
    """Coefficients of two slices of known tissue, with a covariance and a mask."""
    t1, t2 = np.meshgrid([0.5, 0.9, 1.4, 2.0], [0.05, 0.08, 0.11], indexing="ij")
    signal = simulate(sequence, Tissue(t1.ravel(), t2.ravel())).signal
    many = simulate(sequence, random_tissue(200)).signal
    basis = np.linalg.svd(many, full_matrices=False)[2][:rank].T.conj()
    # frame t = sum over k of coefficient k times basis[t, k]
    basis = basis.conj()
    coefficients = (signal @ basis.conj()).reshape(4, 3, 1, rank).astype(np.complex64)
    images = np.concatenate([coefficients, 2 * coefficients], axis=2)
    mask = np.ones((4, 3, 2), bool)
    mask[0, 0, 1] = False
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = (10.0, -20.0, 30.0)
    covariance = np.broadcast_to(1e-6 * np.eye(rank), (4, 3, 2, rank, rank))
    return CoefficientImages(images, basis, Placement(affine), covariance, mask)


def random_tissue(count):
    random = np.random.default_rng(0)
    return Tissue(random.uniform(0.3, 3.0, count), random.uniform(0.03, 0.25, count))


def write_coefficient_scan(path, images, sequence):
    header, stream = coefficient_stream(images, sequence_to_dict(sequence))
    with growing_file(path, header) as file:
        for image in stream:
            file.add_image(image)
    return path


def session(send, service):
    """What a server says to a client that does `send(connection)` and closes: messages, fault."""
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    faults = []

    def serve():
        with session_folder(service) as folder:
            faults.append(serve_session(theirs, service, folder))

    server = threading.Thread(target=serve)
    server.start()
    connection = Connection(ours, 1 << 30)
    try:
        send(connection)
        answers = list(connection.messages())
    finally:
        connection.close()
        server.join()
    return answers, faults[0]


def as_acquisition(head, trajectory, samples):
    """A readout as the ismrmrd library has it."""
    acquisition = ismrmrd.Acquisition(head.tobytes())
    acquisition.data[:] = samples.view(np.complex64).reshape(acquisition.data.shape)
    if acquisition.traj.size:
        acquisition.traj[:] = trajectory.reshape(acquisition.traj.shape)
    return acquisition
