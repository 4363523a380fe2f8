"""``selectrl doctor``: print all facts that a bug report needs."""

from __future__ import annotations

import json as json_module
import locale
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from selectrl import plugins
from selectrl.cli.options import Json
from selectrl.cli.screen import emit, line, table
from selectrl.cli.stdio import result_stream
from selectrl.errors import RunError
from selectrl.gin_edge import SHIPPED
from selectrl.version import __version__

DEVELOPMENT = ("dev", "docs")  # extras of the repository alone
SETTINGS = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MUJOCO_GL", "MPLCONFIGDIR", "MINARI_DATASETS_PATH")
SMALLEST = "<mujoco><worldbody><camera name='track'/></worldbody></mujoco>"


def doctor(*, json: Json = False) -> None:
    """Print versions, the machine, settings, plugins and checks, as a bug report needs them."""
    import gymnasium

    facts = {"versions": _versions(), "machine": _machine(), "settings": _settings(), "plugins": _plugins()}
    broken = [plugin.problem for plugin in plugins.load_plugins() if plugin.problem]
    checks = {
        "Python is 3.11 or newer": sys.version_info >= (3, 11),
        "gin files are in place": (SHIPPED / "methods").is_dir(),
        "Gymnasium ids are registered": any(name.startswith("selectrl/") for name in gymnasium.registry),
        "the working directory can be written to": os.access(".", os.W_OK),
        "no package is missing": "missing" not in facts["versions"].values(),
        "every plugin is loaded": not broken,
    }
    if json:
        emit({**facts, "checks": checks})
    else:
        for title, values in facts.items():
            table(title, ["", ""], [[name, str(value)] for name, value in values.items()] or [["none", ""]])
            line()
        table("checks", ["", ""], [["ok" if passed else "FAILED", name] for name, passed in checks.items()])
    failed = [name for name, passed in checks.items() if not passed]
    if failed:
        remedy = broken[0] if broken else "install the package again, with `pip install --force-reinstall selectrl`"
        raise RunError(f"a check failed: {failed[0]}; {remedy}")


def _versions() -> dict[str, str]:
    """Return the versions of Python, this package and its direct dependencies, those of extras where installed."""
    versions = {"python": platform.python_version(), "selectrl": f"{__version__} ({_kind()})"}
    for requirement in _requirements():
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"](\w+)", requirement)
        if name is None or (extra and extra[1] in DEVELOPMENT):
            continue
        try:
            versions[name[0]] = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            versions.setdefault(name[0], f"not installed (extra [{extra[1]}])" if extra else "missing")
    return versions


def _requirements() -> list[str]:
    try:
        return metadata.requires("selectrl") or []
    except metadata.PackageNotFoundError:  # a source tree on the path
        return []


def _kind() -> str:
    """Describe how the package is installed, without its path."""
    here = Path(__file__).parents[1]
    try:
        distribution = metadata.distribution("selectrl")
    except metadata.PackageNotFoundError:
        return "a source tree on the path"
    if Path(str(distribution.locate_file("selectrl"))).resolve() == here:
        return "installed"
    origin = json_module.loads(distribution.read_text("direct_url.json") or "{}")
    is_here = str(origin.get("url", "")).removeprefix("file://") == str(here.parent)
    return "editable" if is_here else "a source tree on the path, before an installed one"


def _machine() -> dict[str, Any]:
    """Return the facts that decide speed and bits: processor, threads, memory, CUDA, and the drawing of pictures."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "platform": platform.platform(),
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads of torch": torch.get_num_threads(),
        "memory": f"{memory:.1f} GiB",
        "cuda": f"{torch.version.cuda}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "none",
        "pictures": _pictures(),
    }


def _pictures() -> str:
    import mujoco

    from selectrl.envs.camera import Camera

    try:
        Camera(mujoco.MjModel.from_xml_string(SMALLEST)).close()
    except RunError as error:
        return f"none: {error}"
    return "drawn"


def _settings() -> dict[str, str]:
    """Return locale, encodings and the environment variables that change the behaviour."""
    variables = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    encodings = f"{result_stream().encoding}, files {sys.getfilesystemencoding()}"
    return {"locale": ".".join(filter(None, locale.getlocale())) or "C", "encoding": encodings, **variables}


def _plugins() -> dict[str, str]:
    return {plugin.name: plugin.problem or plugin.distribution for plugin in plugins.load_plugins()}
