"""``make wheel-test``: install the wheel where nothing else is, and go through the commands without a home to write to.

    python tests/wheel/install.py WHEEL FOLDER [pip arguments ...]

The environment is made in FOLDER/venv, outside of the checkout, and the commands run in an empty folder beside it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))
from journey import JOURNEY

#: What frightens a newcomer and tells no news.
FRIGHTENING = re.compile(r"warning|traceback|deprecat|highly recommended|not writable", re.IGNORECASE)


def main() -> int:
    wheel, folder, *extra = sys.argv[1:]
    environment, empty = Path(folder) / "venv", Path(folder) / "empty"
    empty.mkdir(parents=True)
    venv.create(environment, with_pip=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *extra, wheel], check=True)
    # No folder can be made below a device, not even by root.
    settings = {"PATH": os.environ["PATH"], "HOME": "/dev/null/home", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    for arguments in JOURNEY:
        begun = time.monotonic()
        command = [environment / "bin" / "selectrl", *arguments]
        done = subprocess.run(command, cwd=empty, env=settings, capture_output=True, text=True, check=False)
        print(f"{time.monotonic() - begun:6.1f} s  selectrl {' '.join(arguments[:3])} ...", flush=True)
        if done.returncode or FRIGHTENING.search(done.stderr):
            print(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
            return 1
    page = empty / "report" / "index.html"
    print(f"{page} has {page.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
