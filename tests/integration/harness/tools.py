# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting, ports and the unpacked packages."""

import itertools
import os
import pathlib
import socket
import subprocess
import time

SOURCE = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("POSTERN_TEST_CACHE", "/var/cache/postern-test"))
PORTS = range(10000, 16000)
_ports = itertools.islice(itertools.cycle(PORTS), os.getpid() * 100 % len(PORTS), None)
_reserved = []


def wait_for(condition, what, timeout=15.0, pause=0.02):
    """Calls condition until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(pause)


def _reserve(port):
    """Takes the port from all other processes that ask here, until this one ends; False: it is taken."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0postern-test-port-{port}")
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("", port))
    except OSError:
        name.close()
        return False
    _reserved.append(name)
    return True


def free_port():
    """A port that a server may bind whenever it likes: none of those that the system gives to whoever asks for any."""
    for port in itertools.islice(_ports, len(PORTS)):
        if _reserve(port):
            return port
    raise AssertionError(f"no free port in {PORTS}")


def accepts(port):
    """Does somebody listen on this port of 127.0.0.1?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def unpack(name):
    """The root tree of an unpacked package, and the environment its programs need."""
    script = SOURCE / "scripts" / "mta-unpack.sh"
    subprocess.run([str(script), str(CACHE), name], check=True, stdout=subprocess.DEVNULL)
    root = CACHE / name
    libraries = (root / ".library-path").read_text().strip()
    return root, {"LD_LIBRARY_PATH": libraries}


def multiarch_library(root, name):
    found = sorted(root.glob(f"usr/lib/**/{name}*"))
    if not found:
        raise AssertionError(f"{root} holds no {name}")
    return found[0]


def sample(name, replacements):
    """The text of a file in conf/, with words of the installation replaced by those of a test."""
    text = (SOURCE / "conf" / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"conf/{name} has no {old}"
        text = text.replace(old, str(new))
    return text


def environment(*extra):
    """The environment of a server: nothing of the caller's, so that tests do not depend on who runs them."""
    result = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "TZ": "UTC"}
    for more in extra:
        result.update(more)
    return result


def run(command, env=None, timeout=30, check=True, **keywords):
    """Runs a command to its end; its output is in the error when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        timeout=timeout,
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        **keywords,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{command} exited {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def stop(process, timeout=10.0):
    """Ends a process that a test started; returns its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
