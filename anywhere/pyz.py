"""dist/rawchat.pyz: rawchat and its dependencies in one file.

It is what the standard library's zipapp makes, but byte for byte the same each time: zipapp keeps times and modes.

    python anywhere/pyz.py [DIST]           pip finds the dependencies; only wheels without compiled code are taken
    python3 -I dist/rawchat.pyz "Say hi"
"""

import configparser
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAIN = b"import rawchat.__main__\n"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can hold


def dependencies(section: str = "options", name: str = "install_requires") -> list[str]:
    """What setup.cfg asks for, there."""
    settings = configparser.RawConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return settings[section][name].split()


def install(folder: pathlib.Path) -> None:
    """Put all that has to be in the file into `folder`."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--no-compile",
            "--target",
            str(folder),
            "--platform",
            "any",
            "--implementation",
            "py",
            "--abi",
            "none",
            "--python-version",
            "3.9",
            "--only-binary=:all:",
            *dependencies(),
        ],
        check=True,
    )
    shutil.rmtree(folder / "bin", ignore_errors=True)  # scripts that name this machine's Python
    shutil.copytree(
        ROOT / "rawchat", folder / "rawchat", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "__main__.py").write_bytes(MAIN)


def pack(folder: pathlib.Path, target: pathlib.Path) -> None:
    """One executable zip file: sorted, and without the times, owners and modes of this machine."""
    with open(target, "wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                # RECORD lists the scripts that were left out
                if path.is_file() and path.name not in (
                    "RECORD",
                    "INSTALLER",
                    "REQUESTED",
                    "direct_url.json",
                ):
                    entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), MOMENT)
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    target.chmod(0o755)


def main() -> None:
    """Build it into the folder that is named, else dist."""
    target = pathlib.Path(*(sys.argv[1:] or [ROOT / "dist"])) / "rawchat.pyz"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        install(pathlib.Path(folder))
        pack(pathlib.Path(folder), target)
    print(f"{target}: {os.path.getsize(target) // 1024} KiB")


if __name__ == "__main__":
    main()
