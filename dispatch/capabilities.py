"""What units can do and hospitals have, and what a case needs of it. Pure tables.

A case needs little until its crew has said more: by its severity, then by its pathway.
"""

from __future__ import annotations

from typing import Final, Literal

from streams.messages import Pathway, Severity

Ability = Literal[
    "advanced_life_support", "critical_care", "paediatric", "neonatal", "bariatric", "isolation"
]
"""What a unit can do beyond basic life support."""

Capability = Literal[
    "cath_lab", "stroke_unit", "trauma_centre", "burn_centre", "children", "obstetrics"
]
"""What a hospital has, at all hours."""

CHILD_YEARS: Final = 14
"""Younger than this a patient needs a hospital that takes children."""

_BY_SEVERITY: Final[dict[Severity, frozenset[Ability]]] = {
    "red": frozenset({"advanced_life_support"}),
}
_BY_PATHWAY: Final[dict[Pathway, frozenset[Ability]]] = {
    "stemi": frozenset({"advanced_life_support"}),
    "cardiac_arrest": frozenset({"advanced_life_support"}),
    "paediatric": frozenset({"paediatric"}),
}
_OF_HOSPITAL: Final[dict[Pathway, frozenset[Capability]]] = {
    "stemi": frozenset({"cath_lab"}),
    "cardiac_arrest": frozenset({"cath_lab"}),  # ERC Guidelines 2021: a cardiac arrest centre
    "stroke": frozenset({"stroke_unit"}),
    "trauma": frozenset({"trauma_centre"}),
    "obstetric": frozenset({"obstetrics"}),
    "paediatric": frozenset({"children"}),
}


def abilities_needed(severity: Severity, pathway: Pathway | None) -> frozenset[Ability]:
    """Return what the unit of a case must be able to do."""
    none: frozenset[Ability] = frozenset()
    of_pathway = _BY_PATHWAY.get(pathway, none) if pathway is not None else none
    return _BY_SEVERITY.get(severity, none) | of_pathway


def capabilities_needed(pathway: Pathway | None, age_years: int | None) -> frozenset[Capability]:
    """Return what the hospital of a case must have."""
    needed: frozenset[Capability] = frozenset()
    if pathway is not None:
        needed = _OF_HOSPITAL.get(pathway, needed)
    if age_years is not None and age_years < CHILD_YEARS:
        needed |= {"children"}
    return needed
