"""Draws a text in the DOT language as SVG: `picture.py picture.dot picture.svg`.

The drawing begins with the digest of its text, by which a test knows whether it is of that text.
"""

import hashlib
import subprocess
import sys
from pathlib import Path


def draw(text: Path, drawing: Path) -> None:
    """Write the drawing anew."""
    dot = Path(sys.executable).with_name("graphviz-pure")
    svg = subprocess.run([dot, "-Tsvg", text], check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(text.read_bytes()).hexdigest()
    start = svg.index("<svg")
    drawing.write_text(f"<!-- Drawn from {text.name}, sha256 {digest} -->\n{svg[start:]}")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
