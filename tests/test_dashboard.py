"""optuna-dashboard serves the record's sweeps, on this machine alone."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import optuna_dashboard
import pytest
from inline_sweep import STUDY, train_study

from db import StorageConfig
from experiments.dashboard import DashboardConfig
from experiments.local_server import Guard, open_server
from experiments.optuna_tables import open_optuna


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return train_study(tmp_path_factory.mktemp("dashboard"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*words):
    command = [sys.executable, "-W", "ignore", "-m", "experiments.dashboard", *words]
    # A suite that a shell runs in the background has Ctrl-C ignored, and so would all that it starts.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def wait_for(port, process):
    for _ in range(240):
        try:
            return get(port, "/api/studies")["study_summaries"]
        except OSError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.25)
    raise AssertionError("the dashboard did not answer within a minute")


def stop(process):
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()


def test_the_sweep_is_shown_with_readable_parameters_objectives_and_costs(url):
    port = free_port()
    process = start(f"storage.url={url}", f"port={port}")
    try:
        (study,) = wait_for(port, process)
        assert study["study_name"] == STUDY
        assert study["directions"] == ["maximize", "minimize"]
        trials = get(port, f"/api/studies/{study['study_id']}?after=0")["trials"]
        assert [trial["state"] for trial in trials] == ["Complete", "Complete"]
        assert {p["name"] for p in trials[0]["params"]} == {"idconv_groups", "ffn_kernels"}
        assert len(trials[0]["values"]) == 2
        attributes = {a["key"] for a in trials[0]["user_attrs"]}
        assert {"arch_id", "gmacs", "params_m", "val_accuracy_seed0"} <= attributes
    finally:
        stop(process)


def test_a_taken_port_ends_with_one_line(url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = start(f"storage.url={url}", f"port={taken.getsockname()[1]}")
        error = busy.communicate(timeout=90)[1].splitlines()[-1]
    assert busy.returncode == 2
    assert "choose another with port=" in error


@pytest.fixture
def served(url):
    """Port of the dashboard, served by a thread."""
    with open_server(optuna_dashboard.wsgi(open_optuna(url)), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port, method="GET", path="/api/studies", **headers):
    """Status, headers and body; None as a header leaves it out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{port}", "Content-Length": "0"} | headers).items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


@pytest.mark.parametrize("host", ["evil.example:{port}", "evil.example", "localhost.evil.example:{port}", "", None])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_request_for_another_name_is_refused(served, host, method):
    status, _, body = ask(served, method, "/api/studies/1", Host=host and host.format(port=served))
    assert status == 403
    assert b"evil" not in body or b"got Host" in body
    assert ask(served)[0] == 200
    assert STUDY.encode() in ask(served)[2]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "https://localhost", "null", ""])
@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/studies/1"), ("POST", "/api/studies")])
def test_a_request_of_another_sites_page_changes_nothing(served, origin, method, path):
    before = ask(served)[2]
    assert ask(served, method, path, Origin=origin)[0] == 403
    assert ask(served)[2] == before


def test_its_own_page_may_change_the_record_and_be_shown_in_no_frame(served):
    own = f"http://127.0.0.1:{served}"
    assert ask(served, "DELETE", "/api/studies/99", Origin=own)[0] == 404, "asked, and not there"
    assert ask(served, Host=f"localhost:{served}", Origin=f"http://localhost:{served}")[0] == 200
    tunnelled = "localhost:9000"  # by ssh -L
    assert ask(served, Host=tunnelled, Origin=f"http://{tunnelled}")[0] == 200
    status, headers, _ = ask(served, path="/dashboard")
    assert (status, headers["X-Frame-Options"]) == (200, "DENY")


def test_one_who_says_nothing_holds_up_nobody(served):
    with socket.create_connection(("127.0.0.1", served)):
        assert ask(served)[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.example.org", ""])
def test_another_address_than_loopback_needs_the_option(host):
    storage = StorageConfig("sqlite:///x.db")
    with pytest.raises(
        ValueError, match=r"host must .*; (leave it out and use ssh -L .* allow_remote=true|write)"
    ) as caught:
        DashboardConfig(storage, host=host)
    assert "\n" not in str(caught.value)
    if host:
        assert DashboardConfig(storage, host=host, allow_remote=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_option(host):
    assert DashboardConfig(StorageConfig("sqlite:///x.db"), host=host).host == host


@pytest.mark.parametrize(
    ("host", "asked", "admitted"),
    [
        ("::1", "[::1]:8080", True),
        ("::1", "evil.example", False),
        ("127.0.0.1", "192.168.1.5:8080", False),
        ("127.0.0.1", "me@127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1:port", False),
        ("127.0.0.1", "127.0.0.1/evil", False),
        ("gpu.lab", "gpu.lab:8080", True),
        ("gpu.lab", "GPU.lab", True),
        ("gpu.lab", "evil.example", False),
        ("0.0.0.0", "192.168.1.5:8080", True),
        ("::", "[fe80::1]:8080", True),
        ("0.0.0.0", "evil.example", False),
    ],
)
def test_where_it_is_served_decides_which_host_may_be_asked_for(host, asked, admitted):
    guard = Guard(lambda _environ, _start: [], host)
    assert (guard.refusal(asked, None) is None) == admitted
