from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.data.store import OfflineDataset
from selectrl.errors import CompositionError, DataError, InputError
from selectrl.protocols import ROW_FIELDS, Draw, Noise, Phase
from selectrl.structs import Batch, Rows

RL, CONTEXT = Draw("rl", "rl"), Draw("context", "context", ("obs", "reward"))
NORMAL, UNIFORM = Noise("eps", "normal", ("task", "rl", 2)), Noise("u", "uniform", ("rl", "task"))


@pytest.fixture
def dataset(folder: Path) -> OfflineDataset:
    return OfflineDataset.open(folder)


def sampler(dataset: OfflineDataset, tasks: tuple[int, ...] = (0, 1, 2), **given: object) -> Sampler:
    defaults = {"meta_batch": 2, "replacement": False, "sizes": {"rl": 6, "context": 9}, "seed": 3}
    return Sampler(RowStore(dataset, tasks), **defaults | given)  # type: ignore[arg-type]


def draw(sampler: Sampler, *parts: Draw | Noise, step: int = 0, phase: str = "rl", steps: int = 10) -> Batch:
    draws = tuple(part for part in parts if isinstance(part, Draw))
    noise = tuple(part for part in parts if isinstance(part, Noise))
    return sampler.phase(Phase(name=phase, steps=steps, draws=draws, noise=noise)).batch(step)


def equal(a: Rows, b: Rows) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def check_rows(rows: Rows, task: int, lengths: tuple[int, ...], time: int) -> None:
    """Values of the test data name their (task, episode, time); see conftest."""
    episode, step = rows.row // time, rows.row % time
    assert (episode < len(lengths)).all()
    assert (step < torch.tensor(lengths)[episode]).all()
    state = torch.stack([torch.full_like(episode, task), episode, step], -1) + 1.0
    assert torch.equal(rows.obs, state)
    assert torch.equal(rows.next_obs, state + torch.tensor([0.0, 0.0, 1.0]))
    assert torch.equal(rows.reward, (100 * task + 10 * episode + step).float())
    torch.testing.assert_close(rows.action, state[:, 1:] / 100)


def test_rows_of_full_episodes(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset), RL)
    for i, task in enumerate(batch.tasks.tolist()):
        check_rows(Rows(*(x[i] for x in batch.draws["rl"])), task, (5, 5, 5, 5), 5)


