"""The training loop: one for every network and objective."""

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from twinrank.benchmark.fresh import FreshBatches
from twinrank.config import TrainConfig
from twinrank.core.steps import peak_memory
from twinrank.core.torch_random import seed_torch
from twinrank.data.batches import Batches
from twinrank.data.pairs import PairData
from twinrank.errors import Diverged, InputError, Interrupted, differences
from twinrank.evaluation import metrics
from twinrank.inference.predict import predict_logits
from twinrank.models.siamese import SiameseNet
from twinrank.models.weights import save_weights
from twinrank.runs import RunFolder
from twinrank.training.checkpoint import load_checkpoint, save_checkpoint
from twinrank.training.muon import Muon
from twinrank.training.objectives import Objective
from twinrank.training.progress import EpochProgress
from twinrank.training.schedule import beta1_at, learning_rate_factor


@dataclass(frozen=True)
class TrainState:
    """How far a training is; kept in its checkpoint.

    Attributes:
        values: of the monitored metric, one for each epoch that has ended.
    """

    values: tuple[float, ...] = ()

    @property
    def epoch(self) -> int:
        """The last one that has ended; 0 before the first."""
        return len(self.values)

    def best_epoch(self, config: TrainConfig) -> int:
        """The one whose weights are kept, the first of the best; 0 before the first."""
        return config.best(self.values) + 1 if self.values else 0

    def finished(self, config: TrainConfig) -> bool:
        """Whether nothing is left to train."""
        return self.epoch >= config.epochs or self.stopped_early(config)

    def stopped_early(self, config: TrainConfig) -> bool:
        """Whether the patience is over."""
        best, since = -math.inf, 0
        for score in config.scores(self.values):
            since += 1
            if score > best + config.min_delta:
                best, since = score, 0
        return config.patience is not None and since >= config.patience


def fit(
    run: RunFolder,
    model: SiameseNet,
    description: dict[str, Any],
    batches: Batches | FreshBatches,
    val: PairData,
    config: TrainConfig,
    progress: EpochProgress,
) -> None:
    """Train a network, from the run's checkpoint if there is one; leave history, checkpoint and the best weights.

    After each epoch the history is written, then the weights if ``config.monitor`` is at its best, then the checkpoint,
    each in one step. So a run that is killed anywhere goes on from its last checkpoint and writes the same bytes again.

    Args:
        run: folder with its configuration.
        model: with its weights as they are before the first epoch, on the device to use.
        description: stored with the weights, see :func:`twinrank.models.weights.save_weights`.
        batches: labelled pairs, fitted.
        val: labelled pairs, which choose the best epoch and stop early.
        config: of the training.
        progress: is told of each epoch when all of it is on the disk; what it then raises ends the training.

    Raises:
        Diverged: the loss is not finite.
        InputError: the configuration is not that of the checkpoint, or a file cannot be written.
        Interrupted: stopped by Ctrl-C.
    """
    device = next(model.parameters()).device
    seed_torch(config.seed, "objective")
    objective = Objective(config, model, batches.levels).to(device)
    trained = nn.ModuleDict({"model": model, "objective": objective})
    mean = _running_mean(model, config)
    kept = {"model": model, "objective": objective} | ({} if mean is None else {"mean": mean})
    step = Step(trained, mean, config)
    state, history, asked = TrainState(), [], run.fingerprint()
    if run.checkpoint.is_file():
        recorded = load_checkpoint(run.checkpoint, kept, step.optimizer)
        step.scaler.load_state_dict(recorded["scaler"])
        state = TrainState(tuple(recorded["values"]))
        _refuse_other_configuration(run, recorded.get("asked", asked), asked)
        history = run.read_history()[: state.epoch]
        if len(history) < state.epoch:
            raise InputError(f"{run.history}: has {len(history)} of the {state.epoch} epochs that are done; restore it")
        progress.say(f"{run.path}: {state.epoch} of {config.epochs} epochs are done")
    elif len(run.read_history()) > 1:
        raise InputError(f"{run.checkpoint}: is missing; restore it, or train again into another folder")
    evaluated: SiameseNet = model if mean is None else mean.module  # pyright: ignore[reportAssignmentType]
    try:
        while not state.finished(config):
            record = _train_epoch(state, model, objective, step, batches, config, progress)
            record["val"] = _validate(evaluated, val)
            state = TrainState((*state.values, record["val"][config.monitor]))
            best = state.best_epoch(config) == state.epoch
            history.append(record)
            run.write_history(history)
            if best:
                save_weights(run.weights, evaluated, description)
            marks = {"values": state.values, "scaler": step.scaler.state_dict(), "asked": asked}
            save_checkpoint(run.checkpoint, kept, step.optimizer, marks)
            progress.epoch_ended(record, best)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"stopped in epoch {state.epoch + 1} of {config.epochs}; what came before is kept."
            f" Go on with: twinrank resume {run.path}"
        ) from error
    if state.stopped_early(config):
        progress.say(f"stopped early: {config.patience} epochs without a better {config.monitor}")
    best_epoch = state.best_epoch(config)
    progress.say(f"{run.weights}: weights of epoch {best_epoch}, {config.monitor} {state.values[best_epoch - 1]:.4f}")


