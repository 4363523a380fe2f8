"""``selectrl tune``: search a method's main bindings on training tasks that are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from selectrl.cli.options import COUNT, Data, Json, Profile, Sets, Threads
from selectrl.cli.screen import bars, emit, line
from selectrl.compare.tune import Bindings, TuneConfig
from selectrl.compare.tune import tune as search
from selectrl.experiment.config import Experiment
from selectrl.files import write_atomically
from selectrl.gin_edge import as_layer, build_experiment, build_part, experiment_layers, shipped_layer, user_layers
from selectrl.launch.local import require_cores


def tune(
    space: Annotated[
        Path | None, Parameter(help="A gin file that binds tune.knobs; default: the method's own.")
    ] = None,
    /,
    *,
    method: Annotated[str, Parameter(help="A shipped method, see `selectrl list`.")],
    env: Annotated[str, Parameter(help="A shipped environment, see `selectrl list`.")],
    trials: Annotated[int, COUNT, Parameter(help="How many; give every method the same number.")] = 20,
    profile: Profile = None,
    set_: Sets = (),
    threads: Threads = None,
    data: Data = Path("data"),
    out: Annotated[Path, Parameter(help="Folder of the searches.")] = Path("tuned"),
    json: Json = False,
) -> None:
    """Search a method's main bindings; the test tasks are never opened.

    Every fourth training task is held out and tested on. The first trial has the
    method's own bindings. Give the same command again to go on. `selectrl compare
    --tuned tuned` lays what was found over each method.
    """
    require_cores(threads)
    above = [shipped_layer("tuning", method)] if space is None else user_layers(space, ())
    knobs = cast(TuneConfig, build_part("tune", above))

    def build(values: Bindings) -> Experiment:
        found = [f"{path}={value}" for path, value in values.items()]
        layers = experiment_layers(method=method, env=env, profile=profile, settings=set_)
        return build_experiment([*layers, *user_layers(None, found)], f"{method}-tuned")

    own = build({})
    if space is None:  # an environment may replace a part that the method's file has knobs of
        knobs = knobs.of({line.partition(" = ")[0] for line in as_layer(own).text.splitlines()})
    build(knobs.ends())  # one that the method lacks is refused before anything
    folder, total = out / env / method, own.train.steps
    with bars() as shown:

        def tell(trial: int, record: dict[str, Any]) -> None:
            if record["kind"] == "test" or record["phase"] == "rl":
                note = f"return {record['return']:.2f}" if record["kind"] == "test" else ""
                shown.update(f"trial {trial}", record["step"], total, note, tell=record["step"] == total and bool(note))

        found = search(knobs, build, trials, folder, data, threads or 1, tell)
    file = out / env / f"{method}.gin"
    text = "".join(f"{path} = {value}\n" for path, value in found["bindings"].items())
    spent = f"{found['trials']} trials of {found['steps']} steps"
    head = f"# Best of {spent}, {found['return']:.2f} on held-out training tasks.\n"
    write_atomically(file, lambda temporary: temporary.write_text(head + text, encoding="utf-8"))
    if json:
        emit({"file": str(file), **found})
        return
    line(head.removeprefix("# ").strip())
    line(text.strip() or "The bindings of its own files are the best.")
    line(f"Written to {file}. Next: selectrl compare --tuned {out} ...")