def test_rows_of_ragged_episodes(ragged: OfflineDataset) -> None:
    lengths = {0: (5, 1, 3), 1: (5, 5, 5, 5), 2: (2, 2), 3: (1,)}
    many = sampler(ragged, (3, 0, 2, 1), meta_batch=4, sizes={"rl": 500})
    batch = draw(many, RL)
    assert sorted(batch.tasks.tolist()) == [0, 1, 2, 3]
    for i, task in enumerate(batch.tasks.tolist()):
        rows = Rows(*(x[i] for x in batch.draws["rl"]))
        check_rows(rows, task, lengths[task], 5)
        last = (rows.row % 5 + 1) == torch.tensor(lengths[task])[rows.row // 5]
        assert torch.equal(rows.terminal == 1, last & (torch.tensor(lengths[task])[rows.row // 5] < 5))


def test_a_draw_may_say_its_own_size(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset), Draw("pairs", "context", ("obs",), 4), CONTEXT, Noise("n", "normal", ("pairs",)))
    assert batch.draws["pairs"].obs.shape == (2, 4, 3)
    assert batch.draws["context"].obs.shape == (2, 9, 3)
    assert batch.noise["n"].shape == (4,)


def test_whole_episodes_come_in_the_order_of_time(ragged: OfflineDataset) -> None:
    lengths = {0: (5, 1, 3), 1: (5, 5, 5, 5), 2: (2, 2), 3: (1,)}
    batch = draw(sampler(ragged, (3, 0, 2, 1), meta_batch=4), Draw("whole", "episodes", size=7))
    seen = set()
    for i, task in enumerate(batch.tasks.tolist()):
        rows = Rows(*(x[i].unflatten(0, (7, 5)) for x in batch.draws["whole"]))
        for j in range(7):
            live = rows.row[j] >= 0
            length = int(live.sum())
            assert live.tolist() == [t < length for t in range(5)]
            check_rows(Rows(*(x[j][live] for x in rows)), task, lengths[task], 5)
            episode = int(rows.row[j, 0]) // 5
            assert rows.row[j, :length].tolist() == [episode * 5 + t for t in range(length)]
            assert length == lengths[task][episode]
            assert all((x[j][~live] == 0).all() for x in rows[:5])
            seen.add((task, episode))
    assert seen > {(0, 0), (0, 1), (0, 2), (2, 0), (2, 1), (3, 0)}


def test_relabelled_episodes_are_other_tasks_with_the_own_tasks_reward(ragged: OfflineDataset) -> None:
    def reward(parameters: object, obs: object, action: object, next_obs: object) -> object:
        return 1000 * parameters[..., 0] + next_obs[..., 2]  # type: ignore[index]

    store = RowStore(ragged, (3, 0, 2, 1), reward_of=reward)
    many = Sampler(store, meta_batch=4, replacement=False, sizes={}, seed=3)
    batch = draw(many, Draw("donors", "relabelled", size=50))
    for i, task in enumerate(batch.tasks.tolist()):
        rows = Rows(*(x[i] for x in batch.draws["donors"]))
        live = rows.row >= 0
        assert set(rows.obs[live][:, 0].int().tolist()) == {1, 2, 3, 4} - {task + 1}  # donors, each other task
        assert torch.equal(rows.reward[live], 1000 * task + rows.next_obs[live][:, 2])
        assert (rows.reward[~live] == 0).all()


def test_relabelling_its_own_data_gives_the_stored_rewards(dataset: OfflineDataset) -> None:
    def reward(parameters: object, obs: object, action: object, next_obs: object) -> object:
        return 100 * parameters[..., 0] + 10 * (obs[..., 1] - 1) + obs[..., 2] - 1  # type: ignore[index]

    store = RowStore(dataset, (1, 2), reward_of=reward)
    rows = store.gather(torch.tensor([0, 1]), torch.arange(20).repeat(2, 1), ROW_FIELDS)
    assert torch.equal(store.relabel(torch.tensor([0, 1]), rows).reward, rows.reward)


def test_relabelling_without_a_reward_function_is_refused(dataset: OfflineDataset) -> None:
    with pytest.raises(CompositionError, match="no reward function"):
        draw(sampler(dataset), Draw("donors", "relabelled", size=2))


def test_draws_are_uniform_over_valid_rows(ragged: OfflineDataset) -> None:
    size = 90_000
    rows = draw(sampler(ragged, (0,), meta_batch=1, sizes={"rl": size}), RL).draws["rl"]
    count = torch.bincount(rows.row[0], minlength=15).numpy()
    valid = [0, 1, 2, 3, 4, 5, 10, 11, 12]
    assert set(np.flatnonzero(count)) == set(valid)
    expected = size / len(valid)
    chi2 = ((count[valid] - expected) ** 2 / expected).sum()
    assert chi2 < 26.1  # 0.999 quantile of chi-squared with 8 degrees of freedom


def test_terminals(ragged: OfflineDataset, dataset: OfflineDataset) -> None:
    true, paper = (RowStore(ragged, [0], terminals=t).terminal[0].view(3, 5) for t in ("true", "paper"))
    assert true.nonzero().tolist() == [[1, 0], [2, 2]]  # the full episode 0 timed out
    assert paper.nonzero().tolist() == [[0, 4], [1, 0], [2, 2]]
    assert RowStore(dataset, [0, 1]).terminal.sum() == 0
    assert RowStore(dataset, [0, 1], terminals="paper").terminal.sum() == 8
    with pytest.raises(InputError, match="terminals: expected one of true, paper, got 'both'"):
        RowStore(dataset, [0], terminals="both")


def test_padding_counts_for_nothing(ragged: OfflineDataset) -> None:
    store = RowStore(ragged, [3, 1])
    assert store.counts.tolist() == [1, 20]
    assert store.length.tolist() == [[1, 0, 0, 0], [5, 5, 5, 5]]
    assert (store.episodes, store.time) == (4, 5)
    assert store.obs.shape == (2, 24, 3)


def test_unequal_time_axes(make_episodes, tmp_path: Path, spec) -> None:
    from selectrl.data.store import write_manifest, write_task

    lengths = {0: (3, 3), 1: (5, 4, 5)}
    entries = [
        write_task(tmp_path, task, [0.0], make_episodes(task, lengths=n, time=max(n))) for task, n in lengths.items()
    ]
    empty: dict[str, object] = {"env_config": {}, "behaviour": {}}
    write_manifest(
        tmp_path,
        env="e",
        env_id="E-v0",
        spec=spec,
        tasks=entries,
        split={"train": [], "test": []},
        source="elsewhere",
        **empty,
    )
    batch = draw(sampler(OfflineDataset.open(tmp_path), (0, 1), sizes={"rl": 99}), RL)
    for i, task in enumerate(batch.tasks.tolist()):
        check_rows(Rows(*(x[i] for x in batch.draws["rl"])), task, lengths[task], 5)


def test_fields_nobody_asked_for_have_width_zero(dataset: OfflineDataset) -> None:
    rows = draw(sampler(dataset), CONTEXT).draws["context"]
    shapes = Rows(*(tuple(x.shape) for x in rows))
    assert shapes == Rows((2, 9, 3), (2, 9, 0), (2, 9), (2, 9, 0), (2, 0), (2, 9))
    assert rows.row.dtype == torch.int64
    none = draw(sampler(dataset), Draw("context", "context", ())).draws["context"]
    assert torch.equal(none.row, rows.row)
    assert none.reward.shape == (2, 0)


def test_shape_of_a_batch(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset), RL, CONTEXT, NORMAL, UNIFORM, step=5)
    full = Rows((2, 6, 3), (2, 6, 2), (2, 6), (2, 6, 3), (2, 6), (2, 6))
    assert Rows(*(tuple(x.shape) for x in batch.draws["rl"])) == full
    assert {x.dtype for x in batch.draws["rl"][:5]} == {torch.float32}
    assert batch.noise["eps"].shape == (2, 6, 2)
    assert batch.noise["u"].shape == (6, 2)
    assert {x.dtype for x in batch.noise.values()} == {torch.float32}
    assert batch.tasks.dtype == torch.int64
    assert batch.progress.item() == 0.5
    assert batch.latent.z.shape == batch.latent.z_next.shape == (2, 1, 0)
    assert batch.latent.features == {}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([CONTEXT, Draw("more", "rl"), Draw("third", "context"), NORMAL, UNIFORM]), unique=True),
    st.integers(0, 9),
)
def test_adding_a_draw_or_noise_changes_no_other(
    tmp_path_factory: pytest.TempPathFactory, make_dataset, extra: list[Draw | Noise], step: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "purity"
    shared = OfflineDataset.open(path if path.exists() else make_dataset(path))
    base = (RL, Draw("context", "context", ROW_FIELDS), NORMAL, UNIFORM)
    whole = draw(sampler(shared), *base, *(e for e in extra if e not in base), step=step)
    again = draw(sampler(shared), RL, *extra, step=step)
    alone = draw(sampler(shared), *(e for e in extra if isinstance(e, Draw)), step=step)
    assert torch.equal(again.tasks, whole.tasks)
    assert equal(again.draws["rl"], whole.draws["rl"])
    for name, rows in alone.draws.items():
        assert torch.equal(rows.row, whole.draws[name].row)
        assert equal(rows, again.draws[name])
    for name, value in again.noise.items():
        assert torch.equal(value, whole.noise[name])


def test_draws_are_pure_functions_of_their_step(dataset: OfflineDataset) -> None:
    sampled = sampler(dataset)
    first = [draw(sampled, RL, NORMAL, step=step) for step in range(10)]
    for step in (7, 0, 3):
        again = draw(sampler(dataset), RL, NORMAL, step=step)
        assert torch.equal(again.tasks, first[step].tasks)
        assert equal(again.draws["rl"], first[step].draws["rl"])
        assert torch.equal(again.noise["eps"], first[step].noise["eps"])
    for a, b in pairwise(first):
        assert not torch.equal(a.draws["rl"].row, b.draws["rl"].row)
        assert not torch.equal(a.noise["eps"], b.noise["eps"])
    assert len({tuple(batch.tasks.tolist()) for batch in first}) > 1
    for other in (draw(sampler(dataset, seed=4), RL, NORMAL), draw(sampled, RL, NORMAL, phase="vae")):
        assert not torch.equal(other.draws["rl"].row, first[0].draws["rl"].row)
        assert not torch.equal(other.noise["eps"], first[0].noise["eps"])


def test_draws_of_different_names_differ(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset), RL, Draw("other", "rl"), NORMAL, Noise("eps2", "normal", NORMAL.shape))
    assert not torch.equal(batch.draws["rl"].row, batch.draws["other"].row)
    assert not torch.equal(batch.noise["eps"], batch.noise["eps2"])


