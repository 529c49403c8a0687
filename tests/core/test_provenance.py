import subprocess
from pathlib import Path

from twinrank.core.provenance import _commit


def test_the_commit_is_that_of_the_package_and_not_of_a_repository_around_it(tmp_path: Path) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for name in ("own.py", "installed.py"):
        (tmp_path / name).write_text("")
    assert _commit(tmp_path / "own.py") is None
    for command in (["init", "-q"], ["add", "own.py"], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    assert _commit(tmp_path / "own.py") == commit
    assert _commit(tmp_path / "installed.py") is None
    (tmp_path / "own.py").write_text("changed")
    assert _commit(tmp_path / "own.py") == f"{commit}-dirty"
