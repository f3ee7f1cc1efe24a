"""The Ray that a sweep starts for itself lets nobody else in: its files are private, its ports want its token."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.ray

PROGRAM = """
import os, pwd, stat, subprocess, sys
from pathlib import Path

import ray
from experiments.cluster import RayConfig, connected

os.umask(0o022)
home = Path(os.environ["HOME"])
with connected(RayConfig()):
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert ray.get(ray.remote(lambda: 3).remote()) == 3
    session = Path(ray._private.worker.global_worker.node.get_session_dir_path())
    assert token.parent in session.parents
    for place in (token.parent, *token.parent.rglob("*")):
        found = place.lstat()
        assert found.st_uid == os.geteuid(), place
        assert stat.S_ISLNK(found.st_mode) or not found.st_mode & 0o077, (oct(found.st_mode), place)
    assert "RAY_AUTH_TOKEN" not in os.environ

    address = ray.get_runtime_context().gcs_address
    stranger = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    stranger |= {"RAY_gcs_server_port_wait_time_s": "1", "HOME": "/nonexistent"}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for command in (["ls", token.parent], ["ls", session], ["cat", token]):
            refused = subprocess.run(command, capture_output=True, text=True, **other)
            assert "Permission denied" in refused.stderr, command
    joining = [sys.executable, "-c", f"import ray; ray.init(address={address!r}, log_to_driver=False)"]
    refused = subprocess.run(joining, env=stranger, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "InvalidAuthToken" in refused.stderr, refused.stderr
assert not token.parent.exists(), "what the session left"
assert not list(home.iterdir()), "the user's own token is none of ours"
assert not [name for name in os.environ if name.startswith("RAY_AUTH")]
print("private")
"""


def test_nobody_else_reads_a_sessions_files_or_talks_to_it_without_its_token(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("private\n", "", 0)
