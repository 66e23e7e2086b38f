"""What of patients is left out of pictures and files before they leave the hospital: --redact, --keep-metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from endoseg_cli.pictures.redaction import RedactConfig

PRIVACY = "Before files leave the hospital"


@dataclass(frozen=True, kw_only=True)
class RedactOptions:
    """What is blanked in pictures."""

    redact: Annotated[
        list[str] | None,
        typer.Option(
            "--redact",
            metavar="outside-field-of-view|X,Y,W,H",
            help="Fill with black, in every picture that is written, what lies outside the endoscope's picture (its"
            " convex outline, in the box that --field-of-view finds; of a box given there, outside that), or a box of"
            " pixels of the upright frame, as masks count them. May be given more than once. The networks see whole"
            " frames; sound, which may name people, is left out.",
            rich_help_panel=PRIVACY,
        ),
    ] = None

    def redaction(self) -> RedactConfig:
        """Return what is asked for; raises UsageError for what is neither."""
        from endoseg_cli.pictures.redaction import parse_redact

        return parse_redact(self.redact or ())


@dataclass(frozen=True, kw_only=True)
class PrivacyOptions(RedactOptions):
    """What is blanked, and what else of the input is left out."""

    keep_metadata: Annotated[
        bool,
        typer.Option(
            "--keep-metadata",
            help="Copy into videos the title, comment, place, dates and languages that the input's file tells, as far"
            " as the new file's format knows them, and copy pictures with their EXIF. Without it, none of these; masks"
            " and overlays of pictures never have any.",
            rich_help_panel=PRIVACY,
        ),
    ] = False
