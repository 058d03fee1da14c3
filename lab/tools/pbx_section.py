"""The section `[pbx]` of a Fonoteka beside a lab's Asterisk."""

import json

from lab.asterisk.server import LabAsterisk


def pbx_section(pbx: LabAsterisk) -> str:
    """Return the section as text."""
    host, port = pbx.ami
    return f"""\
[pbx]
name = "lab"
ami = "{host}:{port}"
ami_user = "{pbx.ami_user}"
ami_secret = "{pbx.ami_secret}"
agi = "{pbx.agi[0]}:{pbx.agi[1]}"
spool = "{pbx.spool}"
spool_in_asterisk = "{pbx.spool_in_asterisk}"
cel_journal = "{pbx.cel_journal}"
trunks = {json.dumps([f"PJSIP/{company.trunk}" for company in pbx.companies])}
"""