def _refuse_other_configuration(run: RunFolder, began: dict[str, Any], asked: dict[str, Any]) -> None:
    if changed := differences(asked, began):
        raise InputError(
            f"{run.config}: has been changed since the run began ({'; '.join(changed)});"
            " restore it, or train again into another folder"
        )


def _running_mean(model: SiameseNet, config: TrainConfig) -> AveragedModel | None:
    """Exponential moving average of weights and statistics (Polyak and Juditsky 1992), or None."""
    if not config.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)


class Step:
    """From the gradients of one or more batches to new weights.

    AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) or :class:`Muon`, with decay of kernels and matrices of layers
    only, after clipping (Pascanu et al. 2013, arXiv:1211.5063); in float16 on scaled losses (Micikevicius et al. 2018,
    arXiv:1710.03740).
    """

    def __init__(self, trained: nn.Module, mean: AveragedModel | None, config: TrainConfig) -> None:
        kernels = {id(layer.weight) for layer in trained.modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
        decayed, others = [], []
        for parameter in trained.parameters():
            (decayed if id(parameter) in kernels else others).append(parameter)
        betas = (config.beta1, config.beta2)
        if config.optimizer == "muon":
            self.optimizer = Muon(decayed, others, config.lr, config.weight_decay, betas)
        else:
            groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
            self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=betas, fused=True)
        self.scaler = torch.amp.GradScaler(enabled=config.precision == "float16")
        self._trained = trained
        self._mean = mean
        self._config = config

    def backward(self, loss: torch.Tensor, batches: int = 1) -> None:
        """Add a batch's share of the gradient of so many batches."""
        self.scaler.scale(loss / batches).backward()

    def update(self, learning_rate: float, beta1: float) -> torch.Tensor:
        """Change the weights, and give the norm that the gradient had, float32 ()."""
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = learning_rate, (beta1, self._config.beta2)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self._trained.parameters(), self._config.clip_norm)
        if norm.isfinite():
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self._mean is not None:
            self._mean.update_parameters(self._trained["model"])  # pyright: ignore[reportIndexIssue]
        return norm


def _train_epoch(
    state: TrainState,
    model: SiameseNet,
    objective: Objective,
    step: Step,
    batches: Batches | FreshBatches,
    config: TrainConfig,
    progress: EpochProgress,
) -> dict[str, Any]:
    epoch, scores = state.epoch + 1, config.scores(state.values)
    seed_torch(config.seed, "epoch", epoch)
    model.train()
    started, sums, updates = time.perf_counter(), defaultdict(float), 0
    learning_rate = 0.0
    for number, batch in enumerate(progress.steps(epoch, batches.epoch(epoch), batches.steps), start=1):
        loss = objective(model, *batch)
        # The epoch's last step may be of fewer batches.
        first = (number - 1) // config.accumulate * config.accumulate
        step.backward(loss.total, min(config.accumulate, batches.steps - first))
        measured = {"loss": loss.total, **loss.terms}
        if number % config.accumulate == 0 or number == batches.steps:
            done = (epoch - 1 + number / batches.steps) / config.epochs
            learning_rate = config.lr * learning_rate_factor(config, done, scores)
            norm = step.update(learning_rate, beta1_at(config, done))
            # In float16 a step whose scaled gradient overflowed is left out, and the scale is lowered.
            if norm.isfinite() or not step.scaler.is_enabled():
                measured["grad_norm"] = norm
                updates += 1
        for name, value in measured.items():
            sums[name] += value.item()
        if not math.isfinite(sums["loss"] + sums["grad_norm"]):
            raise Diverged(
                f"the loss or its gradient is not finite in step {number} of epoch {epoch}, at learning rate"
                f" {learning_rate:.2e}; try a lower --lr, a longer --warmup, or --precision float32"
            )
    seconds = time.perf_counter() - started
    norm_mean = {"grad_norm": sums.pop("grad_norm") / max(1, updates)}
    return {
        "epoch": epoch,
        "seconds": round(seconds, 3),
        "learning_rate": learning_rate,
        "train": {name: total / batches.steps for name, total in sums.items()} | norm_mean,
        "images_per_second": round(2 * batches.steps * batches.size / seconds, 1),
        "memory_mb": round(peak_memory() / 1e6, 1),
    }


def _validate(model: SiameseNet, val: PairData) -> dict[str, float]:
    model.eval()
    logit, y = predict_logits(model, val), val.y
    assert y is not None
    return {
        "accuracy": metrics.accuracy(y, logit),
        "f1": metrics.macro_f1(y, logit),
        "log_loss": metrics.log_loss(y, logit),
    }
