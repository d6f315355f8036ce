"""Certificates of tests."""

import shutil
import subprocess
from pathlib import Path


def certify(name: str, certificate: Path, key: Path, *options: str) -> None:
    """Make a key and its certificate, signed by itself; `options` of `openssl req` add to it."""
    command = [shutil.which("openssl") or "openssl", "req", "-x509", "-nodes", "-days", "2"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate), *options]
    subprocess.run(command, check=True, capture_output=True)
