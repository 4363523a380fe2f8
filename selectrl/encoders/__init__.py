"""Context encoders: they infer the task from transitions. Each is registered here with its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.encoders.aggregations.configs import (
    AttentionConfig,
    InverseVarianceConfig,
    MeanConfig,
    ProductOfGaussiansConfig,
)
from selectrl.encoders.blind.configs import BlindConfig
from selectrl.encoders.borel.configs import BorelConfig
from selectrl.encoders.corro.configs import CorroConfig, CvaeConfig, RewardNoiseConfig, TrueTaskConfig
from selectrl.encoders.sets.configs import (
    ClassifierConfig,
    CsroConfig,
    FocalConfig,
    OffpearlConfig,
    ReconstructionConfig,
    TaskPosteriorConfig,
)
from selectrl.registry import AGGREGATIONS, ENCODERS, NEGATIVES, Deferred

if TYPE_CHECKING:
    from selectrl.encoders.aggregations.pooling import (
        AttentionAggregation,
        InverseVarianceAggregation,
        MeanAggregation,
        ProductOfGaussians,
    )
    from selectrl.encoders.blind.encoder import BlindEncoder
    from selectrl.encoders.borel.encoder import BorelEncoder
    from selectrl.encoders.corro.cvae import CvaeNegatives
    from selectrl.encoders.corro.encoder import CorroEncoder
    from selectrl.encoders.corro.negatives import RewardNoiseNegatives, TrueTaskNegatives
    from selectrl.encoders.sets.classifier import ClassifierEncoder
    from selectrl.encoders.sets.csro import CsroEncoder
    from selectrl.encoders.sets.focal import FocalEncoder
    from selectrl.encoders.sets.offpearl import OffpearlEncoder
    from selectrl.encoders.sets.reconstruction import ReconstructionEncoder
    from selectrl.encoders.sets.task_posterior import TaskPosteriorEncoder
else:
    AttentionAggregation = Deferred("selectrl.encoders.aggregations.pooling:AttentionAggregation")
    InverseVarianceAggregation = Deferred("selectrl.encoders.aggregations.pooling:InverseVarianceAggregation")
    MeanAggregation = Deferred("selectrl.encoders.aggregations.pooling:MeanAggregation")
    ProductOfGaussians = Deferred("selectrl.encoders.aggregations.pooling:ProductOfGaussians")
    BlindEncoder = Deferred("selectrl.encoders.blind.encoder:BlindEncoder")
    BorelEncoder = Deferred("selectrl.encoders.borel.encoder:BorelEncoder")
    CvaeNegatives = Deferred("selectrl.encoders.corro.cvae:CvaeNegatives")
    CorroEncoder = Deferred("selectrl.encoders.corro.encoder:CorroEncoder")
    RewardNoiseNegatives = Deferred("selectrl.encoders.corro.negatives:RewardNoiseNegatives")
    TrueTaskNegatives = Deferred("selectrl.encoders.corro.negatives:TrueTaskNegatives")
    ClassifierEncoder = Deferred("selectrl.encoders.sets.classifier:ClassifierEncoder")
    CsroEncoder = Deferred("selectrl.encoders.sets.csro:CsroEncoder")
    FocalEncoder = Deferred("selectrl.encoders.sets.focal:FocalEncoder")
    OffpearlEncoder = Deferred("selectrl.encoders.sets.offpearl:OffpearlEncoder")
    ReconstructionEncoder = Deferred("selectrl.encoders.sets.reconstruction:ReconstructionEncoder")
    TaskPosteriorEncoder = Deferred("selectrl.encoders.sets.task_posterior:TaskPosteriorEncoder")

ENCODERS.add(
    "focal",
    FocalConfig,
    FocalEncoder,
    paper="Li, Yang & Luo, ICLR 2021",
    summary="mean of row embeddings, distance-metric loss",
)
ENCODERS.add(
    "csro",
    CsroConfig,
    CsroEncoder,
    paper="Gao et al., NeurIPS 2023",
    summary="max-min mutual information: distance metric and CLUB bound",
)
ENCODERS.add(
    "task_posterior",
    TaskPosteriorConfig,
    TaskPosteriorEncoder,
    paper="Gao et al., NeurIPS 2023",
    summary="CSRO's encoder, with a belief over the training tasks from a decoder (ours)",
)
ENCODERS.add(
    "reconstruction",
    ReconstructionConfig,
    ReconstructionEncoder,
    paper="Li et al., NeurIPS 2024; Zhou et al., AAAI 2024",
    summary="distance metric and a decoder of rewards and transitions, as in UNICORN and GENTLE",
)
ENCODERS.add(
    "classifier",
    ClassifierConfig,
    ClassifierEncoder,
    paper="Li et al., NeurIPS 2024",
    summary="task classification from z, as in UNICORN's supervised form",
)
ENCODERS.add(
    "blind",
    BlindConfig,
    BlindEncoder,
    paper="Fujimoto & Gu, NeurIPS 2021",
    summary="z = 0: one policy for all tasks, the floor of a comparison",
)
ENCODERS.add(
    "borel",
    BorelConfig,
    BorelEncoder,
    paper="Dorfman, Shenfeld & Tamar, NeurIPS 2021",
    summary="variational belief filter (GRU), a belief at every step",
)
ENCODERS.add(
    "corro",
    CorroConfig,
    CorroEncoder,
    paper="Yuan & Lu, ICML 2022",
    summary="contrastive row embeddings, pooled by attention that the critic trains",
)
ENCODERS.add(
    "offpearl",
    OffpearlConfig,
    OffpearlEncoder,
    paper="Rakelly et al., ICML 2019",
    summary="posterior over z from the TD loss and a divergence to N(0, I)",
)
AGGREGATIONS.add(
    "mean", MeanConfig, MeanAggregation, paper="Li, Yang & Luo, ICLR 2021", summary="arithmetic mean of row embeddings"
)
AGGREGATIONS.add(
    "inverse_variance",
    InverseVarianceConfig,
    InverseVarianceAggregation,
    paper="Rakelly et al., ICML 2019",
    summary="mean weighted by learned precisions, without sampling",
)
AGGREGATIONS.add(
    "product_of_gaussians",
    ProductOfGaussiansConfig,
    ProductOfGaussians,
    paper="Rakelly et al., ICML 2019",
    summary="posterior of independent Gaussian factors, sampled in training",
)
AGGREGATIONS.add(
    "attention",
    AttentionConfig,
    AttentionAggregation,
    paper="Yuan & Lu, ICML 2022",
    summary="softmax over rows of a learned linear score",
)
NEGATIVES.add(
    "cvae",
    CvaeConfig,
    CvaeNegatives,
    paper="Yuan & Lu, ICML 2022",
    summary="reward and next state from a conditional VAE of all tasks",
)
NEGATIVES.add(
    "reward_noise",
    RewardNoiseConfig,
    RewardNoiseNegatives,
    paper="Yuan & Lu, ICML 2022",
    summary="the query's reward with Gaussian noise",
)
NEGATIVES.add(
    "true_task",
    TrueTaskConfig,
    TrueTaskNegatives,
    paper="Yuan & Lu, ICML 2022",
    summary="the reward of another task, an upper bound",
)
