"""Experiments from shipped files: ``selectrl.compose``."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported: a command handles no signals yet
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from selectrl.experiment.config import Experiment


def compose(
    method: str | None = None,
    env: str | None = None,
    *,
    profile: str | None = None,
    ablation: str | None = None,
    file: Path | str | None = None,
    settings: Sequence[str] = (),
    name: str | None = None,
) -> Experiment:
    """Return a shipped method on a shipped environment, with changes applied to it.

    Args:
        method: name of a method, for example ``select``; a file that binds all four parts needs none.
        env: name of an environment, for example ``point_robot``.
        profile: name of a profile, for example ``laptop``.
        ablation: name of an ablation, for example ``td3_bc``.
        file: your gin file.
        settings: bindings such as ``"encoders.csro.latent_dim=10"``, as ``--set`` takes them.
        name: name of the experiment in folders and reports; default: the file's or the method's.

    Raises:
        InputError: a name, a binding or a value is wrong.
    """
    from pathlib import Path

    from selectrl.gin_edge import build_experiment, default_name, experiment_layers

    path = Path(file) if file else None
    layers = experiment_layers(method=method, env=env, profile=profile, ablation=ablation, file=path, settings=settings)
    return build_experiment(layers, name or default_name(method, ablation, path))
