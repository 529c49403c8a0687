"""``python -m benchmarks.serving.fuzz [EXAMPLES]``: schemathesis against the OpenAPI document of a server.

It sends requests that fit the document and requests that do not, so many of each kind. No response may be a 5xx, and
each must be as the document says. One of its checks is left out: text that fits the document need not be an image.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.serving.process import Server


def main(examples: int) -> int:
    """The exit status of schemathesis."""
    # It keeps a cache where it runs.
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        host, port = server.address
        command = [Path(sys.executable).with_name("schemathesis"), "run", f"http://{host}:{port}/openapi.json"]
        options = ["--checks=all", "--exclude-checks=positive_data_acceptance", f"--max-examples={examples}"]
        return subprocess.run(
            [*command, *options, "--phases=examples,coverage,fuzzing"], cwd=folder, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
