"""Two looks of every picture of the page: for a screen and paper, and for a phone."""

from __future__ import annotations

from dataclasses import dataclass

from planner.report.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

STUDY_LOOK = {"scaling": (BLUE, "o"), "hyperparameters": (ORANGE, "s"), "ideas": (GREEN, "^")}
OTHERS = ((PURPLE, "D"), (SKY, "v"), (GREY, "P"), (RED, "X"))
VERDICT_COLOUR = {"promote": GREEN, "hold": ORANGE, "drop": GREY}
VERDICT_MARK = {"promote": "o", "hold": "s", "drop": "v"}


@dataclass(frozen=True)
class Look:
    """Width in inches of a figure's 11 point type, at most how many dots it has, and what is put behind its name."""

    width: float
    dots: int
    suffix: str
    narrow: bool


WIDE = Look(8.6, 1000, "", narrow=False)
NARROW = Look(4.4, 300, "-narrow", narrow=True)


def look_of(study: str, number: int) -> tuple[str, str]:
    """Colour and mark of a study."""
    return STUDY_LOOK.get(study, OTHERS[number % len(OTHERS)])
