"""How nouns show themselves in a notebook: a picture, made above them.

A noun knows neither pictures nor pages. When a notebook asks for one, `mrftool.reports.notebook` is
loaded by its name.
"""

from importlib import import_module


class ShownInNotebooks:
    """A noun that notebooks show as HTML."""

    def _repr_html_(self) -> str:
        text: str = import_module("mrftool.reports.notebook").html_of(self)
        return text
