"""``selectrl data``: inspect, verify, import and export datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from selectrl.cli import exchange
from selectrl.cli.options import Folder, Json
from selectrl.cli.screen import emit, line, table
from selectrl.errors import DataError

app = App(name="data", help="Inspect, verify, import and export datasets.")
app.command(exchange.import_csro, name="import-csro")
app.command(exchange.import_minari, name="import-minari")
app.command(exchange.export_minari, name="export-minari")


@app.command
def info(
    folder: Folder,
    /,
    *,
    plot: Annotated[
        Path | None, Parameter(help="Also draw returns by task and checkpoint to this .png, .pdf or .svg file.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the content of a dataset."""
    from selectrl.data.store import OfflineDataset

    dataset = OfflineDataset.open(folder)
    if plot is not None:
        from selectrl.report.figures.dataset import draw_dataset

        draw_dataset(dataset.manifest, plot)
    summary: Any = dataset.summary() | ({"plot": str(plot)} if plot else {})
    if json:
        emit(summary)
        return
    kept = summary["keep_warmup"]
    rows = [
        ["environment", f"{summary['env']} ({summary['env_id']})"],
        ["tasks", f"{summary['tasks']} ({len(summary['split']['train'])} train, {len(summary['split']['test'])} test)"],
        ["episodes", str(summary["episodes"])],
        ["transitions", str(summary["rows"])],
        ["size", f"{summary['bytes'] / 2**20:.1f} MiB"],
        ["random episodes", f"{kept} per task, label 0" if kept else "none"],
        ["fingerprint", summary["fingerprint"][:16]],
        ["source", summary["source"]],
        ["versions", ", ".join(f"{k} {v}" for k, v in summary["versions"].items())],
    ]
    table(str(folder), ["", ""], rows)
    returns_table("Behaviour", summary)
    if plot is not None:
        line(f"Open {plot}")


def returns_table(title: str, summary: dict[str, Any]) -> None:
    """Print the returns of a dataset's behaviour policies at each checkpoint, over tasks."""
    rows = []
    for label, mean in summary["mean_return_by_label"].items():
        returns = [by_label[label] for by_label in summary["return_by_task"].values() if label in by_label]
        rows.append([label, f"{mean:.2f}", f"{min(returns):.2f}", f"{max(returns):.2f}"])
    table(title, ["checkpoint", "mean return", "worst task", "best task"], rows)


@app.command
def verify(folder: Folder, /, *, json: Json = False) -> None:
    """Read every byte of a dataset and check it against the manifest."""
    from selectrl.data.store import OfflineDataset

    dataset = OfflineDataset.open(folder)
    problems = dataset.verify()
    if problems:
        raise DataError(
            f"the dataset at {folder} is damaged: {'; '.join(problems)}; restore the files or collect again"
        )
    if json:
        emit({"folder": str(folder), "sound": True, "fingerprint": dataset.fingerprint})
        return
    line(f"{folder} is sound: {len(dataset.manifest.tasks)} files match their checksums")
