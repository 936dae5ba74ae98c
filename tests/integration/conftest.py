# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests; README.md tells how to run them."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

# pylint: disable=wrong-import-position
from harness import asking, relay  # noqa: E402
from harness.dns_world import DnsWorld  # noqa: E402
from harness.dovecot import USER as USER_NAME  # noqa: E402
from harness.dovecot import Dovecot  # noqa: E402
from harness.postern import GROUP, USER, program  # noqa: E402
from harness.postfix import Postfix  # noqa: E402
from harness.redis import Redis  # noqa: E402
from harness.redis_host import PASSWORD, Host  # noqa: E402
from harness.sendmail import Sendmail  # noqa: E402
from harness.sink import Sink  # noqa: E402
from harness.site import Pool, Site, unique  # noqa: E402

KEPT = pytest.StashKey()
KINDS = {"postfix": Postfix, "sendmail": Sendmail}


def pytest_addoption(parser):
    parser.addoption("--keep", action="store_true", help="keep the servers' folders, and say where they are")
    parser.addoption("--mta", choices=sorted(KINDS), help="test with one of the two mail servers only")


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the integration tests run mail servers of their own, which takes root", returncode=4)
    if not session.config.option.collectonly:
        for name in ("postern", "posternctl"):
            try:
                program(name)
            except AssertionError as error:
                pytest.exit(str(error), returncode=4)


def pytest_generate_tests(metafunc):
    if "mta_name" in metafunc.fixturenames:
        wanted = metafunc.config.option.mta
        metafunc.parametrize("mta_name", [wanted] if wanted else sorted(KINDS), scope="module")


@pytest.fixture(scope="session")
def workspace(request):
    """A short path (it holds unix sockets) that only root can write (Sendmail insists)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-", dir="/run"))
    folder.chmod(0o755)
    yield folder
    if request.config.option.keep:
        request.config.stash[KEPT] = folder
    else:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter, config):
    if KEPT in config.stash:
        terminalreporter.write_line(f"kept: {config.stash[KEPT]}")


@pytest.fixture(scope="session")
def servers(workspace):
    """The running mail servers by name; each is started when it is first asked for."""
    running = {}

    def get(name):
        if name not in running:
            kind = {**KINDS, **relay.KINDS, **asking.KINDS}[name]
            running[name] = kind(workspace / name, Sink())
        return running[name]

    yield get
    for server in running.values():
        server.close()
        server.sink.close()


@pytest.fixture(scope="session")
def popauth(workspace):
    """Where a daemon listens if the logins of `dovecot` are to reach it."""
    folder = workspace / "popauth"
    folder.mkdir()
    shutil.chown(folder, USER, GROUP)
    return folder / "popauth.sock"


@pytest.fixture(scope="session")
def dovecot(workspace, popauth):
    """A POP3 and IMAP server that tells of its logins at popauth, if somebody listens there."""
    users = [USER_NAME, f"{USER_NAME}@local.example"]
    one = Dovecot(workspace / "dovecot", program("postern-login"), popauth, users)
    yield one
    one.close()


@pytest.fixture(scope="module")
def mta(mta_name, servers):
    return servers(mta_name)


@pytest.fixture(scope="session")
def dns_world(workspace):
    one = DnsWorld(workspace / "dns")
    yield one
    one.close()


@pytest.fixture
def dns(dns_world):
    """A DNS server for one test, with all names of dns_world and those that the test adds below script.test."""
    one = dns_world.new_server()
    yield one
    one.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


def _show_logs(site):
    for daemon in site.used:
        print(f"--- postern.conf\n{daemon.config.read_text()}--- postern\n{daemon.log()[-8000:]}")
    print(f"--- {site.mta.name}\n{site.mta.log()[-4000:]}")


@pytest.fixture(scope="module")
def pool(mta, workspace):
    one = Pool(mta, workspace / "daemons")
    yield one
    one.close()
    mta.empty_queue()


@pytest.fixture
def site(request, pool):
    """A mail server, and a way to start daemons for it, which must end well with the test."""
    one = Site(pool)
    yield one
    report = getattr(request.node, "report_call", None)  # none: the set-up of another fixture has failed
    try:
        if report is None or report.failed:
            _show_logs(one)
        else:
            one.check()
    finally:
        one.discard()


# ---- several hosts with one Redis


@pytest.fixture(scope="module")
def redis(workspace):
    """Not to be left stopped or ended by a test."""
    one = Redis(workspace / unique("redis"), password=PASSWORD)
    yield one
    one.close()


@pytest.fixture
def prefix():
    """Of the keys of one test."""
    return unique("postern") + ":"


@pytest.fixture
def hosts(request, workspace):
    """Starts daemons, which must end well with the test; for arguments see Host."""
    started = []

    def start(server=None, running=True, **keywords):
        started.append(Host(workspace / unique("redis-host"), server, **keywords))
        if running:
            started[-1].postern.start()
        return started[-1]

    yield start
    report = getattr(request.node, "report_call", None)
    good = report is not None and not report.failed
    try:
        for host in started:
            if good:
                host.postern.stop()
            else:
                print(f"--- postern.conf\n{host.postern.config.read_text()}--- postern\n{host.postern.log()[-8000:]}")
    finally:
        for host in started:
            host.postern.discard()
