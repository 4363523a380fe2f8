"""Critics: they estimate the values of actions and states given z. Each is registered here with its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.critics.configs import (
    DualTargetConfig,
    EnsembleConfig,
    ExpectileConfig,
    MinTargetQConfig,
    MinTargetQPolicyConfig,
    TdTargetConfig,
    TwinQVConfig,
)
from selectrl.registry import CRITICS, VALUES, Deferred

if TYPE_CHECKING:
    from selectrl.critics.dual_target import DualTargetCritic
    from selectrl.critics.twin_q_v import TwinQVCritic
    from selectrl.critics.values import (
        EnsembleValue,
        ExpectileValue,
        MinTargetQPolicyValue,
        MinTargetQValue,
        TdTargetValue,
    )
else:
    DualTargetCritic = Deferred("selectrl.critics.dual_target:DualTargetCritic")
    TwinQVCritic = Deferred("selectrl.critics.twin_q_v:TwinQVCritic")
    EnsembleValue = Deferred("selectrl.critics.values:EnsembleValue")
    ExpectileValue = Deferred("selectrl.critics.values:ExpectileValue")
    MinTargetQPolicyValue = Deferred("selectrl.critics.values:MinTargetQPolicyValue")
    MinTargetQValue = Deferred("selectrl.critics.values:MinTargetQValue")
    TdTargetValue = Deferred("selectrl.critics.values:TdTargetValue")

CRITICS.add(
    "twin_q_v",
    TwinQVConfig,
    TwinQVCritic,
    paper="Haarnoja et al., ICML 2018",
    summary="twin Q and V with a target V (SAC-v1), as in PEARL, FOCAL and CSRO",
)
CRITICS.add(
    "dual_target",
    DualTargetConfig,
    DualTargetCritic,
    paper="SELECT, AAMAS 2025",
    summary="twin Q with target Q and target policy (TD3), and a V for the constraint's weight",
)
VALUES.add(
    "td_target",
    TdTargetConfig,
    TdTargetValue,
    paper="Peng et al., AAAI 2023",
    summary="V regressed on the critic's own TD target",
)
VALUES.add(
    "min_target_q",
    MinTargetQConfig,
    MinTargetQValue,
    paper="SELECT, AAMAS 2025",
    summary="V regressed on the smaller target Q at the data's action",
)
VALUES.add(
    "min_target_q_policy",
    MinTargetQPolicyConfig,
    MinTargetQPolicyValue,
    paper="SELECT, AAMAS 2025",
    summary="V regressed on the smaller target Q at the policy's action (the paper read literally)",
)
VALUES.add(
    "expectile",
    ExpectileConfig,
    ExpectileValue,
    paper="Kostrikov, Nair & Levine, ICLR 2022",
    summary="upper expectile of the smaller target Q at the data's actions (IQL)",
)
VALUES.add(
    "ensemble",
    EnsembleConfig,
    EnsembleValue,
    paper="An et al., NeurIPS 2021",
    summary="several V networks on the TD target, read as their mean or minimum",
)
