"""The portal's CSV escapes the same formulas as the API's: one expression, run in JavaScript."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.exports.csv_format import disarmed

_SOURCE = Path(__file__).parents[3] / "portal" / "src" / "exports" / "csv.ts"


@pytest.mark.parametrize(
    "text",
    ["=1+1", " =1", "x,=cmd|' /C calc'!A0", 'a"=1', "a; @b", "\uff1d1", "a\n+b", "-5", "Отдел «А», -5", "Петров П.П.", "7-913"],
)
def test_a_name_in_a_chart_is_disarmed_as_one_in_the_list(text: str) -> None:
    found = re.search(r"^const formula = (/.*/g);$", _SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    replacing = re.search(r"cell\.replace\(formula, (\".*?\")\)", _SOURCE.read_text(encoding="utf-8"))
    assert found is not None and replacing is not None
    script = f"process.stdout.write(JSON.stringify({json.dumps(text)}.replace({found[1]}, {replacing[1]})))"
    said = subprocess.run([Path(sys.executable).parent / "node", "-e", script], capture_output=True, check=True, timeout=30)
    assert json.loads(said.stdout) == disarmed(text)
