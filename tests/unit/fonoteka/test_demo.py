"""`fonoteka demo` needs the lab, which only a source checkout has."""

import subprocess
import sys

_WITHOUT_LAB = "import sys; sys.modules['lab'] = None; sys.argv = ['fonoteka', 'demo'];from fonoteka.cli.main import main; main()"


def test_demo_outside_a_checkout_says_what_to_do() -> None:
    command = [sys.executable, "-c", _WITHOUT_LAB]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "source checkout" in ended.stderr and "make demo" in ended.stderr
