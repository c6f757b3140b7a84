"""The home of onnxruntime, with its telemetry off: nothing about scans, models or this computer
goes anywhere.

Its wheels from 1.29 on report to their maker unless told otherwise before the library loads (its
Privacy.md).
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

InferenceSession = onnxruntime.InferenceSession
SessionOptions = onnxruntime.SessionOptions