def test_tasks_without_replacement_are_distinct_and_uniform(dataset: OfflineDataset) -> None:
    drawn = [draw(sampler(dataset), step=step, steps=600).tasks.tolist() for step in range(600)]
    assert all(len(set(tasks)) == 2 for tasks in drawn)
    count = np.bincount(np.array(drawn).flatten(), minlength=3)
    assert (abs(count - 400) < 60).all()  # about 5 standard deviations of 11.5


def test_tasks_with_replacement(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset, replacement=True, meta_batch=12), RL)
    assert batch.tasks.shape == (12,)
    assert set(batch.tasks.tolist()) <= {0, 1, 2}


def test_tasks_are_kept_for_some_steps_of_the_phase_that_says_so(dataset: OfflineDataset) -> None:
    every = [draw(sampler(dataset), RL, step=step, steps=60) for step in range(60)]
    kept = [draw(sampler(dataset, hold={"rl": 20}), RL, step=step, steps=60) for step in range(60)]
    for step, batch in enumerate(kept):
        assert torch.equal(batch.tasks, every[step - step % 20].tasks)
    assert len({tuple(batch.tasks.tolist()) for batch in every}) > 3
    assert not torch.equal(kept[0].draws["rl"].row, kept[1].draws["rl"].row)  # rows are drawn at every step
    assert torch.equal(kept[20].draws["rl"].row, every[20].draws["rl"].row)
    other = draw(sampler(dataset, hold={"vae": 20}), RL, step=7, steps=60)
    assert torch.equal(other.tasks, every[7].tasks)


