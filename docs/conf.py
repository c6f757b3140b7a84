"""Configuration of the documentation: `make docs`. Every code block of a tutorial runs."""

import os
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generated import write_references
from notebooks import notebook_folder

project = "mrftool"
copyright = "2026, the mrftool developers"
author = "The mrftool developers"
release = metadata.version("mrftool")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "paper/*", "jupyter_execute", "**.ipynb_checkpoints"]

# Code runs in a scratch folder, once for each page; a block that fails stops the build.
nb_execution_mode = "cache"
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
os.environ["IPYTHONDIR"] = str(notebook_folder(Path(__file__).parent / "_build" / "ipython"))
os.environ["COLUMNS"] = "88"  # of tables in the terminal
os.environ["TERM"] = "dumb"

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
nitpicky = False

html_theme = "furo"
html_title = "mrftool"
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
templates_path = []
html_static_path = []

write_references(Path(__file__).parent / "reference")
