"""sdist and wheel, byte for byte the same each time.

python anywhere/release.py [DIST]       needs the package `build`
"""

import gzip
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EPOCH = 315619200  # 1980-01-02: the wheel is a zip file, and those begin in 1980


def build(folder: str) -> None:
    """Have both built into `folder`, from a copy: setuptools takes what an earlier build left behind."""
    with tempfile.TemporaryDirectory() as copy:
        skipped = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=skipped)
        for path in pathlib.Path(copy).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", folder, copy],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
        )


def settled(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """`entry` without the times and owners of this machine, which setuptools leaves in."""
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = EPOCH, 0, 0, "", ""
    entry.pax_headers = {}
    return entry


def repacked(sdist: pathlib.Path) -> bytes:
    """The same files as in `sdist`, sorted and settled."""
    packed = io.BytesIO()
    with (
        tarfile.open(sdist) as old,
        gzip.GzipFile("", "wb", 9, packed, mtime=EPOCH) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for entry in sorted(old.getmembers(), key=lambda entry: entry.name):
            new.addfile(settled(entry), old.extractfile(entry) if entry.isfile() else None)
    return packed.getvalue()


def main() -> None:
    """Build both into the folder that is named, else dist."""
    target = pathlib.Path(*(sys.argv[1:] or [ROOT / "dist"]))
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        build(folder)
        for path in sorted(pathlib.Path(folder).iterdir()):
            data = repacked(path) if path.suffix == ".gz" else path.read_bytes()
            (target / path.name).write_bytes(data)
            print(target / path.name)


if __name__ == "__main__":
    main()
