"""A description as one HTML page that needs nothing else, not even a network."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from space.description import COSTS, Description
from space.figure import picture_svg
from space.sheets import Sheet, cost_sheet, dimension_sheet, effect_sheet, rule_sheet, variant_sheet


def description_html(told: Description) -> str:
    """The page, everything that users wrote escaped; without a picture where no legal network was found."""
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_part("describe.html"))
    return template.render(
        name=told.space.name,
        about=told.space.about,
        facts=told.facts,
        has_budget=bool(told.budget.limits),
        sheets=_sheets(told),
        without_effect=told.without_effect,
        # Our own text and matplotlib's, which escapes what it writes.
        style=Markup(_part("describe.css")),
        figure=Markup(picture_svg(told)) if told.found.costs else "",
    )


def _sheets(told: Description) -> list[Sheet]:
    costs = [cost_sheet(told), *(effect_sheet(told, words) for words in COSTS)] if told.found.costs else []
    sheets = [variant_sheet(told), *costs, rule_sheet(told), dimension_sheet(told)]
    return [sheet for sheet in sheets if sheet is not None]


def _part(name: str) -> str:
    return (resources.files("space.page") / name).read_text(encoding="utf-8")
