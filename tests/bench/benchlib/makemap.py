# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl makemap beside Sendmail's makemap hash, on the same text."""
import os
import subprocess
import time

from benchlib.filters import BenchError


def sendmail_makemap(source, folder):
    """Command and environment of Debian's makemap, unpacked below folder and not installed."""
    script = source / "scripts/mta-unpack.sh"
    done = subprocess.run([str(script), str(folder), "sendmail"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{script}: {done.stderr}")
    root = folder / "sendmail"
    program = next((path for path in sorted(root.rglob("makemap")) if path.is_file() and os.access(path, os.X_OK)), None)
    if program is None:
        raise BenchError(f"no makemap below {root}")
    environment = dict(os.environ)
    library_path = root / ".library-path"
    if library_path.exists():
        environment["LD_LIBRARY_PATH"] = library_path.read_text(encoding="utf-8").strip()
    config = folder / "empty.cf"
    config.touch()
    return [str(program), "-C", str(config)], environment


def timed(command, environment=None, stdin=None):
    """Wall seconds, CPU seconds and peak KiB of a command that must succeed."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with process.stderr:
        complaints = process.stderr.read().decode("utf-8", "replace")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if process.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command))}: exit {process.returncode}\n{complaints}")
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_kib": used.ru_maxrss}


def posternctl_makemap(posternctl, config):
    return timed([str(posternctl), "-c", str(config), "makemap", "--force", "access"])


def sendmail_hash(makemap, text, output):
    command, environment = makemap
    for path in output.parent.glob(output.name + "*"):
        path.unlink()
    with open(text, "rb") as file:
        return timed([*command, "hash", str(output)], environment, file)
