"""Databases: an SQLite file, and a real PostgreSQL server where one is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from twinrank.labelling.databases import Place

_USER = "postgres"
"""The server refuses to run as root; this user comes with its packages."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a PostgreSQL server on a socket of its own, up to the name of a database."""
    programs = [shutil.which(name) for name in ("initdb", "pg_ctl")]
    if None in programs:
        pytest.skip("PostgreSQL is not installed")
    initdb, pg_ctl = map(str, programs)
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        user = None
        if os.geteuid() == 0:
            user = _USER
            shutil.chown(name, user)
        data, quick = Path(name) / "data", f"-k {name} -c listen_addresses= -c fsync=off"
        run = {"user": user, "check": True, "cwd": name, "stdout": subprocess.DEVNULL}
        subprocess.run([initdb, "--pgdata", data, "--auth", "trust", "--username", _USER, "--no-sync"], **run)
        subprocess.run([pg_ctl, "start", "--wait", "-D", data, "-l", data / "log", "-o", quick], **run)
        try:
            yield f"postgresql://{_USER}@/{{}}?host={name}"
        finally:
            subprocess.run([pg_ctl, "stop", "-D", data, "--mode", "immediate"], **run)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database that is not there yet, or has nothing in it."""
    if request.param == "sqlite":
        return tmp_path / "j.db"
    server, name = request.getfixturevalue("server"), f"t{abs(hash(tmp_path))}"
    url = sa.make_url(server.format("postgres")).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as database:
        database.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.format(name)