def test_task_ids_are_global(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset, (2, 0)), RL)
    assert set(batch.tasks.tolist()) == {0, 2}
    assert torch.equal(batch.draws["rl"].obs[..., 0], (batch.tasks + 1.0)[:, None].expand(2, 6))


def test_training_opens_no_test_task(dataset: OfflineDataset) -> None:
    sampled = sampler(dataset, dataset.manifest.split["train"])
    for step in range(10):
        draw(sampled, RL, CONTEXT, step=step)
    assert dataset.read_tasks == set(dataset.manifest.split["train"])


def test_noise_follows_its_law(dataset: OfflineDataset) -> None:
    batch = draw(sampler(dataset), Noise("n", "normal", (20_000,)), Noise("u", "uniform", (20_000,)))
    normal, uniform = batch.noise["n"], batch.noise["u"]
    assert abs(normal.mean()) < 0.04
    assert abs(normal.std() - 1) < 0.03
    assert (uniform.min() >= 0) & (uniform.max() < 1)
    assert abs(uniform.mean() - 0.5) < 0.011


def test_draws_of_one_name_are_one_draw(dataset: OfflineDataset) -> None:
    sampled = sampler(dataset)
    merged = draw(sampled, CONTEXT, Draw("context", "context", ("action", "reward"))).draws["context"]
    union = draw(sampled, Draw("context", "context", ("obs", "action", "reward"))).draws["context"]
    assert equal(merged, union)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((Draw("x", "rows"),), "unknown kind 'rows'; choose from"),
        ((Draw("x", "contxt"),), "did you mean 'context'"),
        ((Draw("x", "rl", ("obs", "rewards")),), "unknown field 'rewards'; did you mean 'reward'"),
        ((RL, Draw("rl", "context")), "the draw 'rl' differently, 'rl' of size 0 and 'context' of size 0"),
        ((Draw("task", "rl"),), "the name of the task axis"),
        ((Noise("n", "gauss", (1,)),), "unknown law 'gauss'"),
        ((Noise("n", "normal", (1,)), Noise("n", "normal", (2,))), "the noise 'n' differently"),
        ((RL, Noise("n", "normal", ("context",))), "as wide as the draw 'context', which no loss"),
    ],
)
def test_impossible_compositions(dataset: OfflineDataset, parts: tuple[Draw | Noise, ...], sentence: str) -> None:
    with pytest.raises(CompositionError, match=sentence):
        draw(sampler(dataset), *parts)


def test_impossible_samplers(dataset: OfflineDataset) -> None:
    with pytest.raises(InputError, match="meta_batch: expected from 1 to the 3 training tasks, got 4"):
        sampler(dataset, meta_batch=4)
    with pytest.raises(CompositionError, match="unknown kind of draw 'row'"):
        sampler(dataset, sizes={"row": 1})
    with pytest.raises(InputError, match="at least 1 row per task for 'rl', got 0"):
        sampler(dataset, sizes={"rl": 0})
    with pytest.raises(CompositionError, match="kind 'context', which has no size"):
        draw(sampler(dataset, sizes={"rl": 1}), CONTEXT)
    with pytest.raises(InputError, match="step: expected from 0 to 9 in the phase 'rl', got 10"):
        draw(sampler(dataset), RL, step=10)


def test_impossible_row_stores(dataset: OfflineDataset) -> None:
    for tasks in ([], [1, 1]):
        with pytest.raises(InputError, match="tasks: expected one id or more, each once"):
            RowStore(dataset, tasks)
    with pytest.raises(DataError, match="holds no task 9"):
        RowStore(dataset, [9])
    with pytest.raises(InputError, match=r"expected shapes .task,. and .task, batch."):
        RowStore(dataset, [0, 1]).gather(torch.tensor([0, 1]), torch.tensor([0, 1]), ROW_FIELDS)
