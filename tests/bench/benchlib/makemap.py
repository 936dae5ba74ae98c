# SPDX-License-Identifier: GPL-3.0-or-later
"""posternctl makemap beside Sendmail's makemap hash, on the same text."""
import os
import subprocess
import tempfile
import time

from benchlib.filters import BenchError

SAMPLE_SECONDS = 0.002


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


def peak_kib(pid):
    """The high-water mark so far of what the process itself has mapped; None when it has ended. wait4() would count in the
    memory that our own process had when it forked."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), None)
    except OSError:
        return None


def timed(command, environment=None, stdin=None):
    """Wall seconds, CPU seconds and peak KiB of a command that must succeed."""
    with tempfile.TemporaryFile() as complaints:
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdin=stdin, stdout=subprocess.DEVNULL, stderr=complaints)
        peak, pid = 0, 0
        while pid == 0:
            peak = max(peak, peak_kib(process.pid) or 0)
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            time.sleep(0 if pid else SAMPLE_SECONDS)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            complaints.seek(0)
            raise BenchError(f"{' '.join(map(str, command))}: exit {process.returncode}\n"
                             f"{complaints.read().decode('utf-8', 'replace')}")
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_kib": peak}


def posternctl_makemap(posternctl, config):
    return timed([str(posternctl), "-c", str(config), "makemap", "--force", "access"])


def sendmail_hash(makemap, text, output):
    command, environment = makemap
    for path in output.parent.glob(output.name + "*"):
        path.unlink()
    with open(text, "rb") as file:
        return timed([*command, "hash", str(output)], environment, file)
