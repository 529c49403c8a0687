"""Installs the wheel in a new environment, away from the repository, and follows docs/ten-minutes.md there.

    python tests/installed.py dist

``make package`` builds the packages and runs this. It takes about four minutes, so it is no test of ``make test``.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
JUDGEMENTS = 200
PREDICT = """
import numpy as np
import twinrank as tr

assert "site-packages" in tr.__file__, tr.__file__
images = np.random.default_rng(0).integers(0, 256, (2, 5, 28, 28), np.uint8)
assert tr.load_predictor().predict_proba(*images).shape == (5, 2)
"""


def main(dist: Path) -> None:
    """Checks what is in the packages, installs the wheel, and uses it."""
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    check_files(wheel, source)
    with tempfile.TemporaryDirectory(prefix="twinrank-installed-") as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        pins = ROOT / "constraints" / "cpu.txt"
        run(folder, f"python -m pip install -qq -c {pins} {wheel.resolve()}[backbones,serve]")
        run(folder, "python -m pip check")
        run(folder, "python -m twinrank --version")
        run(folder, "twinrank models")
        (folder / "predict.py").write_text(PREDICT, encoding="utf-8")
        run(folder, "python predict.py")
        follow(folder, (ROOT / "docs" / "ten-minutes.md").read_text(encoding="utf-8"))
    print("installed, and ten minutes followed")


def check_files(wheel: Path, source: Path) -> None:
    """The wheel has every file of the package; the source package has what builds it, and no part of the tests."""
    listed = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    wanted = {name.removeprefix("src/") for name in listed.splitlines()}
    missing = wanted - set(zipfile.ZipFile(wheel).namelist())
    assert not missing, f"{wheel.name} lacks {sorted(missing)}"
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {f"src/{name}" for name in wanted} | {"LICENSE", "CITATION.cff", "constraints/cpu.txt"}
    assert not missing - names, f"{source.name} lacks {sorted(missing - names)}"
    assert not any(name.startswith("tests") for name in names)


def run(folder: Path, command: str) -> None:
    """Runs a command in the folder, with the programs of its environment."""
    print(f"$ {command}", flush=True)
    subprocess.run(shlex.split(command, comments=True), cwd=folder, env=environment(folder), check=True)


def environment(folder: Path) -> dict[str, str]:
    """Variables of a process in the new environment, without those of the repository."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"PATH": f"{folder / 'env' / 'bin'}:{kept['PATH']}", "TWINRANK_CACHE": str(folder / "cache")}


def follow(folder: Path, page: str) -> None:
    """Does what the page says: its Python, then its commands; a program judges in place of a person."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (folder / "make_photos.py").write_text(code, encoding="utf-8")
    run(folder, "python make_photos.py")
    for command in "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)).splitlines():
        if command.startswith("twinrank label"):
            judge(folder, command)
        else:
            run(folder, command)
    assert len((folder / "runs" / "fit" / "ranking.csv").read_text(encoding="utf-8").splitlines()) == 61


def judge(folder: Path, command: str) -> None:
    """Answers on the page of ``twinrank label``, and ends it as Ctrl-C does."""
    print(f"$ {command}", flush=True)
    grain = [grain_of(path) for path in sorted((folder / "photos").iterdir())]
    words = [*shlex.split(command), "--port", "0"]
    served = subprocess.Popen(words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    served.stdout.readline()
    address = served.stdout.readline().split()[0]
    for _ in range(JUDGEMENTS):
        (pair,) = ask(address + "api/next", {"rater": "Ada"})["pairs"]
        more = grain[pair["left"]] - grain[pair["right"]]
        outcome = "tie" if abs(more) < 1 else "left" if more > 0 else "right"
        ask(f"{address}api/pairs/{pair['id']}", {"rater": "Ada", "outcome": outcome})
    served.send_signal(signal.SIGINT)
    assert served.wait(60) == 0


def grain_of(path: Path) -> float:
    """How much neighbouring pixels differ beyond edges: the median size of a second difference along both axes."""
    grey = np.asarray(Image.open(path).convert("L"), float)
    return float(np.median(np.abs(np.diff(np.diff(grey, 2, 0), 2, 1))))


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of the server to a JSON request."""
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
