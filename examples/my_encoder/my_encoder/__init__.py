"""A set encoder that must recognise a task by one half of its context when it has seen the other."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn.functional import normalize

from selectrl.encoders.sets.configs import SetConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.fields import number
from selectrl.protocols import Agent, Objective
from selectrl.registry import ENCODERS
from selectrl.structs import Batch, Losses


def halves_loss(first: Tensor, second: Tensor, tasks: Tensor, temperature: float) -> Tensor:
    r"""InfoNCE on cosines, :math:`-\log\operatorname{softmax}_j(\cos(f_i, s_j) / T)_i`, mean over tasks, both ways.

    Args:
        first: latents of one half of each context, (task, latent).
        second: those of the other half, (task, latent).
        tasks: ids, (task,); a second draw of a task is not a negative of the first.
        temperature: T.
    """
    logits = normalize(first, dim=-1) @ normalize(second, dim=-1).T / temperature  # (task, task)
    same = (tasks[:, None] == tasks) & ~torch.eye(len(tasks), dtype=torch.bool, device=tasks.device)
    logits = logits.masked_fill(same, float("-inf"))
    own = logits.diagonal()
    return ((logits.logsumexp(0) + logits.logsumexp(1)) / 2 - own).mean()


@attrs.frozen(kw_only=True)
class MyEncoderConfig(SetConfig):
    """A set encoder with a contrastive loss between the two halves of a context.

    Attributes:
        temperature: T of the loss.
    """

    temperature: float = attrs.field(default=0.1, validator=number(0, above=True))


class MyEncoder(SetEncoder[MyEncoderConfig]):
    """CCM's contrast between contexts of one task and of others, without its momentum encoder and exploration policy.

    References:
        Fu et al., "Towards Effective Context for Meta-Reinforcement Learning", AAAI 2021.
    """

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The contrastive loss of even against odd context rows, which were drawn independently."""
        rows, raw = self.embed(batch.draws["context"])
        first, second = (self.pooling.pool(rows[:, half::2], raw[:, half::2]).z for half in (0, 1))
        loss = halves_loss(first, second, batch.tasks, self.config.temperature)
        return Losses(loss, {"contrast": loss})

    def objectives(self) -> tuple[Objective, ...]:
        """Return what the encoder trains, in front of critic and actor."""
        return (Objective(name="encoder", loss=self.loss, moves=self.optims, draws=(self.context,)),)


ENCODERS.add(
    "my_encoder",
    MyEncoderConfig,
    MyEncoder,
    paper="Fu et al., AAAI 2021",
    summary="contrast between halves of the context",
)
