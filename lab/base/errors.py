"""What can go wrong in the lab; each message is one line that says what to do."""

from fonoteka.core.errors import FonotekaError


class LabError(FonotekaError):
    """The lab cannot be set up: a program is missing, or Asterisk or a telephone did not start."""
