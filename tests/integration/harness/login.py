# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients prove themselves with: passwords in a sasldb, certificates of a CA of our own."""

import os
import pwd
import ssl
import subprocess

from . import tools
from .mta import OWN_NAME

USER = "joe"
PASSWORD = "sesame"  # of a user who exists in these tests only

SASL_CONF = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {database}
mech_list: PLAIN LOGIN
"""


class Passwords:
    """A sasldb with one user, and the settings of Cyrus SASL that lead to it."""

    def __init__(self, folder, owner):
        root, _ = tools.unpack("sasl")
        self.plugins = tools.multiarch_library(root, "sasl2/libsasldb.so").parent
        self.folder = folder
        folder.mkdir()
        database = folder / "sasldb2"
        subprocess.run(
            [root / "usr/sbin/saslpasswd2", "-p", "-c", "-f", database, "-u", OWN_NAME, USER],
            env=self.environment(),
            input=PASSWORD.encode(),
            check=True,
        )
        os.chown(database, pwd.getpwnam(owner).pw_uid, 0)
        database.chmod(0o600)
        for name in ("smtpd.conf", "Sendmail.conf"):
            (folder / name).write_text(SASL_CONF.format(database=database))

    def environment(self):
        return {"SASL_PATH": str(self.plugins), "SASL_CONF_PATH": str(self.folder)}


def _openssl(*words):
    tools.run(["openssl", *words], env=tools.environment())


class Authority:
    """A CA, a certificate for the server, one for a client; and a client's certificate that no server trusts."""

    def __init__(self, folder):
        folder.mkdir()
        folder.chmod(0o755)
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._make_ca("ca", "/C=XY/O=Example CA")
        self._make_ca("strange", "/C=XY/O=Strange CA")
        self.server, self.server_key = self._make("server", f"/CN={OWN_NAME}", "ca")
        self.client = self._make("client", "/C=XY/O=Example/CN=client one", "ca")
        self.other_client = self._make("other", "/C=XY/O=Example/CN=client two", "ca")
        self.strange_client = self._make("stranger", "/C=XY/O=Example/CN=client one", "strange")

    def _make_ca(self, name, subject):
        key, cert = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
        _openssl("req", "-x509", *new_key, "-out", cert, "-days", "30", "-subj", f"{subject}/CN={name}")

    def server_of(self, name, *names):
        """A certificate and its key for these names ("DNS:host", "IP:127.0.0.1")."""
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(names)}\n")
        return self._make(name, f"/CN={name}", "ca", "-extfile", extensions)

    def _make(self, name, subject, issuer, *more):
        key, cert, request = (self.folder / f"{name}.{suffix}" for suffix in ("key", "pem", "csr"))
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
        _openssl("req", "-new", *new_key, "-out", request, "-subj", subject)
        signer = ["-CA", self.folder / f"{issuer}.pem", "-CAkey", self.folder / f"{issuer}.key", "-CAcreateserial"]
        _openssl("x509", "-req", "-in", request, *signer, "-out", cert, "-days", "30", *more)
        key.chmod(0o600)
        return cert, key


def client_context(pair=None):
    """TLS as a client does it that shows this certificate; whose the server's is does not matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        context.load_cert_chain(*pair)
    return context
