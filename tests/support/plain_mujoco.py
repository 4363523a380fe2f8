"""One world per family stepped by a plain ``mj_step`` loop, and its definition written out once more."""

import copy

import mujoco
import numpy as np

NAMES = ("half_cheetah_vel", "ant_goal", "humanoid_dir", "hopper_rand_params", "walker_rand_params")
SKIP = {"half_cheetah_vel": 5, "ant_goal": 5, "humanoid_dir": 5, "hopper_rand_params": 4, "walker_rand_params": 4}
KEPT = ("qpos", "qvel", "xpos", "xipos", "cinert", "cvel", "qfrc_actuator")


def physics(name, model, task):
    """The model of a task; bodies are drawn here again, value by value."""
    model = copy.copy(model)
    if "rand" not in name:
        return model
    random = np.random.RandomState(1234)
    for _ in range(task + 1):
        mass = [random.uniform(-3, 3) for _ in range(model.nbody)]
        inertia = [[random.uniform(-3, 3) for _ in range(3)] for _ in range(model.nbody)]
        damping = [random.uniform(-3, 3) for _ in range(model.nv)]
        friction = [[random.uniform(-3, 3) for _ in range(3)] for _ in range(model.ngeom)]
    model.body_mass[:] *= np.power(1.5, mass)
    model.body_inertia[:] *= np.power(1.5, inertia)
    model.dof_damping[:] *= np.power(1.3, damping)
    model.geom_friction[:] *= np.power(1.5, friction)
    return model


class Plain:
    """A world from a given start."""

    def __init__(self, name, model, task, qpos, qvel):
        self.name, self.task, self.model = name, task, physics(name, model, task)
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:], self.data.qvel[:] = qpos, qvel
        mujoco.mj_forward(self.model, self.data)

    def kept(self):
        return {field: getattr(self.data, field).copy() for field in KEPT}

    def step(self, action):
        """Observation, reward and termination."""
        low, high = self.model.actuator_ctrlrange.T
        self.data.ctrl[:] = np.clip(low + (action + 1) / 2 * (high - low), low, high)
        before = self.kept()
        for _ in range(SKIP[self.name]):
            mujoco.mj_step(self.model, self.data)
        now = self.kept()
        return self.obs(now), *self.outcome(before, now, action)

    def obs(self, now):
        qpos, qvel = now["qpos"], now["qvel"]
        if self.name == "half_cheetah_vel":
            parts = [qpos[1:], qvel, now["xpos"][1]]
        elif self.name == "ant_goal":
            parts = [qpos, qvel]
        elif self.name == "humanoid_dir":
            parts = [qpos[2:], qvel, now["cinert"].flat, now["cvel"].flat, now["qfrc_actuator"], np.zeros(84)]
        else:
            parts = [qpos[1:], np.clip(qvel, -10, 10)]
        return np.concatenate(parts).astype(np.float32)

    def outcome(self, before, now, action):
        qpos, fraction, angle = now["qpos"], self.task / 39, 2 * np.pi * self.task / 40
        compass = np.array([np.cos(angle), np.sin(angle)])
        if self.name == "half_cheetah_vel":
            speed = (qpos[0] - before["qpos"][0]) / 0.05
            return -abs(speed - (1 + 2 * fraction)) - 0.05 * (action @ action), False
        if self.name == "ant_goal":
            return -abs(now["xpos"][1, :2] - 2 * compass).sum() - 0.1 * (action @ action), False
        if self.name == "humanoid_dir":
            mass = self.model.body_mass
            moved = mass @ (now["xipos"] - before["xipos"]) / mass.sum()
            torque = 0.4 * action
            reward = 0.25 * (moved[:2] @ compass) / 0.003 - 0.1 * (torque @ torque) + 5
            return reward, qpos[2] < 1 or qpos[2] > 2
        reward = (qpos[0] - before["qpos"][0]) / 0.016 + 1 - 0.001 * (action @ action)
        if self.name == "walker_rand_params":
            return reward, not (0.8 < qpos[1] < 2 and -1 < qpos[2] < 1)
        state = np.concatenate((qpos, now["qvel"]))
        return reward, not (
            np.isfinite(state).all() and abs(state[2:]).max() < 100 and qpos[1] > 0.7 and abs(qpos[2]) < 0.2
        )
