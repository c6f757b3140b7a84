"""The schemas of RF-sequence files, one module for each version."""

from pydantic import TypeAdapter

from mrftool.formats.sequence.schema.first import INNER_BLOCKS, TOP_BLOCKS, SequenceFile
from mrftool.formats.sequence.schema.second import BLOCKS, EventFile
from mrftool.formats.sequence.schema.second import TAG as EVENT_TAG

__all__ = [
    "BLOCKS",
    "EVENT_TAG",
    "INNER_BLOCKS",
    "TOP_BLOCKS",
    "VERSIONS",
    "EventFile",
    "SequenceFile",
    "json_schema",
]

VERSIONS: dict[int, type[SequenceFile] | type[EventFile]] = {1: SequenceFile, 2: EventFile}


def json_schema() -> dict[str, object]:
    """JSON Schema of sequence files of any version, for editors."""
    schema = TypeAdapter(SequenceFile | EventFile).json_schema()
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mrftool RF sequence",
    }
    return {**head, **schema}
