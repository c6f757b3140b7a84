"""The container file and its label say the same as the server."""

import json
import re
from pathlib import Path

from mrftool.servers.mrd.service import parse_configs

FOLDER = Path(__file__).parents[2] / "examples" / "scanner"


def test_the_label_asks_for_what_the_container_serves():
    label = json.loads((FOLDER / "openrecon_label.json").read_text())
    command = json.loads(
        re.search(r"^CMD (\[.*\])$", (FOLDER / "Containerfile").read_text(), re.M)[1]
    )
    assert command[:3] == ["mrftool", "serve", "mrd"]
    assert command[command.index("--port") + 1] == str(label["reconstruction"]["port"])
    (parameter,) = label["parameters"]
    configs = parse_configs([command[command.index("--config") + 1]])
    assert parameter["default"] in configs
    assert "untested on a scanner" in label["general"]["information"]["en"].lower()
