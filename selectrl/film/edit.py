"""From reels to a film: frames with captions, written as GIF or MP4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from selectrl.arrays import Array
from selectrl.errors import InputError
from selectrl.files import write_atomically
from selectrl.film.shoot import Reel, Shot

GROUND, INK, MUTED, RULE, DONE = "#fcfcfa", "#1b2026", "#5d6670", "#dadde1", "#0b6bb3"
GAP, HEAD, LABEL = 14, 62, 26  # pixels: between pictures, above them all, of a line of text
SUFFIXES = (".gif", ".mp4")
HOLD = 1.5  # seconds for which the last frame stays


@cache
def font(size: int, weight: str = "normal") -> Any:
    """Return the typeface of the reports, which comes with matplotlib."""
    return ImageFont.truetype(font_manager.findfont(font_manager.FontProperties(weight=weight)), size)


def describe(parameter: Array) -> str:
    """Say which task it is, where a few numbers tell it."""
    values = [f"{value:.2f}".replace("-", "\N{MINUS SIGN}") for value in parameter]
    return f": {values[0] if len(values) == 1 else '(' + ', '.join(values) + ')'}" if len(values) < 4 else ""


def check(reels: Sequence[Reel]) -> None:
    """Check that reels can run in parallel.

    Raises:
        InputError: they were not filmed at the same moments.
    """
    first = reels[0]
    for other in reels[1:]:
        if [(shot.phase, shot.step) for shot in other.shots] != [(shot.phase, shot.step) for shot in first.shots]:
            raise InputError(
                f"{other.name} explores {other.budget} steps, or with another collector's rhythm than {first.name} "
                f"({first.budget} steps); give --budget and --collector, which then hold for all"
            )


def frames(reels: Sequence[Reel]) -> Iterator[Image.Image]:
    """Lay reels out, one column per run and one row per task, with the present step above them."""
    check(reels)
    for shots in zip(*(reel.shots for reel in reels), strict=True):
        yield frame(reels, shots)


def frame(reels: Sequence[Reel], shots: Sequence[Shot]) -> Image.Image:
    """Draw one frame of the film."""
    now, reel = shots[0], reels[0]
    height, width = now.pictures.shape[1:3]
    row = height + 2 * LABEL
    image = Image.new("RGB", (GAP + len(reels) * (width + GAP), HEAD + LABEL + len(reel.tasks) * row + GAP), GROUND)
    pen = ImageDraw.Draw(image)
    exploring = now.phase == "explore"
    caption = f"exploring, step {now.step} of {reel.budget}" if exploring else f"adapted, step {now.step}"
    pen.text((GAP, 10), caption, INK, font(17, "bold"))
    pen.rectangle((GAP, 40, image.width - GAP, 43), RULE)
    done = now.step / reel.budget if exploring else 1.0
    pen.rectangle((GAP, 40, GAP + round(done * (image.width - 2 * GAP)), 43), DONE)
    for column, (column_reel, shot) in enumerate(zip(reels, shots, strict=True)):
        left = GAP + column * (width + GAP)
        pen.text((left, HEAD - 4), column_reel.name, INK, font(15, "bold"))
        for i, task in enumerate(column_reel.tasks):
            top = HEAD + LABEL + i * row
            pen.text((left, top), f"task {task}{describe(column_reel.parameters[i])}", MUTED, font(13))
            image.paste(Image.fromarray(shot.pictures[i]), (left, top + LABEL - 4))
            pen.rectangle((left, top + LABEL - 4, left + width - 1, top + LABEL - 5 + height), outline=RULE)
            gained = f"{shot.gained[i]:.1f}".replace("-", "\N{MINUS SIGN}")
            caption = "this block's return" if exploring else "return"
            pen.text((left, top + LABEL + height), f"{caption} {gained}", MUTED if exploring else INK, font(13))
    return image


def write(reels: Sequence[Reel], out: Path, *, fps: int | None = None) -> None:
    """Write a film.

    Args:
        reels: one per run, filmed at the same moments.
        out: a ``.gif`` or ``.mp4`` file; an earlier one is replaced.
        fps: frames per second; None takes 10 on Point-Robot and 20 elsewhere.

    Raises:
        InputError: another suffix, reels that do not fit together, or what MP4 needs is not installed.
    """
    if out.suffix not in SUFFIXES:
        raise InputError(f"expected a film's name that ends in {' or '.join(SUFFIXES)}, got {out.name}")
    rate = fps or (10 if reels[0].fps <= 10 else 20)
    images = list(frames(reels))
    images += [images[-1]] * round(HOLD * rate)
    writer = _gif if out.suffix == ".gif" else _mp4
    write_atomically(out, lambda path: writer(images, path, rate))


def _gif(images: Sequence[Image.Image], path: Path, rate: int) -> None:
    palette = images[-1].quantize(64)  # one for all frames, so that nothing flickers
    few = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    few[0].save(path, "GIF", save_all=True, append_images=few[1:], duration=round(1000 / rate), loop=0, optimize=False)


def _mp4(images: Sequence[Image.Image], path: Path, rate: int) -> None:
    try:
        import imageio_ffmpeg  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError("an .mp4 needs imageio-ffmpeg: pip install 'selectrl[film]', or write a .gif") from error
    width, height = images[0].size
    size = (width + width % 2, height + height % 2)  # the codec wants even sides
    writer = imageio_ffmpeg.write_frames(str(path), size, fps=rate, output_params=["-f", "mp4"], macro_block_size=2)
    writer.send(None)
    for image in images:
        even = Image.new("RGB", size, GROUND)
        even.paste(image)
        writer.send(np.asarray(even).tobytes())
    writer.close()
