"""Whatever the terminal and the locale, the command line prints without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from twinrank.cli.output import command_line, with_flags
from twinrank.core.files import write_text
from twinrank.models.weights import read_tensors, write_tensors

TEXT = "90.1–91.2% … × ▁█ ü 中 \udcff │─╭"
PRINTING = ["--help", "--version", "predict --help", "data check pairs.npz"]
CLOSED = f"""
import sys
sys.stdout = None
from twinrank.cli.main import main
for arguments in {PRINTING}:
    try:
        main(arguments.split())
    except SystemExit as stopped:
        assert stopped.code in (0, None), arguments
"""
LOCALES = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def called(arguments: list[str | bytes], folder: Path, locale: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "twinrank", *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | LOCALES[locale], capture_output=True, timeout=60)


@pytest.mark.parametrize("locale", LOCALES)
def test_help_and_lines_print_in_every_locale(locale: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom twinrank.cli.output import print_anything\nprint_anything()\n"
        "for stream in (sys.stdout, sys.stderr):\n"
        f"    print({TEXT!a}, file=stream)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | LOCALES[locale], capture_output=True, timeout=60
    )
    assert result.returncode == 0
    assert result.stdout == result.stderr
    if locale == "utf-8":
        assert result.stdout.decode() == "90.1–91.2% … × ▁█ ü 中 \\xff │─╭\n"
    if locale == "latin-1":
        assert result.stdout.decode("latin-1") == "90.1-91.2% ... × ## ü ? \\xff |-+\n"
    if locale in ("ascii", "C"):
        assert result.stdout.decode("ascii").endswith("|-+\n")


@pytest.mark.parametrize("locale", ["C", "latin-1"])
@pytest.mark.parametrize("arguments", [["predict", "--help"], ["data", "check", b"\xff\xc3\xa9.npz"]], ids=str)
def test_a_command_prints_in_every_locale(locale: str, arguments: list[str | bytes], tmp_path: Path) -> None:
    result = called(arguments, tmp_path, locale)
    assert b"Traceback" not in result.stderr
    assert result.returncode in (0, 2)
    assert (result.stderr or result.stdout).count(b"\n") >= 1


@pytest.mark.parametrize("locale", ["C", "utf-8"])
def test_file_names_that_are_not_utf_8_are_printed(locale: str, benchmark_folder: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xffpairs.npz"
    Path(os.fsdecode(name)).write_bytes((benchmark_folder / "val.npz").read_bytes())
    result = called(["data", "check", b"\xffpairs.npz"], tmp_path, locale)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(b"\\xffpairs.npz: 96 pairs")


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_full_disk_below_the_output_is_one_line(arguments: str, benchmark_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.npz").write_bytes((benchmark_folder / "val.npz").read_bytes())
    command = [sys.executable, "-m", "twinrank", *arguments.split()]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr == (
        "twinrank: error: the output cannot be written (No space left on device); send it elsewhere\n"
    )


def test_a_closed_output_is_no_error(benchmark_folder: Path, tmp_path: Path) -> None:
    """One process gets one command after the other."""
    (tmp_path / "pairs.npz").write_bytes((benchmark_folder / "val.npz").read_bytes())
    closed = subprocess.run([sys.executable, "-c", CLOSED], cwd=tmp_path, capture_output=True)
    assert (closed.returncode, closed.stdout) == (0, b""), closed.stderr


def test_files_with_such_names_are_read_and_written(tmp_path: Path) -> None:
    folder = tmp_path / "\udcff"
    write_text(folder / "page.html", f"{folder.name} ü")
    assert (folder / "page.html").read_text(encoding="utf-8") == "\\udcff ü"
    write_tensors(folder / "a.safetensors", {"x": torch.arange(3)}, {"state": 1})
    tensors, state = read_tensors(folder / "a.safetensors")
    assert tensors["x"].tolist() == [0, 1, 2]
    assert state == {"state": 1}


def test_parameters_of_messages_become_flags() -> None:
    flags = {"threads": "--threads", "changes": "--set", "run": "RUN"}
    message = "`threads` is 0; see `changes`, `run` and `unknown`"
    assert with_flags(message, flags) == "--threads is 0; see --set, RUN and `unknown`"
    assert with_flags("threads is 0", flags) == "--threads is 0"
    assert with_flags("run is 0 is", flags) == "run is 0 is"


def test_passwords_are_not_recorded() -> None:
    line = command_line(["tune", "fpn", "--storage", "postgresql://me:p:ss@host/db", "--set", "train.lr=1e-3"])
    assert line == "twinrank tune fpn --storage postgresql://me:***@host/db --set train.lr=1e-3"
