# SPDX-License-Identifier: GPL-3.0-or-later
"""Many sessions that all do the same at the same moment, and how long each waits for its reply."""

import concurrent.futures
import selectors
import time

from . import smtp

SETUP_THREADS = 40


class Crowd:
    """SMTP sessions behind their EHLO."""

    def __init__(self, port, count, source, timeout=60):
        def begin(_):
            client = smtp.Client(port, source, timeout=timeout)
            client.hello()
            return client

        with concurrent.futures.ThreadPoolExecutor(SETUP_THREADS) as pool:
            self.clients = list(pool.map(begin, range(count)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()

    def say(self, line, timeout=60):
        """Each says this line; [(reply, seconds that it took)] in no order."""
        started, found = {}, []
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                started[client] = time.monotonic()
                client.send(line)
                selector.register(client.socket, selectors.EVENT_READ, client)
            end = time.monotonic() + timeout
            while selector.get_map():
                ready = selector.select(max(0, end - time.monotonic()))
                assert ready, f"{len(selector.get_map())} of {len(self.clients)} have got no reply to {line} in {timeout} s"
                for key, _ in ready:
                    seconds = time.monotonic() - started[key.data]
                    found.append((key.data.reply(), seconds))
                    selector.unregister(key.fileobj)
        return found
